"""What is asked to end while a connection is being lost ends, whatever the driver makes of it."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest
from aiormq.abc import TaskWrapper
from aiormq.exceptions import ConnectionClosed

from consumer.amqp import Consumption, Dialer, Link, LinkSettings, Supervisor
from consumer.amqp.channel import LeanChannel
from consumer.amqp.trouble import translated
from consumer.errors import Unavailable
from consumer.retry import Backoff
from consumer.testing.sources import RecordingStatus
from consumer.values import Secret
from rabbit import rabbit
from waiting import until


async def asked() -> "tuple[asyncio.Task[None], TaskWrapper]":
    """A call to the broker that waits for its answer, as the driver has it."""
    answer = TaskWrapper(asyncio.create_task(asyncio.sleep(60)))

    async def ask() -> None:
        with translated("broker:5672"):
            await answer

    asking = asyncio.create_task(ask())
    await asyncio.sleep(0)
    return asking, answer


async def test_a_cancellation_is_not_taken_for_the_loss_of_the_connection() -> None:
    asking, answer = await asked()
    answer.throw(ConnectionClosed(320, "CONNECTION_FORCED"))
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_the_loss_of_the_connection_is_not_taken_for_a_cancellation() -> None:
    asking, answer = await asked()
    answer.throw(ConnectionClosed(320, "CONNECTION_FORCED"))
    with pytest.raises(Unavailable, match="CONNECTION_FORCED"):
        await asking


class Asking(LeanChannel):
    """A channel whose questions about a queue stay open while `silent`, until the link is lost."""

    silent = False
    asked = 0

    async def queue_declare(self, *args: Any, **kwargs: Any) -> Any:
        if not Asking.silent:
            return await super().queue_declare(*args, **kwargs)
        Asking.asked += 1
        answer = TaskWrapper(asyncio.create_task(asyncio.sleep(60)))
        answer._exception = ConnectionClosed(320, "CONNECTION_FORCED")  # as the driver's `throw`
        return await answer


class Remembering(Dialer):
    """A dialer that knows its links."""

    links: list[Link]

    async def dial(self) -> Link:
        link = await super().dial()
        self.links.append(link)
        return link


async def test_a_link_that_is_lost_while_its_watch_asks_is_made_anew(
    amqp_url: str, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.amqp.link.LeanChannel", Asking)

    async def receive(queue: str, batch: object) -> Awaitable[object]:
        raise AssertionError(f"{queue} {batch}")

    status = RecordingStatus()
    dialer = Remembering(LinkSettings(urls=(Secret(amqp_url),), name="test"))
    dialer.links = []
    backoff = Backoff(initial=0.01, most=0.01)
    supervisor = Supervisor(
        dialer,
        Consumption(queues=[unique], prefetch=1, declare=True, watch=0.01, backoff=backoff),
    )
    running = asyncio.create_task(supervisor.run(receive, status))
    await until(lambda: status.is_up)
    monkeypatch.setattr(Asking, "silent", True)
    await until(lambda: Asking.asked > 0)
    monkeypatch.setattr(Asking, "silent", False)
    await dialer.links[0].close()
    await until(lambda: len(dialer.links) == 2 and status.is_up, within=20)
    supervisor.stop()
    await running
    async with rabbit(amqp_url) as peer:
        await peer.channel.queue_delete(unique)
