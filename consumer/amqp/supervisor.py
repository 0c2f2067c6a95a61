"""Keeps queues consumed: one connection for all of them, each followed by itself.

Theory of operation. `run` keeps a connection, made anew whenever it is lost; on it, `_follow` keeps
one queue subscribed. Two tasks share the work of a subscription: one takes what waits and hands it
over, the other awaits the commits in order and acknowledges up to the last delivery of each. A few
batches are between the two, so that understanding overlaps committing. The watch asks the broker
now and then whether it, too, believes that we consume.

A queue that is missing, deleted or taken away delays only itself. Only what the receiver raises
ends `run`: that is a mistake in this program, and going on would hide it.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic

from msgspec import Struct

from consumer.amqp.channel import Delivery
from consumer.amqp.deadlines import cut_short
from consumer.amqp.link import Dialer, Link
from consumer.amqp.subscription import Subscription
from consumer.errors import Unavailable
from consumer.ports import Status
from consumer.retry import Backoff

Receiver = Callable[[str, Sequence[Delivery]], Awaitable[Awaitable[object]]]
"""Takes a batch from a queue; what it returns is awaited before the batch is acknowledged."""

# With these, a full prefetch window is in several batches: one commits while the next is parsed.
_BATCHES_UNDER_WAY = 3
_PARTS_OF_PREFETCH = 4
_BATCH_BYTES = 4 << 20
_NAMED_QUEUES = 3


class Consumption(Struct, frozen=True, kw_only=True):
    """What to consume and how; `watch` in seconds."""

    queues: Sequence[str]
    prefetch: int
    declare: bool
    watch: float
    backoff: Backoff


class Supervisor:
    """Consumes queues through links of `dialer` until it is stopped."""

    def __init__(self, dialer: Dialer, consumption: Consumption) -> None:
        self._dialer = dialer
        self._consumption = consumption
        self._stopping = asyncio.Event()
        self._dialing: asyncio.Timeout | None = None

    def stop(self) -> None:
        """Take nothing new from now on; `run` returns when all that was taken is settled."""
        self._stopping.set()
        cut_short(self._dialing)

    async def run(self, receive: Receiver, status: Status) -> None:
        """Consume until stopped. Raises what `receive`, or an awaitable of it, raises."""
        attempts = _Attempts(self._consumption.backoff)
        while not self._stopping.is_set():
            try:
                link = await self._dial()
            except Unavailable as trouble:
                status.down(trouble.reason)
            else:
                if link is None:
                    return
                attempts.succeeded()
                await self._stay(link, receive, status)
            await attempts.pause(self._stopping)

    async def _dial(self) -> Link | None:
        """A new connection, or None where a stop came before it was made."""
        try:
            async with asyncio.timeout(None) as self._dialing:
                return await self._dialer.dial()
        except TimeoutError:
            return None
        finally:
            self._dialing = None

    async def _stay(self, link: Link, receive: Receiver, status: Status) -> None:
        """Follow all queues until the connection is lost, or a stop let go of them."""
        following = _Following(self._consumption, link, receive, status, self._stopping)
        try:
            await following.run()
        finally:
            await link.close()


class _Attempts:
    """The waits between attempts at something that should last.

    They grow until one lasted for longer than the longest wait: what works and breaks at once is
    no better than what does not work.
    """

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._failures = 0
        self._since: float | None = None

    def succeeded(self) -> None:
        """It works from now on."""
        self._since = monotonic()

    async def pause(self, unless: asyncio.Event) -> None:
        """It ended: wait before another attempt, no longer than until `unless` is set."""
        if self._since is not None and monotonic() - self._since > self._backoff.most:
            self._failures = 0
        self._since = None
        self._failures += 1
        draw = random.random()  # noqa: S311 - jitter, not a secret
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._backoff.wait(self._failures, draw=draw)):
                await unless.wait()


class _Following:
    """All queues on one connection, until that is lost or the supervisor is stopped."""

    def __init__(
        self,
        consumption: Consumption,
        link: Link,
        receive: Receiver,
        status: Status,
        stopping: asyncio.Event,
    ) -> None:
        self._consumption = consumption
        self._link = link
        self._receive = receive
        self._stopping = stopping
        self._over = asyncio.Event()
        self._queues = _Queues(status, consumption.queues)
        self._subscriptions: dict[str, Subscription] = {}

    async def run(self) -> None:
        """Return when every queue is let go; raise what the receiver raised."""
        try:
            async with asyncio.TaskGroup() as background:
                helpers = [
                    background.create_task(self._stop_following()),
                    background.create_task(self._when_lost()),
                    background.create_task(self._watch()),
                ]
                async with asyncio.TaskGroup() as followers:
                    for queue in self._consumption.queues:
                        followers.create_task(self._follow(queue))
                self._over.set()
                self._tell_loss()  # they may have noticed before `_when_lost` got its turn
                for helper in helpers:
                    helper.cancel()
        except BaseExceptionGroup as group:
            raise _first(group) from group

    async def _stop_following(self) -> None:
        await self._stopping.wait()
        self._over.set()
        await asyncio.gather(*(each.cancel() for each in self._subscriptions.values()))

    async def _when_lost(self) -> None:
        """Say so at once: a subscription ends when its commits are through, maybe much later."""
        await self._link.lost()
        self._over.set()
        self._tell_loss()

    def _tell_loss(self) -> None:
        if not self._stopping.is_set() and self._link.trouble is not None:
            self._queues.lost(self._link.trouble.reason)

    async def _follow(self, queue: str) -> None:
        """Keep one queue subscribed for as long as the connection lasts."""
        options = self._consumption
        attempts = _Attempts(options.backoff)
        while not self._over.is_set():
            try:
                async with Subscription.subscribe(
                    self._link, queue, prefetch=options.prefetch, declare=options.declare
                ) as subscription:
                    attempts.succeeded()
                    await self._consume(subscription)
            except Unavailable as trouble:
                if self._link.trouble is not None:
                    return
                self._queues.down(queue, trouble.reason)
                await attempts.pause(self._over)

    async def _consume(self, subscription: Subscription) -> None:
        """Pass deliveries on until it was cancelled; `Unavailable` once it is lost."""
        self._subscriptions[subscription.queue] = subscription
        try:
            if self._stopping.is_set():
                await subscription.cancel()
            self._queues.up(subscription.queue)
            commits: _Commits = asyncio.Queue(_BATCHES_UNDER_WAY)
            async with asyncio.TaskGroup() as both:
                both.create_task(_acknowledge(subscription, commits))
                loss = await self._hand_over(subscription, commits)
                await commits.put(None)
        finally:
            del self._subscriptions[subscription.queue]
        if loss is not None:
            raise loss

    async def _hand_over(
        self, subscription: Subscription, commits: "_Commits"
    ) -> Unavailable | None:
        """Take what waits and give it to the receiver, to the end; return why if it was a loss."""
        limit = max(1, self._consumption.prefetch // _PARTS_OF_PREFETCH)
        while True:
            try:
                batch = await subscription.take(limit, _BATCH_BYTES)
            except Unavailable as loss:
                return loss
            if not batch:
                return None
            committed = await self._receive(subscription.queue, batch)
            await commits.put((batch[-1].tag, committed))

    async def _watch(self) -> None:
        """Let go of a subscription that the broker does not know of; it is made anew then.

        Guards against a consumer that went away without a word: a failover, a proxy in between.
        """
        while not await self._is_over(within=self._consumption.watch):
            for queue, subscription in list(self._subscriptions.items()):
                with contextlib.suppress(Unavailable):
                    async with self._link.channel() as channel:
                        found = await self._link.queue(channel, queue)
                    if not found.consumers and self._subscriptions.get(queue) is subscription:
                        subscription.lose(Unavailable("the broker does not know us as a consumer"))

    async def _is_over(self, *, within: float) -> bool:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._over.wait()
        return self._over.is_set()


_Commits = asyncio.Queue[tuple[int, Awaitable[object]] | None]


async def _acknowledge(subscription: Subscription, commits: _Commits) -> None:
    """Await commits in order and acknowledge each, until None comes.

    A commit that was given up is never acknowledged, and neither is anything after it on this
    channel: an acknowledgement covers all that came before.
    """
    given_up = False
    while (item := await commits.get()) is not None:
        tag, committed = item
        try:
            await committed
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            given_up = True
            subscription.lose(Unavailable("the journal gave up a commit"))
        if not given_up:
            await subscription.acknowledge(tag)


class _Queues:
    """Which queues are consumed, as one status: up when all are."""

    def __init__(self, status: Status, queues: Sequence[str]) -> None:
        self._status = status
        self._waiting = set(queues)
        self._reasons: dict[str, str] = {}
        self._lost = False

    def lost(self, reason: str) -> None:
        """The connection is gone, and with it all queues: nothing is said of single ones any more.

        One may have been subscribed in the very last moment.
        """
        if not self._lost:
            self._lost = True
            self._status.down(reason)

    def up(self, queue: str) -> None:
        self._waiting.discard(queue)
        self._reasons.pop(queue, None)
        self._tell()

    def down(self, queue: str, reason: str) -> None:
        self._waiting.discard(queue)
        self._reasons[queue] = reason
        self._tell()

    def _tell(self) -> None:
        """Wait until every queue has been tried, then say how it stands."""
        if self._waiting or self._lost:
            return
        if not self._reasons:
            self._status.up()
            return
        named = [f"{queue}: {self._reasons[queue]}" for queue in sorted(self._reasons)]
        more = len(named) - _NAMED_QUEUES
        named = named[:_NAMED_QUEUES] + ([f"and {more} more queues"] if more > 0 else [])
        self._status.down("; ".join(named))


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What really happened: the first exception of the innermost group."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
