"""aiormq, batched: about what can be had from a Python driver.

Deliveries gather while the last batch is on its way; a batch's confirms are waited for together,
and acknowledged with one frame. Nothing is validated, and nothing is kept.
"""

import asyncio

import aiormq
import uvloop
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from pamqp.commands import Basic

from benchmarks.peers.work import CONTENT_TYPE, PREFETCH, Route, converted, route

_PERSISTENT = 2


async def main() -> None:
    """Move batches, for ever."""
    asked = route()
    connection = await aiormq.connect(asked.url)
    channel = await connection.channel(publisher_confirms=True)
    if not isinstance(channel, Channel):  # whose publishes can go without a drain
        raise TypeError("another kind of channel")
    await channel.basic_qos(prefetch_count=PREFETCH)
    waiting: list[DeliveredMessage] = []
    news = asyncio.Event()

    async def take(message: DeliveredMessage) -> None:
        waiting.append(message)
        news.set()

    await channel.basic_consume(asked.source, take)
    while True:
        await news.wait()
        news.clear()
        batch, waiting[:] = list(waiting), []
        await _move(channel, batch, asked)


async def _move(channel: Channel, batch: list[DeliveredMessage], asked: Route) -> None:
    properties = Basic.Properties(delivery_mode=_PERSISTENT, content_type=CONTENT_TYPE)
    publishes = [
        channel.basic_publish(
            converted(message.body), routing_key=asked.target, properties=properties, wait=False
        )
        for message in batch
    ]
    await asyncio.gather(*publishes)
    await channel.basic_ack(batch[-1].delivery_tag or 0, multiple=True)


if __name__ == "__main__":
    uvloop.run(main())
