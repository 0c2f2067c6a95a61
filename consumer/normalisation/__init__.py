"""Payloads to events: a table from the root's name to the function that reads it.

Pure: what comes out depends on nothing but what goes in.
"""

from collections.abc import Callable
from datetime import datetime

from lxml import etree

from consumer.errors import Refused
from consumer.event import Event
from consumer.normalisation import radial
from consumer.normalisation.xml import name_of

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
) -> tuple[Event, ...]:
    """The events of one element that was found valid, one for each order line, in its order.

    `received` is aware and serves where the element does not say when; `drift` names what the
    schemas do not know. Neither these nor `traceparent` are part of an event's id. Raises Refused
    for what cannot be told as events.
    """
    name = name_of(str(element.tag))
    try:
        read = ROOTS[name]
    except KeyError:
        raise Refused(f"{name} is no root of a back-order: expected {' or '.join(ROOTS)}") from None
    return read(element, received=received, drift=drift, traceparent=traceparent)
