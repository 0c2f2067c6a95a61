"""Bare aio-pika: what anyone would write.

A callback for each message; aio-pika runs as many of them at once as the prefetch lets in, which is
several times as fast as an `async for` that waits for each confirm before it takes the next.
"""

import asyncio

import aio_pika
import uvloop

from benchmarks.peers.work import CONTENT_TYPE, PREFETCH, converted, route


async def main() -> None:
    """Consume, convert, publish and wait for the confirm, acknowledge; for ever."""
    asked = route()
    connection = await aio_pika.connect_robust(asked.url)
    channel = await connection.channel(publisher_confirms=True)
    await channel.set_qos(prefetch_count=PREFETCH)
    queue = await channel.declare_queue(asked.source, passive=True)

    async def handle(message: aio_pika.abc.AbstractIncomingMessage) -> None:
        said = aio_pika.Message(
            converted(message.body),
            content_type=CONTENT_TYPE,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        await channel.default_exchange.publish(said, routing_key=asked.target)
        await message.ack()

    await queue.consume(handle)
    await asyncio.Future()


if __name__ == "__main__":
    uvloop.run(main())
