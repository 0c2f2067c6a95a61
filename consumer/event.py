"""An event: one fact about one order line, as a CloudEvent, and the parts it is made of.

Values are frozen and cannot be built invalid. Two conventions hold throughout: quantities and
money are decimal *strings* (never floats, and no exponent), moments are ISO 8601 *strings*, either
a date or a UTC timestamp ending in `Z`. What is not known is None.
"""

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import astuple

from consumer.terse import NO_DICT, terse

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

EventType = Literal[
    "backorder.opened",
    "backorder.presell",
    "backorder.delayed",
    "backorder.allocation_cancelled",
    "backorder.updated",
    "backorder.cleared",
]

# In Python a `$` also stands before a newline at the end: the whole text has to match.
_is_decimal = re.compile(_DECIMAL).fullmatch
_is_moment = re.compile(_MOMENT).fullmatch


# https://www.w3.org/TR/trace-context/#traceparent-header
_is_traceparent = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
).fullmatch


def valid_traceparent(text: str | None) -> str | None:
    """A trace context as a sender gave it, or None where it is none."""
    return text if text is not None and _is_traceparent(text) else None


def _check_decimal(name: str, value: object) -> None:
    if not (isinstance(value, str) and _is_decimal(value)):
        raise ValueError(f"{name} is not a decimal string")


def _check_moment(name: str, value: object) -> None:
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
            _check_moment("date", self.date)


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
        for name, value in zip(self.__struct_fields__, astuple(self), strict=True):
            if value is not None:
                _check_moment(name, value)


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


class Event(Struct, frozen=True, kw_only=True):
    """One fact about one order line, as a CloudEvent 1.0 in structured JSON.

    `drift` is an extension attribute: the names of elements and attributes that the schemas do
    not know, comma separated; absent where there are none. `traceparent` likewise. `replay` is true
    where a person had the event sent again, and absent otherwise: it says something about the
    delivery and nothing about the fact, and is never stored.
    """

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str
    type: EventType
    subject: str
    time: Moment
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Literal["urn:backorder-consumer:event:1"] = "urn:backorder-consumer:event:1"
    partitionkey: str
    drift: str | UnsetType = UNSET
    traceparent: str | UnsetType = UNSET
    replay: bool | UnsetType = UNSET
    data: Data

    def __post_init__(self) -> None:
        _check_moment("time", self.time)
        if self.traceparent is not UNSET and valid_traceparent(self.traceparent) is None:
            raise ValueError("traceparent is not a trace context")
        if not (self.id and self.source and self.subject):
            raise ValueError("an event needs an id, a source and a subject")

    @classmethod
    def of(
        cls,
        *,
        source: str,
        type: EventType,
        subject: str,
        time: Moment,
        data: Data,
        drift: Sequence[str] = (),
        traceparent: str | None = None,
        occurrence: int = 0,
    ) -> Self:
        """An event with its id and partition key worked out; `occurrence` as in `identify`."""
        return cls(
            id=identify(source, type, subject, data, occurrence=occurrence),
            source=source,
            type=type,
            subject=subject,
            time=time,
            partitionkey=f"{source}/{subject}",
            drift=",".join(drift) or UNSET,
            traceparent=traceparent or UNSET,
            data=data,
        )

    def encode(self) -> bytes:
        """The event as the JSON that is stored and delivered, byte for byte the same each time."""
        return _encoder.encode(self)


_encoder = msgspec.json.Encoder()
_canonical = msgspec.json.Encoder(order="deterministic")
_address = terse(Address, empty={"lines": (), "extra": NO_DICT})
_party = terse(Party, empty={"extra": NO_DICT}, parts={"address": _address})
_parts: dict[str, type[Struct]] = {
    "order": Order,
    "line": Line,
    "quantity": Quantity,
    "dates": Dates,
}
_known = terse(
    Data,
    empty={"changes": (), "extra": NO_DICT},
    parts={name: terse(model) for name, model in _parts.items()}
    | {"parties": terse(Parties, parts=dict.fromkeys(Parties.__struct_fields__, _party))},
)


def identify(source: str, type_: str, subject: str, data: Data, *, occurrence: int = 0) -> str:
    """The id of a fact: a digest of everything the fact says, 32 hexadecimal characters.

    The same fact gets the same id however it arrived, since transport, time of arrival, attribute
    order, prefixes and white space are not part of `data`. What is not known is not part of the
    digest, so that a later version may add fields without giving old facts new ids. `occurrence`
    tells apart facts that say the very same: within one message (the same item twice on one order),
    or one after the other (a line that is polled, ends, and comes back as it was).
    """
    known = msgspec.convert(data, _known, from_attributes=True)
    said = _canonical.encode((source, type_, subject, occurrence, known))
    return hashlib.sha256(said).hexdigest()[:32]
