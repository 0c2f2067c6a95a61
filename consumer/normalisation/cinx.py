"""CINX's back-orders: the rows of a list, and what a row and its detail say of a line.

Rules
1. The key of a row is its `cinx_guid`. It stands in the address of the detail, so nothing but
   letters, digits, `-`, `_` and `.` is taken for one.
2. Where both tell a field the detail wins, since it is the younger of the two. What the row says
   otherwise is kept under its own name in `extra.list_row`, for parties in theirs.
3. What has no place in an event goes to `extra` under its own name, as it was nested. People and
   organisations are the exception: all that stands in `customer`, `vendor`, `project` and
   `purchase_order.submitter`, and of `delivery` all but two codes, stays with the party.
4. It makes no difference whether JSON or XML brought a row, as far as that is possible: XML knows
   texts only, so numbers are decimal strings in `extra`, and the two known booleans are read from
   texts as well.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import unquote

import msgspec
from msgspec import Raw, Struct

from consumer.errors import Refused
from consumer.event import Data
from consumer.model import Problem
from consumer.normalisation.cinx_fields import FIELDS, LIST_ROW, Parts, build, extra_of
from consumer.normalisation.json_values import (
    MOST_BROKEN,
    Node,
    Row,
    array,
    day_of,
    known,
    node,
    too_many_broken,
)

_GUID = "cinx_guid"
_BOOLEANS = {"true": True, "false": False}
_NOT_PERSONAL = ("ship_via", "location_type")  # of `delivery`
_PARTIES_OF = (("customer", "customer"), ("vendor", "vendor"), ("project", "project"))
_ONLY_IN_DETAILS = ("quantities", "dates", "purchase_order", "procurement_status")

_ROW_FIELDS = tuple(
    (field.part, field.name, field.row, field.read) for field in FIELDS if field.row
)
_DETAIL_FIELDS = tuple(
    (field.part, field.name, field.detail, tuple(field.detail.split(".")), field.read)
    for field in FIELDS
)

_is_guid = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,99}").fullmatch


class _Key(Struct):
    cinx_guid: str


_keys = msgspec.json.Decoder(list[_Key])
_key = msgspec.json.Decoder(_Key)


# --- rows ------------------------------------------------------------------------------------


def rows(content: bytes, account: str | None = None) -> tuple[list[Row], list[Problem]]:  # noqa: ARG001 - a row names no organisation
    """The rows of a list, and what is wrong with those that have no key.

    Raises Refused where the content is no JSON array, or hardly a row of it has a key.
    """
    raws = array(content)
    guids: Iterator[str]
    try:
        guids = iter([key.cinx_guid for key in _keys.decode(content)])
    except (msgspec.DecodeError, UnicodeDecodeError):
        guids = map(guid_of, raws)
    good: list[Row] = []
    problems: list[Problem] = []
    for index, (guid, raw) in enumerate(zip(guids, raws, strict=True)):
        if _is_guid(guid):
            good.append(Row(guid, bytes(raw)))
        else:
            reason = "not an id of CINX's: a row without one has no key"
            problems.append(Problem(reason=reason, path=f"$[{index}].{_GUID}"))
            if len(problems) > MOST_BROKEN:
                raise too_many_broken(len(problems), len(raws))
    return good, problems


def guid_of(row: bytes | Raw) -> str:
    """The `cinx_guid` of a row; empty where it has none."""
    try:
        return _key.decode(row).cinx_guid
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def is_detail(row: bytes) -> bool:
    """Whether a row is one that the detail service answers with. Raises Refused."""
    return not node(row).keys().isdisjoint(_ONLY_IN_DETAILS)


# --- what they say ---------------------------------------------------------------------------


def line(row: bytes, *, account: str, detail: bytes | None = None) -> Data:
    """What a row says of its line, with its detail if there is one.

    `account` is the organisation as it stands in the event source. Raises Refused where a field is
    not what it should be, and where the detail is of another line.
    """
    listed = node(row)
    detailed = {} if detail is None else node(detail)
    if detail is not None and detailed.pop(_GUID, None) != listed.get(_GUID):
        raise Refused("the detail is of another back-order than the row")
    listed.pop(_GUID, None)
    parts: Parts = {"order": {"account": unquote(account)}}
    if detailed:
        _take_detail(parts, detailed)
        for part, rest in _remaining(detailed):
            if rest:
                extra_of(parts, part).update(rest)
    _take_row(parts, listed)
    extra = extra_of(parts, "data")
    for name, value in (_known(listed) or {}).items():
        if extra.setdefault(name, value) != value:
            extra.setdefault(LIST_ROW, {})[name] = value
    return build(parts)


def over(detail: bytes) -> bool:
    """Whether a detail says when its back-order was cleared; what is no date does not say so, and
    `line` refuses it.
    """
    try:
        cleared = _take(node(detail), ("dates", "cleared"))
        return day_of(cleared, "dates.cleared") is not None
    except Refused:
        return False


def _take_detail(parts: Parts, detailed: Node) -> None:
    """Take the fields of the table out of a detail and put them where they belong."""
    for part, name, path, steps, read in _DETAIL_FIELDS:
        told = read(_take(detailed, steps), path)
        if told is not None and parts.setdefault(part, {}).setdefault(name, told) != told:
            extra_of(parts, part)[steps[-1]] = told  # another spelling of a field


def _take_row(parts: Parts, listed: Node) -> None:
    """Take the fields of the table out of a row; what the detail told stays."""
    for part, name, row, read in _ROW_FIELDS:
        told = read(listed.pop(row, None), row)
        if told is not None and parts.setdefault(part, {}).setdefault(name, told) != told:
            extra_of(parts, part).setdefault(LIST_ROW, {})[row] = told


def _take(detailed: Node, steps: Sequence[str]) -> object:
    """Take what stands at a path out of a detail."""
    for step in steps[:-1]:
        below = detailed.get(step)
        if not isinstance(below, dict):
            if known(below) is None:
                return None
            raise Refused(f"{step}: not an object")
        detailed = below
    return detailed.pop(steps[-1], None)


def _remaining(detailed: Node) -> list[tuple[str, Any]]:
    """What is left of a detail, by the part whose `extra` it belongs to."""
    delivery, order = detailed.get("delivery"), detailed.get("purchase_order")
    submitter = order.pop("submitter", None) if isinstance(order, dict) else None
    delivery = delivery if isinstance(delivery, dict) else {}
    codes = {name: delivery.pop(name, None) for name in _NOT_PERSONAL}
    left = [(part, known(detailed.pop(name, None))) for name, part in _PARTIES_OF]
    left += [("submitter", known(submitter)), ("ship_to", known(delivery))]
    return [*left, ("data", _known(detailed | {"delivery": codes}))]


def _known(fields: Node) -> Any:
    """What is known of fields without a place; `list_row` is a name of ours."""
    if LIST_ROW in fields:
        raise Refused(f"{LIST_ROW}: not a field of CINX's")
    taxes = fields.get("taxes")
    for holder, name in ((fields, "allow_substitutes"), (taxes, "taxable")):
        if isinstance(holder, dict) and isinstance(said := holder.get(name), str):
            holder[name] = _BOOLEANS.get(said.strip().lower(), said)
    return known(fields)
