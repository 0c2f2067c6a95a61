"""aiormq, batched: about what can be had from a Python driver.

A quarter of the prefetch goes out at once, while the confirms of those before are still coming in;
each batch is acknowledged with one frame, behind the one before it. The collector of cycles is as
seldom at work as in ours. Nothing is validated, and nothing is kept.
"""

import asyncio
import gc

import aiormq
import uvloop
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel
from pamqp.commands import Basic

from benchmarks.peers.work import CONTENT_TYPE, PREFETCH, Route, converted, route

_PERSISTENT = 2
_BATCH = PREFETCH // 4
_NEW_OBJECTS = 2_000


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
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS)
    last: asyncio.Task[None] | None = None
    while True:
        await news.wait()
        news.clear()
        while waiting:
            batch, waiting[:_BATCH] = waiting[:_BATCH], []
            last = asyncio.create_task(_move(channel, batch, asked, last))
            await asyncio.sleep(0)


async def _move(
    channel: Channel,
    batch: list[DeliveredMessage],
    asked: Route,
    before: asyncio.Task[None] | None,
) -> None:
    properties = Basic.Properties(delivery_mode=_PERSISTENT, content_type=CONTENT_TYPE)
    publishes = [
        channel.basic_publish(
            converted(message.body), routing_key=asked.target, properties=properties, wait=False
        )
        for message in batch
    ]
    await asyncio.gather(*publishes)
    if before is not None:
        await before  # its messages would be acknowledged as well
    await channel.basic_ack(batch[-1].delivery_tag or 0, multiple=True, wait=False)


if __name__ == "__main__":
    uvloop.run(main())
