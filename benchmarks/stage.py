"""The broker that all contenders share, and what is looked at from outside: its queues.

A contender is measured by nothing that it says itself. Messages wait in one queue; how many have
arrived in another, the broker is asked.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice

from aiormq.channel import Channel

from benchmarks.processes import cpu_of_session
from consumer.amqp import Dialer, Letter, Link, LinkSettings, Publisher
from consumer.model import utc_now
from consumer.simulators.broker import PrivateBroker
from consumer.values import Secret

_BATCH = 500
_CONFIRM_TIMEOUT = 60.0


class Stage:
    """A private RabbitMQ for as long as `staged` lasts. `url` is the default virtual host's."""

    def __init__(self, broker: PrivateBroker, link: Link, channel: Channel) -> None:
        self.url = broker.url
        self._session = broker.session
        self._link = link
        self._channel = channel

    @property
    def cpu(self) -> float:
        """Seconds of processor time that the broker has used."""
        return cpu_of_session(self._session)

    async def make(self, *names: str) -> None:
        """Make durable classic queues."""
        for name in names:
            await self._link.make_queue(name, {"x-queue-type": "classic"})

    async def drop(self, *names: str) -> None:
        """Delete queues, with what they hold."""
        for name in names:
            await self._channel.queue_delete(name)

    async def fill(self, queue: str, bodies: Iterable[bytes]) -> None:
        """Have messages wait in a queue; returns when the broker has them on disk."""
        async with Publisher.open(self._link, exchange="", mandatory=True) as publisher:
            letters = _letters(queue, bodies)
            while batch := list(islice(letters, _BATCH)):
                await publisher.publish(batch, within=_CONFIRM_TIMEOUT)
                publisher.forget()

    @asynccontextmanager
    async def linked(self) -> AsyncIterator[Link]:
        """A connection of one's own, which shares nothing with that of the stage."""
        async with linked(self.url) as link:
            yield link

    async def waiting(self, *names: str) -> Sequence[int]:
        """How many messages each queue holds that nobody has been given."""
        return [(await self._link.queue(self._channel, name)).messages for name in names]


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    """A broker of one's own."""
    async with (
        PrivateBroker() as broker,
        linked(broker.url) as link,
        link.channel() as channel,
    ):
        yield Stage(broker, link, channel)


@asynccontextmanager
async def linked(url: str) -> AsyncIterator[Link]:
    """A connection."""
    link = await Dialer(LinkSettings(urls=(Secret(url),), name="benchmark")).dial()
    try:
        yield link
    finally:
        await link.close()


def _letters(queue: str, bodies: Iterable[bytes]) -> Iterator[Letter]:
    for number, body in enumerate(bodies):
        yield Letter(
            id=f"{queue}-{number}",
            routing_key=queue,
            type="OrderBackorder",
            content_type="application/xml",
            timestamp=utc_now(),
            headers={},
            body=body,
        )
