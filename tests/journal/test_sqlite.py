"""The SQLite journal keeps the promises of `ports.Journal`, and those of its own."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from consumer.errors import JournalUnavailable, JournalUnusable
from consumer.journal import sqlite_writer, sqlite_writes
from consumer.journal.sqlite import SqliteJournal
from consumer.model import Known, Refusal, Watch, utc_now
from consumer.repair import RepairableJournal
from consumer.testing.builders import data, entry, event, message
from consumer.testing.journal import JournalRepairSuite, JournalSuite
from journal_log import commits
from journal_process import appending
from waiting import until

FAT = {"padding": "x" * 4_000}


class TestSqliteJournal(JournalSuite, JournalRepairSuite):
    @pytest.fixture
    async def journal(self, tmp_path: Path) -> AsyncIterator[RepairableJournal]:
        async with SqliteJournal(tmp_path / "made" / "here" / "journal.db") as journal:
            yield journal


def size(path: Path) -> int:
    return path.stat().st_size


def permissions(path: Path) -> int:
    return path.stat().st_mode & 0o777


def contents(directory: Path) -> Mapping[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.iterdir()}


async def test_what_waits_together_is_committed_together(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with SqliteJournal(path) as journal:
        before = commits(path)
        await asyncio.gather(*(journal.append([entry(event(n))]) for n in range(1_000)))
        assert 1 <= commits(path) - before <= 100


async def test_cursors_of_sinks_that_are_level_go_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_writer, "_COMPANY", 3600.0)
    path, sinks = tmp_path / "journal.db", [f"sink-{n}" for n in range(4)]
    async with SqliteJournal(path) as journal:
        await journal.enroll(dict.fromkeys(sinks, True))
        await journal.append([entry(event(1), event(2))])
        before = commits(path)
        await journal.advance(sinks[0], 1, {})  # not level: it has something to go on with
        assert commits(path) - before == 1
        level = [asyncio.ensure_future(journal.advance(sink, 2, {2: "no"})) for sink in sinks]
        await asyncio.sleep(0)
        await journal.append([entry(event(3))])
        await asyncio.gather(*level)
        assert commits(path) - before == 2
        assert [cursor.seq for cursor in (await journal.positions()).cursors] == [2] * 4
        assert len(await journal.parked()) == 4
        last = asyncio.ensure_future(journal.advance(sinks[0], 3, {}))
        await asyncio.sleep(0)
    await last
    async with SqliteJournal(path) as journal:
        assert [cursor.seq for cursor in (await journal.positions()).cursors] == [3, 2, 2, 2]


async def test_a_cursor_does_not_wait_where_there_is_something_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_writer, "_COMPANY", 3600.0)
    async with SqliteJournal(tmp_path / "journal.db") as journal:
        await journal.enroll({"sink": True})
        await journal.append([entry(event(1))])
        for n in range(2, 50):
            appended = asyncio.ensure_future(journal.append([entry(event(n))]))
            await asyncio.sleep(n % 3 * 0.0005)  # before that is committed, meanwhile, or behind it
            if not appended.done():
                await journal.advance("sink", n - 1, {})
            await appended


async def test_a_cursor_with_nothing_to_go_along_with_is_kept_all_the_same(tmp_path: Path) -> None:
    async with SqliteJournal(tmp_path / "journal.db") as journal:
        await journal.enroll({"sink": True})
        await journal.append([entry(event(1))])
        await journal.advance("sink", 1, {})
        assert (await journal.positions()).cursors[0].seq == 1


async def test_what_is_large_together_is_committed_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with SqliteJournal(path) as journal:
        before = commits(path)
        large = [entry(event(n), message=message(body=b"x" * (40 << 20))) for n in range(6)]
        await asyncio.gather(*(journal.append([one]) for one in large))
        assert commits(path) - before >= 3


async def test_what_many_polls_know_is_committed_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    many = {str(n): Known(b"row", 0, "list") for n in range(5_000)}
    async with SqliteJournal(path) as journal:
        before = commits(path)
        watches = [Watch(source=f"/mvet/{n}", view="list", lines=many) for n in range(6)]
        await asyncio.gather(*(journal.append([entry(watch=watch)]) for watch in watches))
        assert commits(path) - before >= 3


def test_what_polls_tell_is_weighed() -> None:
    """No message says how large those events are; what is quarantined says so itself."""
    told = [event(n) for n in range(800)]
    posted = [entry(*told, message=message(body=b"x" * 2048))]
    polled = [entry(*told, message=message(body=b""), watch=Watch(source="/mvet/1", view="list"))]
    assert sqlite_writes.weigh(polled) == sqlite_writes.weigh(posted) == 800 + 100
    aside = [entry(refusals=(Refusal(body=b"x" * (1 << 20), problems=()),))]
    assert sqlite_writes.weigh(aside) == 1 + 64


async def test_bodies_beyond_the_size_of_a_statement_stay_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_writes, "_SLICE", 10_000)
    said = [
        event(n, data=data(n, extra=FAT if n % 5 else FAT | {"more": "x" * 20_000}))
        for n in range(1, 30)
    ]
    async with SqliteJournal(tmp_path / "journal.db") as journal:
        before = commits(tmp_path / "journal.db")
        (outcome,) = await journal.append([entry(*said)])
        assert outcome.accepted == len(said)
        assert commits(tmp_path / "journal.db") - before == 1
        records = await journal.read(0, limit=100)
        assert [record.seq for record in records] == list(range(1, 30))
        assert [record.body for record in records] == [one.encode() for one in said]
        states = await journal.backorders()
        assert sorted(state.seq for state in states) == list(range(1, 30))


async def test_everything_is_still_there_after_closing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with SqliteJournal(path) as journal:
        await journal.append([entry(event(1))])
        await journal.enroll({"sink": True})
        positions = await journal.positions()
    assert sorted(contents(tmp_path)) == ["journal.db", "journal.db.lock"]
    assert permissions(path) & 0o007 == 0  # personal data is in it
    async with SqliteJournal(path) as journal:
        assert await journal.positions() == positions
    with pytest.raises(JournalUnavailable, match="closed"):
        await journal.append([entry(event(2))])
    with pytest.raises(JournalUnavailable, match="closed"):
        await journal.positions()


async def test_closing_commits_what_waits(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with SqliteJournal(path) as journal:
        calls = [asyncio.ensure_future(journal.append([entry(event(n))])) for n in range(50)]
        await asyncio.sleep(0)
    assert [outcome.accepted for (outcome,) in await asyncio.gather(*calls)] == [1] * 50


async def test_the_log_stays_small_while_readers_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_writer, "_WAL_BYTES", 1 << 20)
    path, largest = tmp_path / "journal.db", 0
    async with SqliteJournal(path) as journal, SqliteJournal(path, readonly=True) as beside:

        async def read_on(reader: SqliteJournal) -> None:
            while True:
                await reader.backorders(limit=50)

        readers = [asyncio.ensure_future(read_on(reader)) for reader in (journal, beside)]
        for n in range(0, 1_000, 50):
            batch = [event(m, data=data(m, extra=FAT)) for m in range(n, n + 50)]
            await journal.append([entry(*batch)])
            largest = max(largest, size(Path(f"{path}-wal")))
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    assert largest < 4 << 20
    assert size(path) > 4 << 20


async def test_pruning_gives_space_back(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with SqliteJournal(path) as journal:
        await journal.append([entry(*(event(n, data=data(n, extra=FAT)) for n in range(2_000)))])
    full = size(path)
    async with SqliteJournal(path) as journal:
        await journal.append([entry(*(event(n, type="backorder.cleared") for n in range(2_000)))])
        await journal.prune(utc_now() + timedelta(seconds=1), [])
        assert list(await journal.backorders(ended=True)) == []
    assert size(path) < full // 2


# --- readonly: beside a daemon -----------------------------------------------------------------


async def test_a_reader_sees_what_another_process_commits(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with appending(path, first=1) as appender:
        appender.read(1)
        async with SqliteJournal(path, readonly=True) as journal:
            seen: list[int] = []

            async def saw_more() -> bool:
                seen.extend(r.seq for r in await journal.read(seen[-1] if seen else 0, limit=99))
                return len(seen) >= 200

            await until(saw_more)
            assert seen == list(range(1, len(seen) + 1))
            appender.kill()  # its log is left behind, and still holds the newest events
            head = (await journal.positions()).head
        assert head >= len(appender.committed)
        async with SqliteJournal(path, readonly=True) as journal:
            # what it was committing when it died may have made it, too
            assert (await journal.positions()).head >= head


async def test_a_reader_changes_and_makes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with SqliteJournal(path) as journal:
        await journal.append([entry(event(1))])
    before = contents(tmp_path)
    async with SqliteJournal(path, readonly=True) as journal:
        assert len(await journal.read(0, limit=9)) == 1
        with pytest.raises(JournalUnusable, match="opened for reading only"):
            await journal.append([entry(event(2))])
        assert contents(tmp_path) == before


async def test_a_reader_follows_a_daemon_that_comes_and_goes(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with SqliteJournal(path):
        pass
    async with SqliteJournal(path, readonly=True) as reader:
        for n in range(1, 4):
            async with SqliteJournal(path) as journal:
                await journal.append([entry(event(n))])
                assert len(await reader.read(0, limit=9)) == n
            assert len(await reader.read(0, limit=9)) == n


async def test_without_a_journal_a_reader_says_so_and_makes_none(tmp_path: Path) -> None:
    with pytest.raises(JournalUnusable, match=r"nowhere/journal\.db: there is none"):
        async with SqliteJournal(tmp_path / "nowhere" / "journal.db", readonly=True):
            pass
    assert contents(tmp_path) == {}


async def test_a_foreign_reader_does_not_hold_up_commits(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with SqliteJournal(path) as journal:
        await journal.append([entry(event(1))])
        with closing(sqlite3.connect(path)) as foreign:
            foreign.execute("BEGIN")
            assert foreign.execute("SELECT count(*) FROM events").fetchone() == (1,)
            (outcome,) = await journal.append([entry(event(2))])
            assert outcome.accepted == 1
            assert foreign.execute("SELECT count(*) FROM events").fetchone() == (1,)
