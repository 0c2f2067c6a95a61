"""Consuming one queue on a channel of its own.

The broker's deliveries only pile up here, at most `prefetch` of them; whoever owns the
subscription takes what waits, and acknowledges up to the last one that is settled. Nothing is
ever rejected or requeued: not acknowledging is the pause, and the prefetch window its measure.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Sequence

from aiormq.exceptions import ChannelInvalidStateError
from pamqp.commands import Basic

from consumer.amqp.channel import Delivery, Happening, LeanChannel
from consumer.amqp.deadlines import RPC_TIMEOUT, cut_short
from consumer.amqp.link import Link
from consumer.amqp.trouble import translated
from consumer.errors import Unavailable

# A stop waits for it; what comes later than that is delivered again, to whoever consumes next.
_CANCEL_TIMEOUT = 1.0
_TAG = "backorder-consumer"


class Subscription:
    """A consumer of one queue. Got from `subscribe`."""

    def __init__(self, link: Link, queue: str) -> None:
        self.queue = queue
        self._link = link
        self._channel: LeanChannel | None = None
        self._waiting: deque[Delivery] = deque()
        self._news = asyncio.Event()
        self._trouble: Unavailable | None = None
        self._ended = False
        self._writing: asyncio.Timeout | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def subscribe(
        cls, link: Link, queue: str, *, prefetch: int, declare: bool = False
    ) -> "AsyncIterator[Subscription]":
        """Consume for the length of the block; `Unavailable` where the queue cannot be had.

        With `declare` a queue that is missing is made, durable, of the virtual host's default type.
        """
        if declare:
            await link.make_queue(queue)
        self = cls(link, queue)
        async with link.channel(self._happened, self.lose) as channel:
            self._channel = channel
            await link.queue(channel, queue)
            with translated(link.where, queue):
                channel.on_consumer_cancel_callbacks.add(self._cancelled)
                await channel.basic_qos(prefetch_count=prefetch, timeout=RPC_TIMEOUT)
                await channel.basic_consume(queue, _unused, consumer_tag=_TAG, timeout=RPC_TIMEOUT)
            yield self

    def _happened(self, happening: Happening) -> None:
        if isinstance(happening, Delivery):
            self._waiting.append(happening)
            self._news.set()

    def _cancelled(self, _: Basic.Cancel) -> None:
        """The broker ended the consumer: the queue is deleted or moves to another node."""
        self._end(Unavailable(f"{self._link.where}: the broker cancelled the consumer"))

    def lose(self, trouble: Unavailable) -> None:
        """The channel, or our belief in it, is gone: what was not taken is delivered again."""
        self._waiting.clear()
        self._end(trouble)
        cut_short(self._writing)

    def _end(self, trouble: Unavailable) -> None:
        self._trouble = self._trouble or trouble
        self._ended = True
        self._news.set()

    async def take(self, limit: int, max_bytes: int) -> Sequence[Delivery]:
        """Wait for deliveries and take those that are there, at most `limit` and about `max_bytes`.

        Empty once the subscription was cancelled and everything is taken; `Unavailable` once it is
        lost.
        """
        while not self._waiting:
            if self._trouble is not None:
                raise self._trouble
            if self._ended:
                return ()
            self._news.clear()
            await self._news.wait()
        taken: list[Delivery] = []
        size = 0
        while self._waiting and len(taken) < limit and size < max_bytes:
            delivery = self._waiting.popleft()
            size += len(delivery.body)
            taken.append(delivery)
        return taken

    async def acknowledge(self, tag: int) -> None:
        """Acknowledge every delivery up to `tag`.

        On a channel that is closed this does nothing: the broker delivers them again.
        """
        if self._channel is None or self._channel.is_closed:
            return
        try:
            with contextlib.suppress(ChannelInvalidStateError, TimeoutError):
                async with asyncio.timeout(None) as self._writing:
                    await self._channel.basic_ack(tag, multiple=True, wait=False)
        finally:
            self._writing = None

    async def cancel(self) -> None:
        """Ask the broker for no more; what it sent until then can still be taken."""
        if self._channel is None or self._ended:
            return
        try:
            with translated(self._link.where, self.queue):
                await self._channel.basic_cancel(_TAG, timeout=_CANCEL_TIMEOUT)
        except Unavailable as trouble:
            self.lose(trouble)
        else:
            self._ended = True
            self._news.set()


async def _unused(_: object) -> None:
    """Deliveries never get to the driver's callback: see `consumer.amqp.channel`."""
