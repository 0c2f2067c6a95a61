"""The soak's load: Radial's messages at a steady rate, by queue and by webhook.

Rules
- A message counts as accepted when the broker has confirmed it, or a post was answered 200; until
  then it is sent again, as Radial does it. So faults repeat messages, and never lose any.
- Order lines are drawn from a fixed number of them: Radial never says that one is over, and the
  journal keeps the state of each for good.
- A sender that a fault held up does not make up for it: load is steady, not a flood afterwards.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count, cycle
from time import monotonic

import aiohttp

from benchmarks.soak_ledger import PRESELL_ONE_IN, Ledger
from consumer.amqp import Dialer, Letter, Link, LinkSettings, Publisher
from consumer.errors import Unavailable
from consumer.model import utc_now
from consumer.simulators import radial_xml
from consumer.simulators.radial_feed import queue_of
from consumer.simulators.radial_xml import Item, Order, Person
from consumer.values import Secret

STORES = ("TMS_US", "TMS_CA")
WEBHOOK_PATH = "/webhooks/radial/order-backorder"

_ORDERS = 5_000
_NUMBER, _QUANTITY = "000000000000", 987_654_321
_TICK = 0.05
_MOST_AT_ONCE = 500
_POSTING = 4
_CONFIRM_TIMEOUT = 15.0
_POST_TIMEOUT = aiohttp.ClientTimeout(total=15.0)
_PAUSE = 0.5
_XML = {"Content-Type": "application/xml"}
_TROUBLE = (Unavailable, OSError, TimeoutError)


def _template(delay: str) -> Order:
    buyer = Person(
        id="00000001W0001",
        first="Ada",
        last="Archer",
        email="buyer@example.com",
        phone="555-0101",
        street="1 Mill Lane",
        place=("Austin", "TX", "78701"),
    )
    item = Item(
        line=1,
        quantity=_QUANTITY,
        cents=0,
        sku="12345678",
        title="Tea Pot",
        color="Navy",
        size="S",
        method=("STD", "Standard"),
    )
    return Order(
        number=_NUMBER,
        store=STORES[0],
        placed=datetime(2026, 1, 5, tzinfo=UTC),
        delay=delay,
        buyer=buyer,
        groups=((item,),),
        picked_up=False,
    )


_DELAYS = ("Backorder", "Pre-Sell")
_MESSAGES = [radial_xml.single(_template(delay)) for delay in _DELAYS]
_POSTS = [radial_xml.flattened(_template(delay)) for delay in _DELAYS]


def store_of(serial: int) -> str:
    """Whose message a serial is."""
    return STORES[serial % len(STORES)]


def message(serial: int) -> bytes:
    """One message of a queue."""
    return _filled(_MESSAGES, serial)


def post(serial: int) -> bytes:
    """One post of the webhook service."""
    return _filled(_POSTS, serial)


def _filled(templates: Sequence[bytes], serial: int) -> bytes:
    template = templates[serial % PRESELL_ONE_IN == 0]
    return (
        template.replace(_NUMBER.encode(), f"{serial % _ORDERS:012d}".encode())
        .replace(STORES[0].encode(), store_of(serial).encode())
        .replace(str(_QUANTITY).encode(), str(serial).encode())
    )


class Pace:
    """How many messages are due, at so many a second; what was missed for long is left out."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._last = monotonic()
        self._owed = 0.0

    def due(self) -> int:
        """How many to send now."""
        now = monotonic()
        self._owed = min(self._owed + (now - self._last) * self._rate, self._rate)
        self._last = now
        due = min(int(self._owed), _MOST_AT_ONCE)
        self._owed -= due
        return due


def letter(serial: int, number: int) -> Letter:
    """A message as the broker gets it, the `number`th."""
    return Letter(
        id=f"soak-{number}",
        routing_key=queue_of(store_of(serial)),
        type="OrderBackorder",
        content_type="application/xml",
        timestamp=utc_now(),
        headers={},
        body=message(serial),
    )


def dialer(url: str) -> Dialer:
    """How the soak itself connects to the broker."""
    return Dialer(LinkSettings(urls=(Secret(url),), name="backorder-consumer soak"))


async def publish_all(link: Link, ledger: Ledger, number: int) -> None:
    """Publish so many messages as fast as the broker takes them."""
    serials = [ledger.serial() for _ in range(number)]
    async with Publisher.open(link, exchange="", mandatory=True) as publisher:
        for first in range(0, number, _MOST_AT_ONCE):
            some = serials[first : first + _MOST_AT_ONCE]
            await publisher.publish([letter(one, one) for one in some], within=_CONFIRM_TIMEOUT)
            ledger.accept(some)


class QueueSender:
    """Publishes `rate` messages a second; one of `hostile` goes along each second."""

    def __init__(self, url: str, ledger: Ledger, rate: float, hostile: Sequence[bytes]) -> None:
        self._dialer = dialer(url)
        self._ledger = ledger
        self._rate = rate
        self._hostile = cycle(hostile)
        self._waiting: list[int] = []
        self._letters = count(1)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`, over lost connections; returns when all is confirmed."""
        while not stop.is_set() or self._waiting:
            with suppress(*_TROUBLE):
                link = await self._dialer.dial()
                try:
                    await self._publish(link, stop)
                finally:
                    await link.close()
            await asyncio.sleep(_PAUSE)

    async def _publish(self, link: Link, stop: asyncio.Event) -> None:
        """On one connection; what is not confirmed when that is lost goes out by the next one."""
        good, bad = Pace(self._rate), Pace(1.0)
        async with Publisher.open(link, exchange="", mandatory=True) as publisher:
            while self._waiting or not stop.is_set():
                if not self._waiting:
                    self._waiting += [self._ledger.serial() for _ in range(good.due())]
                letters = [letter(serial, next(self._letters)) for serial in self._waiting]
                letters += [
                    letter(0, next(self._letters))._replace(body=next(self._hostile))
                    for _ in range(bad.due())
                ]
                if letters:
                    await publisher.publish(letters, within=_CONFIRM_TIMEOUT)
                self._ledger.accept(self._waiting)
                self._waiting.clear()
                await asyncio.sleep(_TICK)


async def post_steadily(url: str, ledger: Ledger, rate: float, stop: asyncio.Event) -> None:
    """Post `rate` messages a second until `stop`, each until it is answered 200."""
    async with aiohttp.ClientSession(timeout=_POST_TIMEOUT) as client:
        await asyncio.gather(*(_post(client, url, ledger, rate, stop) for _ in range(_POSTING)))


async def _post(
    client: aiohttp.ClientSession, url: str, ledger: Ledger, rate: float, stop: asyncio.Event
) -> None:
    pace = Pace(rate / _POSTING)
    while not stop.is_set():
        for _ in range(pace.due()):
            serial = ledger.serial()
            body = post(serial)
            while not await received(  # noqa: ASYNC110 - there is no event: asking again is it
                client, url, body
            ):
                await asyncio.sleep(_PAUSE)
            ledger.accept([serial])
        await asyncio.sleep(_TICK)


async def received(client: aiohttp.ClientSession, url: str, body: bytes) -> bool:
    """Post once; whether the answer was 200."""
    try:
        async with client.post(url, data=body, headers=_XML) as response:
            await response.read()
            return response.status == 200  # noqa: PLR2004 - the status that the contract names
    except (aiohttp.ClientError, TimeoutError):
        return False
