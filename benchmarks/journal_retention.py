"""Whether retention lets appends through: half of a large journal goes while events come.

Single events are appended, one after the other, with a pause between them; how long each takes is
compared with how long it took before. Pruning is `Journal.prune`, as the daemon calls it.
"""

import asyncio
import sqlite3
import statistics
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, perf_counter

from msgspec import Struct

from benchmarks.journal_made import SINKS, event
from benchmarks.measuring import median
from consumer.journal.sqlite import SqliteJournal
from consumer.model import Entry, Message, utc_now

MOST_APPEND = 0.5
"""Seconds that an append may take and nobody says that it was blocked."""

_PAUSE = 0.005
_BASELINE = 3.0


class Latency(Struct, frozen=True, kw_only=True):
    """How long single appends took, in seconds."""

    appends: int
    p50: float
    p99: float
    worst: float


class Retention(Struct, frozen=True, kw_only=True):
    """A pruning, and what it did to those who appended."""

    removed: int
    seconds: float
    before: Latency
    during: Latency

    @property
    def met(self) -> bool:
        """Whether nobody was blocked."""
        return self.removed > 0 and self.during.worst <= MOST_APPEND


async def retention(path: Path, events: int) -> Retention:
    """Prune the older half of a journal of so many events, with appends before and meanwhile."""
    before = _moment_of(path, events // 2)
    async with SqliteJournal(path) as opened:
        numbers = iter(range(events, 1 << 62))
        quiet, deadline = [], monotonic() + _BASELINE
        while monotonic() < deadline:
            quiet.append(await _append(opened, next(numbers)))
        began = perf_counter()
        pruning = asyncio.create_task(opened.prune(before, SINKS))
        meanwhile = [await _append(opened, next(numbers))]
        while not pruning.done():
            meanwhile.append(await _append(opened, next(numbers)))
        return Retention(
            removed=await pruning,
            seconds=perf_counter() - began,
            before=_latency(quiet),
            during=_latency(meanwhile),
        )


def _moment_of(path: Path, seq: int) -> datetime:
    """Right behind the moment when this event was recorded."""
    with closing(sqlite3.connect(path)) as connection:
        (recorded,) = connection.execute(
            "SELECT recorded FROM events WHERE seq = ?", (seq,)
        ).fetchone()
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=recorded + 1)


async def _append(opened: SqliteJournal, number: int) -> float:
    message = Message(
        body=b"", source="radial-queue", system="radial", received=utc_now(), origin="bench"
    )
    entry = Entry(message=message, events=(event(number, number),), refusals=())
    began = perf_counter()
    await opened.append([entry])
    took = perf_counter() - began
    await asyncio.sleep(_PAUSE)
    return took


def _latency(seconds: Sequence[float]) -> Latency:
    hundredths = statistics.quantiles([*seconds, *seconds], n=100, method="inclusive")
    return Latency(
        appends=len(seconds), p50=median(seconds), p99=hundredths[98], worst=max(seconds)
    )
