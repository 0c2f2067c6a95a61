"""The journal as one sink's pump uses it.

Rules
1. Every verb is repeated until the journal answers; while finishing it is tried once. What was
   delivered is not delivered again because the journal could not be told.
2. What came of an event is counted once it is written down. What was offered again has a counter
   of its own: it is old, and would spoil the times that deliveries take.
"""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import TypeVar

from consumer.dispatcher.signals import Signals
from consumer.errors import JournalUnavailable
from consumer.model import Parked, Record, Replay
from consumer.repair import Orders, RepairableJournal
from consumer.retry import Backoff
from consumer.settings import BatchSettings
from consumer.telemetry import Log, Metrics

_BACKOFF = Backoff(initial=0.2, most=10.0)

T = TypeVar("T")


class Ledger:
    """The verbs that a pump needs, for its sink, patiently; raises `JournalUnavailable` only while
    finishing.
    """

    def __init__(
        self,
        journal: RepairableJournal,
        sink: str,
        batch: BatchSettings,
        *,
        signals: Signals,
        metrics: Metrics,
        log: Log,
    ) -> None:
        self._journal = journal
        self._sink = sink
        self._batch = batch
        self._signals = signals
        self._metrics = metrics
        self._log = log

    # --- reading -----------------------------------------------------------------------------

    async def read(self, after: int, *, source: str | None = None) -> Sequence[Record]:
        """A batch of events behind `after`, as `Journal.read`."""
        batch = self._batch
        return await self._persist(
            lambda: self._journal.read(
                after, limit=batch.events, max_bytes=batch.bytes, source=source
            )
        )

    async def orders(self) -> Orders:
        """What is asked of the sink now."""
        return await self._persist(lambda: self._journal.orders(self._sink))

    async def retrying(self, *, limit: int) -> Sequence[Parked]:
        """The parked events to offer once more, as `RepairableJournal.retrying`."""
        max_bytes = self._batch.bytes
        return await self._persist(
            lambda: self._journal.retrying(self._sink, limit=limit, max_bytes=max_bytes)
        )

    # --- writing down ------------------------------------------------------------------------

    async def advance(
        self, seq: int, offered: Sequence[Record], refused: Mapping[int, str]
    ) -> None:
        """Move the cursor to `seq`, and park what was refused."""
        now = datetime.now(UTC)  # the cursor may wait for company
        await self._persist(lambda: self._journal.advance(self._sink, seq, refused))
        delivered = [record.recorded for record in offered if record.seq not in refused]
        self._metrics.delivered.labels(self._sink).inc(len(delivered))
        for recorded, times in Counter(delivered).items():  # a commit has one moment
            seconds = (now - recorded).total_seconds()
            self._metrics.delivery.observe(self._sink, seconds, times=times)
        self._tell_parked(refused)

    async def redelivered(
        self,
        offered: Sequence[Record],
        refused: Mapping[int, str],
        *,
        replayed: Replay | None = None,
    ) -> None:
        """Tell what came of events that were offered again, as `RepairableJournal.redelivered`."""
        delivered = [record.seq for record in offered if record.seq not in refused]
        await self._persist(
            lambda: self._journal.redelivered(self._sink, delivered, refused, replayed=replayed)
        )
        self._metrics.redelivered.labels(self._sink).inc(len(delivered))
        self._tell_parked(refused)

    def _tell_parked(self, refused: Mapping[int, str]) -> None:
        for seq, reason in refused.items():
            self._metrics.parked.labels(self._sink).inc()
            self._log.parked(sink=self._sink, seq=seq, reason=reason)

    async def _persist(self, verb: Callable[[], Awaitable[T]]) -> T:
        for attempt in count(1):
            try:
                return await verb()
            except JournalUnavailable as failure:
                if attempt == 1:
                    self._log.journal_unavailable(sink=self._sink, reason=failure.reason)
                if self._signals.finishing:
                    raise
                draw = random.random()  # noqa: S311 - jitter, not a secret
                wait = _BACKOFF.wait(attempt, draw=draw, retry_after=failure.retry_after)
                await self._signals.rest_deaf(wait)
        raise AssertionError("count never ends")
