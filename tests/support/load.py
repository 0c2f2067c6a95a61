"""Load as Radial makes it: confirmed publishes, and posts repeated until answered 200."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Self

import aio_pika
import aiohttp

from waiting import until

_RADIAL = Path(__file__).parent.parent / "data" / "radial"
_MESSAGE = (_RADIAL / "OrderBackorder-Backorder.xml").read_bytes()
_LIST = (_RADIAL / "OrderBackorderList-Backorder.xml").read_bytes()
_TITLE = b"<Title>"
_AT_ONCE = 200
_POSTING_AT_ONCE = 8


def queue_of(store: str) -> str:
    """The queue that Radial keeps for a store."""
    return f"q.Order.BackOrder.{store}.2-0"


def order_message(store: str, order: str, padding: int = 0) -> bytes:
    """One `OrderBackorder` with one line, whose title is longer by `padding`."""
    return _of(_MESSAGE, store, order).replace(_TITLE, _TITLE + b"x" * padding, 1)


def order_list(store: str, order: str) -> bytes:
    """One flattened `OrderBackorderList` with one line."""
    return _of(_LIST, store, order)


def fact(event: Mapping[str, Any]) -> str:
    """What the load calls an event: its store and order number."""
    order = event["data"]["order"]
    return f"{order['account']}/{order['number']}"


def _of(template: bytes, store: str, order: str) -> bytes:
    return template.replace(b"TMS_US", store.encode()).replace(b"001198000610", order.encode())


class Publisher:
    """Radial's side of the queues: it owns them, and publishes with confirms.

    A message has `padding` bytes more than it needs, all of which the event has too.
    """

    def __init__(self, url: str, stores: Sequence[str], *, padding: int = 0) -> None:
        self._url = url
        self._stores = stores
        self._padding = padding

    async def __aenter__(self) -> Self:
        self._connection = await aio_pika.connect(self._url)
        self.channel = await self._connection.channel()
        for store in self._stores:
            await self.channel.declare_queue(queue_of(store), durable=True)
        return self

    async def __aexit__(self, *exc: object) -> None:
        for store in self._stores:
            await self.channel.queue_delete(queue_of(store))
        await self._connection.close()

    async def publish(self, orders: Iterable[tuple[str, str]], *, pause: float = 0.0) -> None:
        """Publish (store, order) pairs; return when the broker has confirmed all of them."""
        waiting = list(orders)
        exchange = self.channel.default_exchange
        for start in range(0, len(waiting), _AT_ONCE):
            chunk = waiting[start : start + _AT_ONCE]
            await asyncio.gather(
                *(
                    exchange.publish(
                        aio_pika.Message(
                            order_message(store, order, self._padding),
                            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                            type="OrderBackorder",
                        ),
                        queue_of(store),
                    )
                    for store, order in chunk
                )
            )
            await asyncio.sleep(pause)

    async def unsettled(self) -> int:
        """How many messages wait in the queues (those being delivered do not count)."""
        counts = []
        for store in self._stores:
            declared = await self.channel.declare_queue(queue_of(store), passive=True)
            counts.append(declared.declaration_result.message_count or 0)
        return sum(counts)


async def post_until_received(url: str, orders: Sequence[tuple[str, str]]) -> None:
    """Post (store, order) pairs as lists; a post that is not answered 200 is sent again."""
    waiting = list(orders)
    async with aiohttp.ClientSession() as client:

        async def work() -> None:
            while waiting:
                store, order = waiting.pop()
                body = order_list(store, order)
                await until(partial(_received, client, url, body), within=60)

        await asyncio.gather(*(work() for _ in range(_POSTING_AT_ONCE)))


async def _received(client: aiohttp.ClientSession, url: str, body: bytes) -> bool:
    try:
        async with client.post(
            url, data=body, headers={"Content-Type": "application/xml"}
        ) as response:
            await response.read()
            return response.status == 200
    except aiohttp.ClientError:
        return False


class Load:
    """New facts by queue and by webhook, for as long as `going` is entered.

    `published` are those that the broker has confirmed, `answered` those whose post was answered
    200, both as `fact` has them. `pause` are the seconds between two batches of messages, a tenth
    of it those between two posts of a sender.
    """

    def __init__(
        self, radial: Publisher, hook: str, stores: Sequence[str], *, pause: float
    ) -> None:
        self.published: set[str] = set()
        self.answered: set[str] = set()
        self._radial = radial
        self._hook = hook
        self._stores = stores
        self._pause = pause
        self._over = False

    @property
    def expected(self) -> set[str]:
        """Everything that has to be in the journal in the end."""
        return self.published | self.answered

    @asynccontextmanager
    async def going(self) -> AsyncIterator[None]:
        """Keep it up meanwhile; afterwards wait until everything begun is confirmed or answered."""
        self._over = False
        async with aiohttp.ClientSession() as client, asyncio.TaskGroup() as work:
            work.create_task(self._publish())
            numbers = count(len(self.answered))
            for _ in range(_POSTING_AT_ONCE):
                work.create_task(self._post(client, numbers))
            try:
                yield
            finally:
                self._over = True

    async def _publish(self) -> None:
        numbers = count(len(self.published))
        while not self._over:
            batch = [
                (self._store(n), f"Q{n}") for n, _ in zip(numbers, range(_AT_ONCE), strict=False)
            ]
            await self._radial.publish(batch, pause=self._pause)
            self.published |= {f"{store}/{order}" for store, order in batch}

    async def _post(self, client: aiohttp.ClientSession, numbers: Iterable[int]) -> None:
        for number in numbers:
            if self._over:
                return
            store, order = self._store(number), f"W{number}"
            body = order_list(store, order)
            await until(partial(_received, client, self._hook, body), within=60)
            self.answered.add(f"{store}/{order}")
            await asyncio.sleep(self._pause / 10)

    def _store(self, number: int) -> str:
        return self._stores[number % len(self._stores)]
