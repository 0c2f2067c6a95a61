"""Load as Radial makes it: confirmed publishes, and posts repeated until answered 200."""

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Self

import aio_pika
import aiohttp

from waiting import until

_RADIAL = Path(__file__).parent / "data" / "radial"
_MESSAGE = (_RADIAL / "OrderBackorder-Backorder.xml").read_bytes()
_LIST = (_RADIAL / "OrderBackorderList-Backorder.xml").read_bytes()
_AT_ONCE = 200
_POSTING_AT_ONCE = 8


def queue_of(store: str) -> str:
    """The queue that Radial keeps for a store."""
    return f"q.Order.BackOrder.{store}.2-0"


def order_message(store: str, order: str) -> bytes:
    """One `OrderBackorder` with one line."""
    return _of(_MESSAGE, store, order)


def order_list(store: str, order: str) -> bytes:
    """One flattened `OrderBackorderList` with one line."""
    return _of(_LIST, store, order)


def _of(template: bytes, store: str, order: str) -> bytes:
    return template.replace(b"TMS_US", store.encode()).replace(b"001198000610", order.encode())


class Publisher:
    """Radial's side of the queues: it owns them, and publishes with confirms."""

    def __init__(self, url: str, stores: Sequence[str]) -> None:
        self._url = url
        self._stores = stores

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
                            order_message(store, order),
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
