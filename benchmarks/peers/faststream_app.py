"""FastStream: a subscriber that publishes what it returns."""

import uvloop
from faststream import AckPolicy, FastStream
from faststream.rabbit import Channel, RabbitBroker, RabbitQueue

from benchmarks.peers.work import PREFETCH, converted, route


async def main() -> None:
    """Run the application."""
    asked = route()
    broker = RabbitBroker(asked.url, default_channel=Channel(prefetch_count=PREFETCH), logger=None)
    source = RabbitQueue(asked.source, durable=True, declare=False)

    async def handle(body: bytes) -> bytes:
        return converted(body)

    subscribed = broker.subscriber(source, ack_policy=AckPolicy.NACK_ON_ERROR)(handle)
    broker.publisher(asked.target, persist=True)(subscribed)
    await FastStream(broker, logger=None).run()


if __name__ == "__main__":
    uvloop.run(main())
