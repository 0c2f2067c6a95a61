"""What an event says about the state of its order line: what `backorders` shows of it.

Taken from `data.order`, `data.line`, `data.quantity` and `data.dates` only: `data.parties`, where
personal data is, has no part in it.
"""

from msgspec import Struct

from consumer.event import Event
from consumer.journal.moments import parse_moment, to_micros

ENDS = "backorder.cleared"
"""The one type of event that ends a back-order; every other one opens it or keeps it open."""


class LineState(Struct, frozen=True, kw_only=True):
    """An order line as its last event left it; `updated` is the event's time in microseconds."""

    order: str | None
    line: str | None
    item: str | None
    description: str | None
    quantity: str | None
    delay: str | None
    expected: str | None
    updated: int


def line_state(event: Event) -> LineState:
    """The state that an event leaves its order line in."""
    data = event.data
    return LineState(
        order=data.order.number,
        line=data.line.number,
        item=data.line.item,
        description=data.line.description or data.line.title,
        quantity=data.quantity.backordered,
        delay=data.delay,
        expected=data.dates.expected_ship or data.dates.expected_delivery,
        updated=to_micros(parse_moment(event.time)),
    )
