"""What an event says: one fact about one order line, and the parts that it is made of.

Values are frozen and cannot be built invalid. Two conventions hold throughout: quantities and
money are decimal *strings* (never floats, and no exponent), moments are ISO 8601 *strings*, either
a date or a UTC timestamp ending in `Z`. What is not known is None.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import astuple

# Also the patterns of the JSON Schema, hence regular expressions of ECMAScript as well. How many
# days a month has, they leave to those who write events.
_DECIMAL = r"^-?[0-9]+(\.[0-9]+)?$"
_MOMENT = (
    r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
    r"(T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?Z)?$"
)

Decimal = Annotated[str, Meta(pattern=_DECIMAL, description="a decimal number as a string")]
Moment = Annotated[str, Meta(pattern=_MOMENT, description="a date, or a UTC timestamp with Z")]
Extra = dict[str, Any]

# In Python a `$` also stands before a newline at the end: the whole text has to match.
_is_decimal = re.compile(_DECIMAL).fullmatch
_is_moment = re.compile(_MOMENT).fullmatch


def _check_decimal(name: str, value: object) -> None:
    if not (isinstance(value, str) and _is_decimal(value)):
        raise ValueError(f"{name} is not a decimal string")


def check_moment(name: str, value: object) -> None:
    """Raise ValueError, which says `name`, where a value is not a `Moment`."""
    if not (isinstance(value, str) and _is_moment(value)):
        raise ValueError(f"{name} is not a date or UTC timestamp")


def timestamp(moment: datetime) -> Moment:
    """An aware datetime as the wire wants it: UTC, ending in `Z`."""
    if moment.tzinfo is None:
        raise ValueError("a naive datetime has no place in an event")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


class Order(Struct, frozen=True, kw_only=True):
    """The order that the line belongs to; `account` is who ordered (store, customer number)."""

    number: str | None = None
    date: Moment | None = None
    account: str | None = None
    purchase_order: str | None = None
    locale: str | None = None
    currency: str | None = None
    total: Decimal | None = None

    def __post_init__(self) -> None:
        if self.total is not None:
            _check_decimal("total", self.total)
        if self.date is not None:
            check_moment("date", self.date)


class Line(Struct, frozen=True, kw_only=True):
    """The order line: what was ordered."""

    number: str | None = None
    item: str | None = None
    description: str | None = None
    title: str | None = None
    sku: str | None = None
    upc: str | None = None
    manufacturer: str | None = None
    manufacturer_part: str | None = None
    vendor_item: str | None = None
    color: str | None = None
    size: str | None = None
    unit_price: Decimal | None = None
    amount: Decimal | None = None

    def __post_init__(self) -> None:
        if self.unit_price is not None:
            _check_decimal("unit_price", self.unit_price)
        if self.amount is not None:
            _check_decimal("amount", self.amount)


class Quantity(Struct, frozen=True, kw_only=True):
    """How many, in the unit the upstream counts in."""

    backordered: Decimal | None = None
    ordered: Decimal | None = None
    shipped: Decimal | None = None

    def __post_init__(self) -> None:
        if self.backordered is not None:
            _check_decimal("backordered", self.backordered)
        if self.ordered is not None:
            _check_decimal("ordered", self.ordered)
        if self.shipped is not None:
            _check_decimal("shipped", self.shipped)


class Dates(Struct, frozen=True, kw_only=True):
    """What the upstream says about when."""

    need_by: Moment | None = None
    informed: Moment | None = None
    expected_ship: Moment | None = None
    expected_delivery: Moment | None = None
    expected_delivery_until: Moment | None = None
    updated: Moment | None = None
    cleared: Moment | None = None

    def __post_init__(self) -> None:
        moments = astuple(self)
        if moments.count(None) == len(moments):
            return  # as in most facts
        for name, value in zip(self.__struct_fields__, moments, strict=True):
            if value is not None:
                check_moment(name, value)


class Address(Struct, frozen=True, kw_only=True):
    """A postal address; `region` is a state, province or county."""

    lines: tuple[str, ...] = ()
    city: str | None = None
    region: str | None = None
    postal_code: str | None = None
    country: str | None = None
    extra: Extra = {}


class Party(Struct, frozen=True, kw_only=True):
    """A person or an organisation. Personal data lives here and nowhere else in an event."""

    id: str | None = None
    number: str | None = None
    name: str | None = None
    honorific: str | None = None
    first_name: str | None = None
    middle_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone: str | None = None
    address: Address | None = None
    extra: Extra = {}


class Parties(Struct, frozen=True, kw_only=True):
    """Everybody an order line has to do with."""

    customer: Party | None = None
    bill_to: Party | None = None
    ship_to: Party | None = None
    store: Party | None = None
    vendor: Party | None = None
    project: Party | None = None
    submitter: Party | None = None


class Change(Struct, frozen=True, kw_only=True):
    """What changed in a line's data: `field` is a dotted path below `data`.

    Of a field below `parties`, and of `extra.updates`, both values are None: personal data stands
    in `parties` alone, and what CINX's history of updates holds nobody knows.
    """

    field: str
    before: Any = None
    after: Any = None


class Data(Struct, frozen=True, kw_only=True):
    """What happened to one order line; `extra` holds every upstream field without a place here.

    `changes` is there in `backorder.updated` only: what is different from the event before.
    """

    order: Order
    line: Line
    quantity: Quantity
    delay: str | None = None
    reason: str | None = None
    dates: Dates = Dates()
    parties: Parties = Parties()
    changes: tuple[Change, ...] | UnsetType = UNSET
    extra: Extra = {}
