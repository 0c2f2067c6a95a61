"""Dispatcher: one pump for each sink: read, deliver, move the cursor; back off, park.

Rules
1. A cursor moves only after `deliver` has returned, and durably. A crash between the two delivers
   the batch again: at least once.
2. Events go out in journal order. While one cannot be delivered the cursor stays before it, so a
   sink that is down delays itself, and only itself: pumps share nothing but the journal. What a
   sink had under way behind the stuck event may have gone out; it goes out again, in order.
3. An event is parked only where the sink refuses it for good, or after `retry.attempts` where an
   operator set them; it is parked in the commit that moves the cursor past it.

Theory of operation. A commit rings a bell that wakes every pump; the bell is a hint. The truth is
the journal, which a pump also reads when nothing rang for a while.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from typing import TypeVar

from consumer.errors import JournalUnavailable, Unavailable
from consumer.model import Record
from consumer.ports import Journal, Sink, Status
from consumer.retry import Backoff
from consumer.settings import FilterSettings, SinkOptions
from consumer.telemetry import Log, Metrics

# Seconds after which a pump looks into the journal though no bell rang.
_LOOK_AGAIN = 1.0

_JOURNAL_BACKOFF = Backoff(initial=0.2, most=10.0)

T = TypeVar("T")


class Bell:
    """Wakes everyone who waits; a ring is remembered for those who do not wait just now."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake everyone who listens to what `listen` returned."""
        self._rung.set()
        self._rung = asyncio.Event()

    def listen(self) -> asyncio.Event:
        """The next ring. Ask before looking into the journal, so that no ring is missed."""
        return self._rung


def wants(settings: FilterSettings) -> Callable[[Record], bool]:
    """Whether a sink with this filter gets a record."""
    sources = frozenset(settings.sources)
    types = frozenset(
        name if name.startswith("backorder.") else f"backorder.{name}" for name in settings.types
    )

    def decide(record: Record) -> bool:
        return (not sources or record.origin in sources) and (not types or record.type in types)

    return decide


class Pump:
    """Moves one sink along the journal until it is told to finish."""

    def __init__(
        self,
        journal: Journal,
        sink: Sink,
        options: SinkOptions,
        *,
        bell: Bell,
        status: Status,
        metrics: Metrics,
        log: Log,
    ) -> None:
        self._journal = journal
        self._sink = sink
        self._options = options
        self._wants = wants(options.filter)
        self._backoff = Backoff(initial=options.retry.initial, most=options.retry.max)
        self._bell = bell
        self._status = status
        self._metrics = metrics
        self._log = log
        self._finishing = asyncio.Event()
        self._passed = 0
        self._failed_attempts = 0

    def finish(self) -> None:
        """Make `run` return at the journal's end, or at the first failure before it."""
        self._finishing.set()
        self._bell.ring()

    async def run(self, after: int) -> None:
        """Deliver everything behind `after`, for ever or until `finish`."""
        self._passed = after
        with suppress(JournalUnavailable):  # raised only while finishing: the cursor stays behind
            await self._move()

    async def _move(self) -> None:
        while True:
            ring = self._bell.listen()
            records = await self._read()
            if records:
                await self._offer(records)
            if self._finishing.is_set() and (not records or self._failed_attempts):
                return
            if not records:
                await _either(ring, self._finishing, at_most=_LOOK_AGAIN)

    # --- one batch ---------------------------------------------------------------------------

    async def _offer(self, records: Sequence[Record]) -> None:
        """Deliver what the filter lets through, and move past all of it or as far as it went."""
        wanted = [record for record in records if self._wants(record)]
        try:
            refused = await self._deliver(wanted)
        except Unavailable as failure:
            await self._retreat(wanted, failure)
        else:
            self._failed_attempts = 0
            await self._advance(records[-1].seq, wanted, refused)

    async def _deliver(self, wanted: Sequence[Record]) -> Mapping[int, str]:
        if not wanted:
            return {}
        try:
            refused = await self._hand_over(wanted)
        except Unavailable:
            raise
        except Exception as error:
            # A plug-in with a bug is a sink that is down: it delays itself, not the others.
            self._log.bug(where=f"sinks.{self._sink.name}", error=error)
            raise Unavailable(f"failed unexpectedly ({type(error).__name__})") from error
        self._status.up()
        return refused

    async def _hand_over(self, wanted: Sequence[Record]) -> Mapping[int, str]:
        """Deliver, and hold the sink to what `Sink.deliver` promises.

        What breaks a promise never reaches the cursor: it would pass events that went nowhere.
        """
        try:
            refused: object = await self._sink.deliver(wanted)
        except Unavailable as failure:
            if failure.delivered not in range(len(wanted)):
                raise ValueError("delivered is not from 0 to fewer than all") from failure
            raise
        if not isinstance(refused, Mapping):
            raise TypeError("deliver did not return a mapping")
        if not refused.keys() <= {record.seq for record in wanted}:
            raise ValueError("deliver refused what it was not offered")
        if not all(isinstance(reason, str) for reason in refused.values()):
            raise TypeError("a reason is not a string")
        return refused

    async def _retreat(self, wanted: Sequence[Record], failure: Unavailable) -> None:
        """Keep what went through; then wait, or park the event that never will."""
        self._status.down(failure.reason)
        self._metrics.retries.labels(self._sink.name).inc()
        through = wanted[: failure.delivered]
        if through:
            self._failed_attempts = 0
            await self._advance(through[-1].seq, through, {})
        self._failed_attempts += 1
        if self._failed_attempts == self._options.retry.attempts:
            self._failed_attempts = 0
            stuck = wanted[failure.delivered]
            await self._advance(stuck.seq, [stuck], {stuck.seq: failure.reason})
        else:
            await self._rest(self._backoff, self._failed_attempts, failure)

    # --- the journal -------------------------------------------------------------------------

    async def _read(self) -> Sequence[Record]:
        batch = self._options.batch
        return await self._persist(
            lambda: self._journal.read(self._passed, limit=batch.events, max_bytes=batch.bytes)
        )

    async def _advance(
        self, seq: int, offered: Sequence[Record], refused: Mapping[int, str]
    ) -> None:
        """Move the cursor; what was delivered is not delivered again while the journal fails."""
        await self._persist(lambda: self._journal.advance(self._sink.name, seq, refused))
        self._passed = seq
        self._account(offered, refused)

    async def _persist(self, verb: Callable[[], Awaitable[T]]) -> T:
        """Call the journal until it answers; while finishing, once."""
        for attempt in count(1):
            try:
                return await verb()
            except JournalUnavailable as failure:
                if attempt == 1:
                    self._log.journal_unavailable(sink=self._sink.name, reason=failure.reason)
                if self._finishing.is_set():
                    raise
                await self._rest(_JOURNAL_BACKOFF, attempt, failure)
        raise AssertionError("count never ends")

    # --- waiting and telling -----------------------------------------------------------------

    async def _rest(self, backoff: Backoff, attempt: int, failure: Unavailable) -> None:
        draw = random.random()  # noqa: S311 - jitter, not a secret
        wait = backoff.wait(attempt, draw=draw, retry_after=failure.retry_after)
        await _either(self._finishing, at_most=wait)

    def _account(self, offered: Sequence[Record], refused: Mapping[int, str]) -> None:
        name = self._sink.name
        now = datetime.now(UTC)
        latency = self._metrics.delivery.labels(name)
        for record in offered:
            if record.seq not in refused:
                latency.observe((now - record.recorded).total_seconds())
        self._metrics.delivered.labels(name).inc(len(offered) - len(refused))
        for seq, reason in refused.items():
            self._metrics.parked.labels(name).inc()
            self._log.parked(sink=name, seq=seq, reason=reason)


async def _either(*events: asyncio.Event, at_most: float) -> None:
    """Wait until one of the events is set, or `at_most` seconds have passed."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=at_most, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
