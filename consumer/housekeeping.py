"""What the daemon does beside its work: retention, and watching its own event loop.

Both run for as long as the daemon does. Neither may hurt it: retention works in small steps inside
the journal, and where the journal fails it simply comes again.
"""

import asyncio
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic

from consumer.errors import JournalUnavailable
from consumer.model import utc_now
from consumer.ports import Journal
from consumer.telemetry import Log, Metrics

_RETENTION_EVERY = 60.0
_PART_OF_RETENTION = 10  # a short retention is kept more often, or it would not be short
_RETENTION_AT_MOST_EVERY = 1.0
_LOOP_LOOKED_AT_EVERY = 0.5


async def keep_retention(
    journal: Journal, retention: float, sinks: Sequence[str], *, metrics: Metrics, log: Log
) -> None:
    """Remove what is older than `retention` seconds and passed by every sink, now and then."""
    while True:
        try:
            removed = await journal.prune(_before(retention), sinks)
        except JournalUnavailable:
            removed = 0  # intake and the probes tell about it
        if removed:
            metrics.pruned.inc(removed)
            log.pruned(events=removed)
        often = max(_RETENTION_AT_MOST_EVERY, retention / _PART_OF_RETENTION)
        await asyncio.sleep(min(_RETENTION_EVERY, often))


def _before(retention: float) -> datetime:
    """The moment that lies so many seconds back; "for ever" may lie before the calendar begins."""
    try:
        return utc_now() - timedelta(seconds=retention)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


async def watch_loop(metrics: Metrics) -> None:
    """Measure how late timers run, and count tasks and threads.

    A loop that is late answers no heartbeat; tasks or threads that grow in number are a leak.
    """
    while True:
        due = monotonic() + _LOOP_LOOKED_AT_EVERY
        await asyncio.sleep(_LOOP_LOOKED_AT_EVERY)
        metrics.loop_lag.observe(max(0.0, monotonic() - due))
        metrics.tasks.set(len(asyncio.all_tasks()))
        metrics.threads.set(threading.active_count())
