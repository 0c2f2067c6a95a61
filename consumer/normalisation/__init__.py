"""Payloads to events: a table from the root's name to the function that reads it.

Pure: what comes out depends on nothing but what goes in.
"""

from collections.abc import Callable
from datetime import datetime

from lxml import etree
from msgspec.structs import replace

from consumer.errors import Refused
from consumer.event import Event
from consumer.normalisation import radial
from consumer.normalisation.taking import as_node, put_back
from consumer.normalisation.xml import Node, name_of, read

ROOTS: dict[str, Callable[..., tuple[Event, ...]]] = {
    "OrderBackorder": radial.backorders,
    "OrderBackorderList": radial.backorders,
}


def normalise(
    element: etree._Element,
    *,
    received: datetime,
    drift: tuple[str, ...] = (),
    traceparent: str | None = None,
    around: etree._Element | None = None,
    most_bytes: int = 64 << 20,
) -> tuple[Event, ...]:
    """The events of one element that was found valid, one for each order line, in its order.

    `received` is aware and serves where the element does not say when; `drift` names what the
    schemas do not know. Neither these nor `traceparent` are part of an event's id.

    `around` is the list that the element stood in, without its events. What that says of them all
    is kept in every event's `extra` under the list's name, but is no part of the id either: the
    same fact comes in a list by webhook, and without one by queue.

    Raises Refused for what cannot be told as events, and as soon as those of an order's lines are
    more than `most_bytes`.
    """
    name = name_of(str(element.tag))
    try:
        tell = ROOTS[name]
    except KeyError:
        raise Refused(f"{name} is no root of a back-order: expected {' or '.join(ROOTS)}") from None
    events = tell(element, received=received, drift=drift, traceparent=traceparent, most=most_bytes)
    if around is None or not (said := as_node(read(around))):
        return events
    return tuple(_beside(event, name_of(str(around.tag)), said) for event in events)


def _beside(event: Event, name: str, said: Node) -> Event:
    """The event, its id unchanged, with what was said beside it."""
    extra = dict(event.data.extra)
    put_back(extra, name, said)
    return replace(event, data=replace(event.data, extra=extra))
