"""What earlier details said of a line, carried over where only its row is there now: its detail
cannot be had, or details are not asked for any more.

`data` is what the row says now, `before` the data of the line's last event. Rules, for what both
the list and the detail tell:

1. What the row says now is told.
2. But where it says the same as it said then, and the detail knew better then (`list_row`), that
   stands: nothing has changed.
3. What the row does not say stays as it was told. The list leaves out much that details know.

What only details tell stays. So a row that says what it said then gives exactly the data of then,
and no change is told where there was none.

It does not work backwards: a row that changes, and then says again what it said first, has taken
the detail's word away from that field, and so from what rule 2 knows. The next detail mends it.

Data that holds nothing that only a detail can tell was told from a row alone: then all that the row
does not say any more is unknown.
"""

from typing import Any

from consumer.event import Data
from consumer.normalisation.cinx_fields import (
    FIELDS,
    IN_BOTH,
    LIST_ROW,
    ONLY_IN_ROWS,
    PARTIES,
    Parts,
    build,
    extra_of,
    parts_of,
)


def carry(data: Data, before: Data) -> Data:
    """The data with what only a detail can tell, as it was told before."""
    now, then = parts_of(data), parts_of(before)
    if not _from_detail(then):
        return data
    told: Parts = {"order": {"account": data.order.account}}
    for part in PARTIES:
        _keep(extra_of(told, part), _held(then, part))
    for part, name, row, _, _ in FIELDS:
        known, here = then.get(part, {}).get(name), now.get(part, {}).get(name)
        other = _otherwise(then, part).get(row) if row else None
        if here is not None and here != other:
            known = here
        elif here is not None:
            extra_of(told, part).setdefault(LIST_ROW, {})[row] = other
        if known is not None:
            told.setdefault(part, {})[name] = known
    _carry_extra(extra_of(told, "data"), now, then)
    for part in PARTIES:
        if not told[part]["extra"]:
            del told[part]["extra"]
    return build(told)


def _from_detail(then: Parts) -> bool:
    """Whether there is anything that no row can tell."""
    fields = any(field.row is None and field.name in then.get(field.part, {}) for field in FIELDS)
    return fields or not _held(then, "data").keys() <= ONLY_IN_ROWS | IN_BOTH


def _carry_extra(extra: dict[str, Any], now: Parts, then: Parts) -> None:
    """The rules for fields without a place."""
    here, held, otherwise = _held(now, "data"), _held(then, "data"), _otherwise(then, "data")
    _keep(extra, {name: held[name] for name in held if name not in ONLY_IN_ROWS})
    for name, value in here.items():
        if name in held and name in otherwise and otherwise[name] == value:
            extra.setdefault(LIST_ROW, {})[name] = value
        else:
            extra[name] = value


def _keep(extra: dict[str, Any], held: dict[str, Any]) -> None:
    extra.update((name, value) for name, value in held.items() if name != LIST_ROW)


def _held(parts: Parts, part: str) -> dict[str, Any]:
    """The `extra` of a party or of the data itself."""
    extra: dict[str, Any] = parts.get(part, {}).get("extra", {})
    return extra


def _otherwise(parts: Parts, part: str) -> dict[str, Any]:
    """What the row said otherwise than the detail, beside the fields of a part."""
    said: dict[str, Any] = _held(parts, part if part in PARTIES else "data").get(LIST_ROW, {})
    return said
