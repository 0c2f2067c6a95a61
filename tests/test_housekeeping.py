import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial

import pytest

from consumer import housekeeping
from consumer.errors import JournalUnavailable
from consumer.telemetry import Log, Metrics
from consumer.testing.builders import entry, event
from consumer.testing.journal import MemoryJournal
from waiting import until


class Pruned(MemoryJournal):
    def __init__(self) -> None:
        super().__init__()
        self.failures = 0
        self.prunes = 0

    async def prune(self, before: datetime, sinks: Sequence[str]) -> int:
        self.prunes += 1
        if self.prunes <= self.failures:
            raise JournalUnavailable("disk full")
        return await super().prune(before, sinks)


async def kept(journal: MemoryJournal, retention: float, metrics: Metrics) -> asyncio.Task[None]:
    return asyncio.create_task(
        housekeeping.keep_retention(journal, retention, ["archive"], metrics=metrics, log=Log())
    )


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_old_events_go_once_every_sink_has_passed_them() -> None:
    journal, metrics = Pruned(), Metrics()
    await journal.enroll({"archive": True})
    await journal.append([entry(event(1), event(2))])
    await journal.advance("archive", 1, {})
    running = await kept(journal, 0.0, metrics)
    await until(lambda: b"backorder_pruned_total 1.0" in metrics.render())
    await ended(running)
    assert [record.seq for record in await journal.read(0, limit=9)] == [2]


async def test_young_events_stay() -> None:
    journal = Pruned()
    await journal.enroll({"archive": True})
    await journal.append([entry(event(1))])
    await journal.advance("archive", 1, {})
    running = await kept(journal, 3600.0, Metrics())
    await until(lambda: journal.prunes == 1)
    await ended(running)
    assert len(await journal.read(0, limit=9)) == 1


async def test_a_failing_journal_does_not_end_retention(monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Pruned()
    journal.failures = 1
    monkeypatch.setattr(housekeeping, "_RETENTION_EVERY", 0.001)
    running = await kept(journal, 0.0, Metrics())
    await until(lambda: journal.prunes >= 3)
    assert not running.done()
    await ended(running)


async def test_a_loop_that_is_held_up_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "_LOOP_LOOKED_AT_EVERY", 0.001)
    metrics = Metrics()
    watching = asyncio.create_task(housekeeping.watch_loop(metrics))
    await until(lambda: b"backorder_loop_lag_seconds_count 0.0" not in metrics.render())
    await ended(watching)


async def test_tasks_and_threads_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "_LOOP_LOOKED_AT_EVERY", 0.001)
    metrics = Metrics()
    counted = partial(metrics.registry.get_sample_value, "backorder_tasks")
    watching = asyncio.create_task(housekeeping.watch_loop(metrics))
    await until(lambda: (counted() or 0) > 0)
    alone = counted() or 0
    more = [asyncio.create_task(asyncio.sleep(60)) for _ in range(5)]
    await until(lambda: counted() == alone + 5)
    for task in (watching, *more):
        await ended(task)
    assert (metrics.registry.get_sample_value("backorder_threads") or 0) >= 1


def test_what_the_process_takes_is_told() -> None:
    told = Metrics().registry.get_sample_value
    assert (told("backorder_process_resident_memory_bytes") or 0) > 1 << 20
    assert (told("backorder_process_open_fds") or 0) > 0


async def test_a_retention_longer_than_the_calendar_keeps_everything() -> None:
    journal = Pruned()
    await journal.enroll({"archive": True})
    await journal.append([entry(event(1))])
    await journal.advance("archive", 1, {})
    running = await kept(journal, 999_999 * 86_400.0, Metrics())
    await until(lambda: journal.prunes == 1)
    assert not running.done()
    await ended(running)
    assert len(await journal.read(0, limit=9)) == 1
