"""Radial's orders, made up: what a store's queue and Radial's webhook service would carry.

Pure and repeatable: the same seed and stores give the same bytes. Orders live on: one that was
reported may be reported again as delayed or as cancelled, never twice in the same way, so that
every fact of a world is a new one. Both generations of the message occur, every delay type, one to
four lines in one or two ship groups, home delivery and store pick-up, and lists in both shapes.

All people are made up, and their addresses are at example.com.
"""

import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from consumer.event import EventType
from consumer.simulators import radial_xml
from consumer.simulators.radial_xml import Item, Order, Person

_START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
_OPEN_ORDERS = 200
_CHANCE_OF_NEWS = 0.3
_CHANCE_OF_PICK_UP = 0.2

# what a new order is reported as (None: the generation of 2016), and what may follow on that
_FIRST: tuple[str | None, ...] = ("Backorder", "Backorder", "Backorder", "Pre-Sell", None)
_NEXT: dict[str | None, tuple[str, ...]] = {
    None: (),
    "Pre-Sell": ("1stDelayNotification",),
    "Backorder": ("1stDelayNotification", "AllocateCancelNotification"),
    "1stDelayNotification": ("AllocateCancelNotification",),
    "AllocateCancelNotification": (),
}
_TYPES: dict[str | None, EventType] = {
    None: "backorder.opened",
    "Backorder": "backorder.opened",
    "Pre-Sell": "backorder.presell",
    "1stDelayNotification": "backorder.delayed",
    "AllocateCancelNotification": "backorder.allocation_cancelled",
}
_FIRST_NAMES = ("Ada", "Björn", "Chloé", "Dmitri", "Eun-ji", "Fatima", "Grace", "Hiro")
_LAST_NAMES = ("Archer", "Bennett", "Castañeda", "Dvořák", "Ellis", "Fraser", "O'Neil", "Young")
_STREETS = ("Allendale Rd", "Church Ave", "Foundry St", "Harbour View", "Mill Lane", "Orchard Dr")
_PLACES = (
    ("King Of Prussia", "PA", "19406"),
    ("Portland", "OR", "97205"),
    ("Austin", "TX", "78701"),
    ("Madison", "WI", "53703"),
)
_GOODS = ("Wool Scarf", "Desk Lamp", "Trail Shoe", "Salt & Pepper Mill", "Rain Jacket", "Tea Pot")
_COLORS = ("Brown", "Navy", "Forest Green", "Off-White")
_SIZES = ("6-M", "S", "XL", "One Size")
_METHODS = (("STD", "Standard"), ("EXP", "Express"))
_LINES = (1, 1, 1, 1, 2, 3, 4)
_QUANTITIES = (1, 1, 1, 2, 5)


@dataclass(frozen=True, slots=True)
class Fact:
    """What has to arrive as one event."""

    source: str
    type: EventType
    subject: str
    quantity: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A message as Radial would send it for a store, and the facts that it carries, in order."""

    store: str
    body: bytes
    facts: tuple[Fact, ...]


class RadialWorld:
    """The orders of some stores. Not for several threads at once."""

    def __init__(self, seed: int, stores: Sequence[str] = ("TMS_US",)) -> None:
        if not stores:
            raise ValueError("a world needs a store")
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose, no secret
        self._stores = tuple(stores)
        self._serial = self._random.randrange(1_000_000) * 1_000_000
        self._now = _START
        self._open: dict[str, deque[Order]] = {}

    def order_backorder(self, store: str | None = None) -> Sent:
        """One message of a store's queue: an OrderBackorder. Without a store, of any."""
        order = self._report(store or self._random.choice(self._stores))
        return Sent(order.store, radial_xml.single(order), _facts(order))

    def order_backorder_list(self, events: int = 1, store: str | None = None) -> Sent:
        """One post of the webhook service: an OrderBackorderList of that many events of a store.

        A single event is flattened into the list, as Radial's document shows it, or stands in it
        as several do.
        """
        if events < 1:
            raise ValueError("a list holds at least one event")
        store = store or self._random.choice(self._stores)
        orders = [self._report(store) for _ in range(events)]
        if events == 1 and self._random.choice((True, False)):
            body = radial_xml.flattened(orders[0])
        else:
            body = radial_xml.together(orders)
        return Sent(store, body, tuple(fact for order in orders for fact in _facts(order)))

    def _report(self, store: str) -> Order:
        """A new order, or news of one that was reported before."""
        known = self._open.setdefault(store, deque(maxlen=_OPEN_ORDERS))
        if known and self._random.random() < _CHANCE_OF_NEWS:
            order = known.popleft()
            order = replace(order, delay=self._random.choice(_NEXT[order.delay]))
        else:
            order = self._new_order(store)
        if _NEXT[order.delay]:
            known.append(order)
        return order

    def _new_order(self, store: str) -> Order:
        self._serial += 1
        self._now += timedelta(seconds=self._random.randrange(1, 600))
        picked_up = self._random.random() < _CHANCE_OF_PICK_UP
        items = [self._item(line) for line in range(1, 1 + self._random.choice(_LINES))]
        first_group = self._random.randrange(len(items))
        groups = (tuple(items[:first_group]), tuple(items[first_group:]))
        return Order(
            number=f"{self._serial:012d}",
            store=store,
            placed=self._now,
            delay=self._random.choice(_FIRST),
            buyer=self._person(),
            groups=tuple(group for group in groups if group),
            picked_up=picked_up,
        )

    def _person(self) -> Person:
        pick = self._random.choice
        return Person(
            id=f"{self._serial:08d}W{self._random.randrange(10_000):04d}",
            first=pick(_FIRST_NAMES),
            last=pick(_LAST_NAMES),
            email=f"buyer{self._serial}@example.com",
            phone=f"555-01{self._random.randrange(100):02d}",
            street=f"{self._random.randrange(1, 999)} {pick(_STREETS)}",
            place=pick(_PLACES),
        )

    def _item(self, line: int) -> Item:
        pick = self._random.choice
        return Item(
            line=line,
            quantity=pick(_QUANTITIES),
            cents=self._random.randrange(500, 25_000),
            sku=f"{self._random.randrange(10_000_000, 100_000_000)}",
            title=pick(_GOODS),
            color=pick(_COLORS),
            size=pick(_SIZES),
            method=pick(_METHODS),
        )


def _facts(order: Order) -> tuple[Fact, ...]:
    return tuple(
        Fact(
            source=f"/radial/{quote(order.store, safe='')}",
            type=_TYPES[order.delay],
            subject=f"{order.number}/{item.line}",
            quantity=str(item.quantity),
        )
        for items in order.groups
        for item in items
    )
