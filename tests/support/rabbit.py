"""The other side of the broker, for tests: a client of its own that knows nothing of ours."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractQueue

from consumer.simulators.broker import PrivateBroker

_GROUP = 2  # field behind the name, of proc(5)


class Rabbit:
    """A plain connection with helpers to publish, declare and look."""

    def __init__(self, connection: AbstractConnection, channel: AbstractChannel) -> None:
        self.connection = connection
        self.channel = channel

    async def queue(self, name: str, **arguments: Any) -> AbstractQueue:
        """Declare a durable classic queue."""
        return await self.channel.declare_queue(name, durable=True, arguments=arguments or None)

    async def publish(self, queue: str, bodies: Iterable[bytes], **properties: Any) -> None:
        """Publish persistent messages to a queue; return when the broker has them."""
        exchange = self.channel.default_exchange
        await asyncio.gather(
            *(
                exchange.publish(
                    aio_pika.Message(
                        body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT, **properties
                    ),
                    queue,
                )
                for body in bodies
            )
        )

    async def ready(self, queue: str) -> int:
        """How many messages wait in a queue that nobody has taken."""
        found = await self.channel.declare_queue(queue, passive=True)
        return found.declaration_result.message_count or 0

    async def consumers(self, queue: str) -> int:
        """How many consumers a queue has."""
        found = await self.channel.declare_queue(queue, passive=True)
        return found.declaration_result.consumer_count or 0

    async def all(self, queue: str) -> list[aio_pika.abc.AbstractIncomingMessage]:
        """Take everything out of a queue."""
        source = await self.channel.get_queue(queue)
        taken = []
        while (message := await source.get(fail=False)) is not None:
            await message.ack()
            taken.append(message)
        return taken


@contextlib.asynccontextmanager
async def rabbit(url: str) -> AsyncIterator[Rabbit]:
    """Connect for the length of the block."""
    connection = await aio_pika.connect(url)
    async with connection, connection.channel() as channel:
        yield Rabbit(connection, channel)


async def counts(broker: PrivateBroker, queue: str) -> tuple[int, int]:
    """Messages ready and messages delivered but not acknowledged."""
    listed = await broker.ctl("list_queues", "name", "messages_ready", "messages_unacknowledged")
    rows = (line.split("\t") for line in listed.splitlines())
    return next((int(row[1]), int(row[2])) for row in rows if row[0] == queue)


async def ids_in(url: str, queue: str) -> list[str]:
    """Take everything out of a queue that nobody else uses; the ids of the messages, in order."""
    ids: list[str] = []
    async with rabbit(url) as peer:
        waiting = await peer.ready(queue)
        source = await peer.channel.get_queue(queue)
        if waiting:
            async with source.iterator(no_ack=True) as messages:
                async for message in messages:
                    ids.append(message.message_id or "")
                    if len(ids) == waiting:
                        break
    return ids


async def remembered(broker: PrivateBroker) -> None:
    """Have the broker write down which queues there are.

    Killed right after a declaration it came back without the queue now and then, for good.
    """
    await broker.ctl("eval", "mnesia:sync_log().")


@contextlib.asynccontextmanager
async def unreachable(broker: PrivateBroker) -> AsyncIterator[None]:
    """While this is entered nobody can connect, and whoever was connected is thrown out."""
    await broker.ctl("suspend_listeners")
    await broker.ctl("close_all_connections", "test")
    try:
        yield
    finally:
        await broker.ctl("resume_listeners")


@contextlib.contextmanager
def paused(broker: PrivateBroker) -> Iterator[None]:
    """While this is entered the broker stands still: connections stay, and nobody answers."""
    assert broker._node is not None
    group = os.getpgid(broker._node.pid)
    os.killpg(group, signal.SIGSTOP)
    try:
        _await_stopped(group)
        yield
    finally:
        os.killpg(group, signal.SIGCONT)


def _await_stopped(group: int) -> None:
    """The signal is sent at once, but a thread that is at work may answer once more."""
    deadline = time.monotonic() + 10
    while any(state not in "TZX" for state in _states(group)):
        assert time.monotonic() < deadline, "the broker does not stand still"
        time.sleep(0.001)


def _states(group: int) -> Iterator[str]:
    """The state of every thread of a process group, as of proc(5)."""
    for stat in Path("/proc").glob("[0-9]*/task/[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it is gone
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[_GROUP]) == group:
                yield fields[0]
