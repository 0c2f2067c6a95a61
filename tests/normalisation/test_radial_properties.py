"""What holds for every Radial message: formatting does not matter, and nothing is lost."""

import copy
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from consumer.errors import Refused
from consumer.event import Event
from consumer.normalisation import normalise
from consumer.simulators.radial import RadialWorld

NAMESPACE = "http://api.gsicommerce.com/schema/checkout/1.0"
RECEIVED = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
SAMPLE = Path(__file__).parent.parent / "data" / "radial" / "OrderBackorder-Backorder.xml"


def messages() -> list[bytes]:
    """The sample, and simulated messages with everything that these have: both generations,
    several lines and ship groups, a pick-up."""
    world = RadialWorld(seed=1)
    bodies = [world.order_backorder().body for _ in range(40)]
    wanted = (b"DeliveryWindow", b"StoreHours", b'webLineId="4"')
    return [SAMPLE.read_bytes(), *(next(b for b in bodies if word in b) for word in wanted)]


MESSAGES = messages()
bodies = st.sampled_from(MESSAGES)
seeds = st.integers(0, 2**32)  # of a generator that makes the many small choices quickly


def choices(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - repeatable on purpose


def events_of(element: Any) -> tuple[Event, ...]:
    return normalise(element, received=RECEIVED)


# --- formatting ------------------------------------------------------------------------------


def reformatted(element: Any, pick: random.Random, prefix: str = "") -> str:
    """The element as somebody else would write it."""

    def space() -> str:
        return pick.choice(("", "", " ", "\n\t", "<!-- c -->", "<?p i?>"))

    wanted = pick.choice((prefix, "", "a", "b"))
    name = (
        f"{wanted}:{etree.QName(element).localname}" if wanted else etree.QName(element).localname
    )
    attributes = [f"{key}={quoteattr(value)}" for key, value in element.items()]
    attributes.append(f'xmlns{":" if wanted else ""}{wanted}="{NAMESPACE}"')
    pick.shuffle(attributes)
    content = [reformatted(child, pick, wanted) for child in element]
    text = element.text or ""
    if text.strip():
        cut = pick.randrange(len(text) + 1)
        content += [escape(text[:cut]), pick.choice(("", "<!-- c -->")), escape(text[cut:])]
    parts = [part for each in content for part in (space() if not text.strip() else "", each)]
    inner = "".join((space(), *parts, space()))
    said = pick.choice((" ", "\n")).join((name, *attributes))
    return f"<{said}>{inner}</{name}>"


@settings(deadline=None, max_examples=60)
@given(body=bodies, seed=seeds)
def test_formatting_does_not_matter(body: bytes, seed: int) -> None:
    element = etree.fromstring(body)
    other = etree.fromstring(reformatted(element, choices(seed)))
    assert [event.encode() for event in events_of(other)] == [
        event.encode() for event in events_of(element)
    ]


# --- everything counts -----------------------------------------------------------------------


def variations(element: Any) -> Iterator[Any]:
    """The element with one of its texts or attributes changed, each in turn."""
    for place, part in enumerate(element.iter()):
        for key in part.keys():  # noqa: SIM118 - elements iterate over their children
            changed = copy.deepcopy(element)
            list(changed.iter())[place].set(key, f"{part.get(key)}9")
            yield changed
        if part.text and part.text.strip():
            changed = copy.deepcopy(element)
            known = {"Backorder": "Pre-Sell", "Pre-Sell": "Backorder"}
            list(changed.iter())[place].text = known.get(part.text, f"{part.text}9")
            yield changed


@pytest.mark.parametrize("body", MESSAGES)
def test_whatever_is_said_differently_is_another_fact(body: bytes) -> None:
    element = etree.fromstring(body)
    known = {tuple(event.id for event in events_of(element))}
    for changed in variations(element):
        ids = tuple(event.id for event in events_of(changed))
        assert ids not in known, etree.tostring(changed)
        known.add(ids)
    assert len(known) > 40


# --- nothing is lost -------------------------------------------------------------------------

NAMES = (
    *("Note", "Gift", "id", "webLineId", "customerOrderId", "OrderItem", "OrderSummary", "SKU"),
    *("Customer", "Name", "PersonName", "LastName", "Address", "Line1", "EmailAddress", "quantity"),
    *("BillingAddress", "ShippedAddress", "StoreFrontAddress", "StoreFrontLocation", "Phone"),
    *("EDDMessage", "DeliveryWindow", "From", "EstimatedShipDate", "Description", "Pricing"),
    *("Amount", "ShippingDelayType", "orderDate", "currency", "storeId", "ShipGroups"),
)
NAMESPACES = (f"{{{NAMESPACE}}}", f"{{{NAMESPACE}}}", "{urn:other}", "")


class Drift:
    """Puts made-up parts into a message, every text and attribute unlike any other.

    Their names are unknown, or known from another place; in Radial's, another or no namespace.
    """

    def __init__(self, pick: random.Random) -> None:
        self.pick = pick
        self.marked = 0

    def mark(self) -> str:
        self.marked += 1
        return f"{self.pick.choice(('', ' ', 'é', '<a> &'))}#{self.marked}\n"

    def element(self, depth: int = 0) -> Any:
        pick = self.pick
        element = etree.Element(pick.choice(NAMESPACES) + pick.choice(NAMES))
        element.text = pick.choice((None, self.mark()))
        element.tail = pick.choice((None, self.mark()))
        for name in pick.sample(NAMES, k=pick.choice((0, 0, 1, 2))):
            element.set(pick.choice(("", "", "{urn:other}")) + name, self.mark())
        for _ in range(pick.randrange(3) if depth < 3 else 0):
            element.append(self.element(depth + 1))
        return element

    def spread(self, root: Any) -> None:
        parts = [part for part in root.iter() if etree.QName(part).localname != "ShippingDelayType"]
        for _ in range(self.pick.randrange(12)):
            parent = self.pick.choice(parts)
            parent.insert(self.pick.randrange(len(parent) + 1), self.element())


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from strings(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from strings(each)


def utc(text: str) -> str:
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


@settings(deadline=None, max_examples=200)
@given(body=bodies, seed=seeds)
def test_nothing_is_lost(body: bytes, seed: int) -> None:
    root = etree.fromstring(body)
    Drift(choices(seed)).spread(root)
    delay = root.findtext(f"{{{NAMESPACE}}}ShippingDelayType")
    try:
        events = events_of(root)
    except Refused:  # where the lines are looked for stands something else: kept as a whole
        return

    found: set[str] = {event.data.delay or "" for event in events}
    for event in events:
        found.update(strings(msgspec.to_builtins(event.data)))
    said: Any = root.xpath("//text() | //@*")
    wanted = {str(text).strip() for text in said} - {"", delay}
    assert {text for text in wanted if text not in found and utc(text) not in found} == set()
