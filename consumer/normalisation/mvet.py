"""MVET's back-order inquiry: the rows of an answer, and what one row says.

An answer is a JSON array of lines: all that one customer waits for. A line has no id; its key is
order and item, `45929940/350.81827.2`.

A line belongs to the customer that was asked for where its accountNumber is the same, or goes on
with `-` and a ship-to: other answers of MVET write `0004027-0004029`. One order may send the same
item to two of those, so that accountNumber is part of the key then:
`45929940/350.81827.2@0002789-0000001`.

Within a key `/` of an order number, and `#`, `%` and `@` anywhere are percent-encoded, so that no
two keys can be mistaken for one another, nor a key for the second occurrence of another.

Source: MVET's page on the `boinquiry` service.
"""

import re
from urllib.parse import unquote

import msgspec
from msgspec import Raw, Struct

from consumer.errors import Refused
from consumer.event import Data, Line, Order, Quantity
from consumer.model import Problem
from consumer.normalisation.json_values import (
    MOST_BROKEN,
    Row,
    array,
    is_date,
    known,
    node,
    number,
    text,
    too_many_broken,
)

_LONGEST = 100
_MOST = 10**40

_is_simple = re.compile(r"[0-9A-Za-z._-]{1,100}").fullmatch
_has_control = re.compile(r"[\x00-\x1f\x7f-\x9f]").search
_is_day = re.compile(r"[0-9]{8}").fullmatch
_ESCAPES = str.maketrans({"#": "%23", "%": "%25", "@": "%40"})
_BOM = b"\xef\xbb\xbf"


class _Key(Struct, rename=lambda name: f"{name}Number"):
    order: int | str
    item: str
    account: str


_key = msgspec.json.Decoder(_Key)
_keys = msgspec.json.Decoder(list[_Key])


# --- rows ------------------------------------------------------------------------------------


def rows(content: bytes, account: str | None) -> tuple[list[Row], list[Problem]]:
    """The rows of an answer for `account`, and what is wrong with those that cannot be used.

    `account` is the customer as it stands in the event source; None: whatever the rows say. Raises
    Refused where the content is no JSON array, or hardly a row of it can be used. A byte order mark
    before it says nothing.
    """
    content = content.removeprefix(_BOM)
    raws = array(content)
    wanted = None if account is None else unquote(account)
    keys = _all_keys(content)
    good: list[Row] = []
    problems: list[Problem] = []
    for index, raw in enumerate(raws):
        try:
            key = _checked(keys[index] if keys else _one_key(raw), wanted)
        except _Broken as broken:
            problems.append(Problem(reason=broken.reason, path=f"$[{index}]{broken.path}"))
            if len(problems) > MOST_BROKEN:
                raise too_many_broken(len(problems), len(raws)) from None
        else:
            good.append(Row(key, bytes(raw)))
    return good, problems


def account_of(row: bytes) -> str:
    """The accountNumber of a row that `rows` found good."""
    return _one_key(Raw(row)).account


class _Broken(Refused):
    """A row that has no place; `path` below the row."""

    def __init__(self, reason: str, path: str = "") -> None:
        super().__init__(reason)
        self.path = path


def _all_keys(content: bytes) -> list[_Key] | None:
    """The keys of all rows at once; None where one of them has to be looked at by itself."""
    try:
        return _keys.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _one_key(row: Raw) -> _Key:
    """The key of one row, or which field of it is to blame."""
    try:
        return _key.decode(row)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        fields = node(row)
    except Refused as refused:
        raise _Broken(refused.reason) from None
    order = fields.get("orderNumber")
    if not isinstance(order, int | str) or isinstance(order, bool):
        raise _Broken(_absent(order), ".orderNumber")
    for name in ("itemNumber", "accountNumber"):
        if not isinstance(fields.get(name), str):
            raise _Broken(_absent(fields.get(name)), f".{name}")
    raise _Broken(
        "neither a whole number nor a text", ".orderNumber"
    )  # all else is as it should be


def _absent(value: object) -> str:
    return "a line without it has no key" if value is None else "of another type than documented"


def _checked(key: _Key, wanted: str | None) -> str:
    account = key.account
    if not account or account.isspace():
        raise _Broken(_absent(None), ".accountNumber")
    is_exact = wanted is None or account == wanted
    if not is_exact and not account.startswith(f"{wanted}-"):
        raise _Broken("a line of another account than the one asked for", ".accountNumber")
    order = str(key.order) if isinstance(key.order, str) or -_MOST < key.order < _MOST else ""
    order, item = _part(order, ".orderNumber"), _part(key.item, ".itemNumber")
    line = f"{order.replace('/', '%2F')}/{item}"
    return line if is_exact else f"{line}@{_part(account, '.accountNumber')}"


def _part(said: str, path: str) -> str:
    if _is_simple(said):
        return said
    if not said or said.isspace():
        raise _Broken(_absent(None), path)
    if len(said) > _LONGEST or _has_control(said):
        raise _Broken(f"longer than {_LONGEST} characters, or with control characters", path)
    return said.translate(_ESCAPES)


# --- what a row says -------------------------------------------------------------------------


def line(
    row: bytes,
    *,
    account: str,  # noqa: ARG001 - `rows` has compared it
    detail: bytes | None = None,  # noqa: ARG001 - MVET has none
) -> Data:
    """What a row says of its line. Raises Refused where a field is not what it should be."""
    fields = node(row)

    def take(name: str) -> tuple[object, str]:
        return fields.pop(name, None), name

    return Data(
        order=Order(
            number=text(*take("orderNumber")),
            date=_day(*take("date")),
            account=text(*take("accountNumber")),
        ),
        line=Line(item=text(*take("itemNumber")), description=text(*take("description"))),
        quantity=Quantity(
            backordered=number(*take("backorderedQuantity")),
            ordered=number(*take("orderedQuantity")),
            shipped=number(*take("shippedQuantity")),
        ),
        delay="backorder",
        extra=known(fields) or {},
    )


def carry(data: Data, before: Data) -> Data:  # noqa: ARG001 - a row tells all there is
    """Nothing of an earlier event is carried over: a row tells all there is."""
    return data


def over(detail: bytes) -> bool:  # noqa: ARG001 - MVET has none
    """Never: a line that is over is not listed any more."""
    return False


def _day(value: object, name: str) -> str | None:
    """A date written `YYYYMMDD`, as a number or a text; zeros: not known."""
    said = text(value, name)
    if said is None or not said.strip("0"):
        return None
    iso = f"{said[:4]}-{said[4:6]}-{said[6:]}"
    if not (_is_day(said) and is_date(iso)):
        raise Refused(f"{name}: not a date written YYYYMMDD")
    return iso
