"""Repairing the SQLite journal: what is one commit, what is not read, and what is still there."""

import asyncio
import re
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from consumer.errors import Refused
from consumer.journal import sqlite_file, sqlite_reads
from consumer.journal.sqlite import SqliteJournal
from consumer.repair import Range
from consumer.testing.builders import data, entry, event, refusal
from journal_log import commits

RECORDED = [1_000, 2_000, 3_000, 500, 9_000, 600, 700, 8_800]


async def test_a_readmission_is_one_commit(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    bad = [refusal(b"%d" % n) for n in range(20)]
    async with SqliteJournal(path) as journal:
        await journal.append([entry(refusals=bad)])
        before = commits(path)
        await journal.readmit({one.id: entry(event(n)) for n, one in enumerate(bad)})
        assert commits(path) - before == 1
        assert (await journal.positions()).quarantined == 0


async def test_a_refusal_costs_the_others_no_commit(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with SqliteJournal(path) as journal:
        await journal.enroll({"sink": True})
        before = commits(path)
        results = await asyncio.gather(
            *(journal.append([entry(event(n))]) for n in range(100)),
            *(journal.pause(sink, paused=True) for sink in ("none", "sink", "nobody")),
            journal.replay("sink", Range(start=0)),  # nothing passed
            journal.append([entry(event(100))]),
            return_exceptions=True,
        )
        refused = [result for result in results if isinstance(result, BaseException)]
        assert [type(each) for each in refused] == [Refused] * 3
        assert commits(path) - before <= 20
        assert len(await journal.read(0, limit=1_000)) == 101
        assert (await journal.orders("sink")).paused is not None


async def test_orders_outlive_the_daemon(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with SqliteJournal(path) as journal:
        await journal.append([entry(*(event(n) for n in range(9)))])
        await journal.enroll({"sink": False})
        await journal.advance("sink", 9, {2: "no", 3: "no"})
        await journal.pause("sink", paused=True)
        await journal.retry_parked("sink", [3])
        replay = await journal.replay("sink", Range(start=4, source="radial-queue"))
        await journal.redelivered("sink", [4, 5], {}, replayed=replace(replay, done=5))
        orders = await journal.orders("sink")
    assert orders.replay is not None
    assert (orders.replay.done, orders.replay.source, orders.retrying) == (5, "radial-queue", 1)
    for readonly in (True, False):
        async with SqliteJournal(path, readonly=readonly) as journal:
            assert await journal.orders("sink") == orders
            (cursor,) = (await journal.positions()).cursors
            assert (cursor.paused, cursor.replay) == (orders.paused, orders.replay)


async def test_a_list_reads_no_bodies(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    bodies = [b"%d" % n * (1 << 20) for n in range(8)]
    async with SqliteJournal(path) as journal:
        await journal.append([entry(refusals=[refusal(body) for body in bodies])])
    async with SqliteJournal(path, readonly=True) as journal:
        before = _bytes_read()
        assert [row.size for row in await journal.quarantined(bodies=False)] == [1 << 20] * 8
        assert _bytes_read() - before < 1 << 20
        assert [row.body for row in await journal.quarantined()] == bodies
        assert _bytes_read() - before > 8 << 20


async def test_parked_events_are_read_without_bodies_and_within_bounds(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    large = [event(n, data=data(n, delay="x" * (1 << 20))) for n in range(8)]
    async with SqliteJournal(path) as journal:
        await journal.append([entry(*large)])
        await journal.enroll({"sink": True})
        await journal.advance("sink", 8, dict.fromkeys(range(1, 9), "no"))
        await journal.retry_parked("sink", None)
    async with SqliteJournal(path, readonly=True) as journal:
        before = _bytes_read()
        for sink in (None, "sink"):
            assert len(await journal.parked(sink, bodies=False)) == 8
        assert _bytes_read() - before < 1 << 20
        rows = await journal.retrying("sink", limit=8, max_bytes=5 << 19)
        assert [row.seq for row in rows] == [1, 2]
        assert 2 << 20 < _bytes_read() - before < 4 << 20
        assert len(await journal.parked("sink")) == 8
        assert _bytes_read() - before > 8 << 20


def _bytes_read() -> int:
    found = re.search(r"^rchar: (\d+)$", Path("/proc/self/io").read_text("ascii"), re.MULTILINE)
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize(
    ("moment", "start"), [(0, 1), (2_500, 3), (3_000, 3), (8_500, 5), (9_000, 5), (9_001, None)]
)
def test_a_moment_is_found_though_the_clock_jumped(
    tmp_path: Path, moment: int, start: int | None
) -> None:
    path = tmp_path / "journal.db"
    path.touch()
    with closing(sqlite_file.open_writer(path)) as connection:
        connection.executemany(
            "INSERT INTO events VALUES (?, ?, ?, 'o', '/radial/x', 't', 's', x'')",
            [(seq, str(seq), recorded) for seq, recorded in enumerate(RECORDED, start=1)],
        )
        assert sqlite_reads.since(connection, moment) == start
