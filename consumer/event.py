"""An event: one fact about one order line, as a CloudEvent with an id of its own.

What the fact says is in `consumer.facts`, whose parts are to be had here as well: this is where
plugins and most modules have always found them.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Literal, Self

import msgspec
from msgspec import UNSET, Struct, UnsetType

from consumer.facts import (
    Address,
    Change,
    Data,
    Dates,
    Decimal,
    Extra,
    Line,
    Moment,
    Order,
    Parties,
    Party,
    Quantity,
    check_moment,
    timestamp,
)
from consumer.terse import terse

__all__ = [
    "Address",
    "Change",
    "Data",
    "Dates",
    "Decimal",
    "Event",
    "EventType",
    "Extra",
    "Line",
    "Moment",
    "Order",
    "Parties",
    "Party",
    "Quantity",
    "identify",
    "timestamp",
    "valid_traceparent",
]

EventType = Literal[
    "backorder.opened",
    "backorder.presell",
    "backorder.delayed",
    "backorder.allocation_cancelled",
    "backorder.updated",
    "backorder.cleared",
]

# https://www.w3.org/TR/trace-context/#traceparent-header
_is_traceparent = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
).fullmatch


def valid_traceparent(text: str | None) -> str | None:
    """A trace context as a sender gave it, or None where it is none."""
    return text if text is not None and _is_traceparent(text) else None


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
        check_moment("time", self.time)
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
_canonical = msgspec.json.Encoder(order="deterministic")  # sorts dicts; `terse` has sorted fields


def identify(source: str, type_: str, subject: str, data: Data, *, occurrence: int = 0) -> str:
    """The id of a fact: a digest of everything the fact says, 32 hexadecimal characters.

    The same fact gets the same id however it arrived, since transport, time of arrival, attribute
    order, prefixes and white space are not part of `data`. What is not known is not part of the
    digest, so that a later version may add fields without giving old facts new ids. `occurrence`
    tells apart facts that say the very same: within one message (the same item twice on one order),
    or one after the other (a line that is polled, ends, and comes back as it was).
    """
    said = _canonical.encode((source, type_, subject, occurrence, terse(data)))
    return hashlib.sha256(said).hexdigest()[:32]
