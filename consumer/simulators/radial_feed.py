"""Radial's two ways of sending, played for the demonstration: store queues, and webhook posts.

A publish counts when the broker has confirmed it, a post when it was answered 200; like Radial, the
webhook's sender posts again until it is.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from itertools import count

import aiohttp

from consumer.amqp import Dialer, Letter, LinkSettings, Publisher
from consumer.model import utc_now
from consumer.simulators.radial import Sent
from consumer.values import Secret

Feed = Callable[[Sent], Awaitable[None]]

_CONFIRM_TIMEOUT = 30.0
_SECONDS_BETWEEN_POSTS = 0.5


def queue_of(store: str) -> str:
    """The queue that Radial keeps for a store."""
    return f"q.Order.BackOrder.{store}.2-0"


@asynccontextmanager
async def queue_feed(url: str, stores: Sequence[str]) -> AsyncIterator[Feed]:
    """Make the stores' queues; publish each message to the queue of its store."""
    settings = LinkSettings(urls=(Secret(url),), name="backorder-consumer simulated Radial")
    link = await Dialer(settings).dial()
    numbers = count(1)
    try:
        for store in stores:
            await link.make_queue(queue_of(store))
        async with Publisher.open(link, exchange="", mandatory=True) as publisher:

            async def publish(sent: Sent) -> None:
                letter = Letter(
                    id=f"simulated-{next(numbers)}",
                    routing_key=queue_of(sent.store),
                    type="OrderBackorder",
                    content_type="application/xml",
                    timestamp=utc_now(),
                    headers={},
                    body=sent.body,
                )
                await publisher.publish([letter], within=_CONFIRM_TIMEOUT)

            yield publish
    finally:
        await link.close()


@asynccontextmanager
async def webhook_feed(url: str) -> AsyncIterator[Feed]:
    """Post each message until it is answered 200."""
    async with aiohttp.ClientSession() as client:

        async def post(sent: Sent) -> None:
            while not await _received(  # noqa: ASYNC110 - there is no event: asking again is it
                client, url, sent.body
            ):
                await asyncio.sleep(_SECONDS_BETWEEN_POSTS)

        yield post


async def _received(client: aiohttp.ClientSession, url: str, body: bytes) -> bool:
    headers = {"Content-Type": "application/xml"}
    try:
        async with client.post(url, data=body, headers=headers) as response:
            await response.read()
            return response.status == HTTPStatus.OK
    except (aiohttp.ClientError, TimeoutError):
        return False
