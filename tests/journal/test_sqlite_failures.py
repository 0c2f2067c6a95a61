"""What happens to the SQLite journal when the process dies or the storage fails under way."""

import asyncio
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from consumer.errors import JournalUnavailable
from consumer.journal.sqlite import SqliteJournal
from consumer.journal.sqlite_errors import unavailable
from consumer.testing.builders import data, entry, event
from file_limit import no_file_larger_than
from journal_process import appending

FAT = {"padding": "x" * 4_000}


async def held(journal: SqliteJournal) -> list[str]:
    return [record.id for record in await journal.read(0, limit=1_000_000)]


async def test_what_was_acknowledged_outlives_sigkill(tmp_path: Path) -> None:
    path, acknowledged = tmp_path / "journal.db", list[int]()
    for life in range(5):
        with appending(path, first=life * 1_000_000) as appender:
            appender.read(1 + secrets.randbelow(80))
            appender.kill()
        assert appender.committed
        acknowledged += appender.committed
    async with SqliteJournal(path) as journal:
        ids = await held(journal)
    assert len(ids) == len(set(ids))
    assert {event(n).id for n in acknowledged} <= set(ids)


def log(path: Path) -> Path:
    return Path(f"{path}-wal")


def size(path: Path) -> int:
    return path.stat().st_size


async def test_a_full_disk_loses_nothing_and_passes(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with SqliteJournal(path) as journal:
        await journal.append([entry(event(1))])
        fat = [event(n, data=data(n, extra=FAT)) for n in range(2, 100)]
        with no_file_larger_than(size(log(path)) + 20_000):
            for _ in range(2):
                results = await asyncio.gather(
                    *(journal.append([entry(one)]) for one in fat), return_exceptions=True
                )
                assert any(isinstance(result, JournalUnavailable) for result in results)
            assert (await held(journal))[0] == event(1).id  # sinks can go on
            with pytest.raises(JournalUnavailable, match=str(path)):
                await journal.append([entry(*fat)])
        outcomes = await journal.append([entry(one) for one in fat])
        assert all(outcome.accepted + outcome.duplicates == 1 for outcome in outcomes)
        assert sorted(await held(journal)) == sorted([event(1).id, *(one.id for one in fat)])
        await journal.probe()


async def test_a_probe_notices_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with SqliteJournal(path) as journal:
        with no_file_larger_than(100), pytest.raises(JournalUnavailable, match=str(path)):
            await journal.probe()
        await journal.probe()


async def test_a_deleted_file_takes_no_commits(tmp_path: Path) -> None:
    path, aside = tmp_path / "journal.db", tmp_path / "aside.db"
    async with SqliteJournal(path) as journal:
        await journal.append([entry(event(1))])
        path.rename(aside)
        for _ in range(2):
            with pytest.raises(JournalUnavailable, match="the file is gone"):
                await journal.append([entry(event(2))])
            with pytest.raises(JournalUnavailable, match="the file is gone"):
                await journal.positions()
        assert path not in list(tmp_path.iterdir())
        aside.rename(path)
        assert await held(journal) == [event(1).id]
        (outcome,) = await journal.append([entry(event(2))])
        assert outcome.accepted == 1


async def test_a_replaced_file_takes_no_commits(tmp_path: Path) -> None:
    path, other = tmp_path / "journal.db", tmp_path / "other.db"
    async with SqliteJournal(other):
        pass
    async with SqliteJournal(path) as journal:
        await journal.append([entry(event(1))])
        other.rename(path)
        for _ in range(2):
            with pytest.raises(JournalUnavailable, match="another file stands in its place"):
                await journal.append([entry(event(2))])
            with pytest.raises(JournalUnavailable, match="another file stands in its place"):
                await journal.read(0, limit=1)


@pytest.mark.parametrize("first_to_notice", ["append", "read"])
async def test_a_deleted_log_costs_no_committed_event(tmp_path: Path, first_to_notice: str) -> None:
    path = tmp_path / "journal.db"
    async with SqliteJournal(path) as journal:
        await journal.append([entry(event(1))])
        assert await held(journal) == [event(1).id]
        log(path).unlink()
        with pytest.raises(JournalUnavailable, match="write-ahead log"):
            await (
                journal.append([entry(event(2))])
                if first_to_notice == "append"
                else journal.positions()
            )
        assert await held(journal) == [event(1).id]
        await journal.append([entry(event(2))])
        assert await held(journal) == [event(1).id, event(2).id]
    async with SqliteJournal(path) as journal:
        assert await held(journal) == [event(1).id, event(2).id]


def test_only_failures_of_the_storage_are_failures_of_the_storage(tmp_path: Path) -> None:
    path = tmp_path / "scratch.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x UNIQUE)")
        connection.execute("PRAGMA max_page_count = 3")
        with pytest.raises(sqlite3.OperationalError) as full:
            connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
        connection.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(sqlite3.IntegrityError) as wrong:
            connection.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(sqlite3.ProgrammingError) as misused:
            connection.execute("SELECT ?", ())
    failure = unavailable(path, full.value)
    assert failure is not None
    assert failure.reason == f"journal {path}: the disk is full"
    assert unavailable(path, wrong.value) is None
    assert unavailable(path, misused.value) is None


@pytest.mark.parametrize("readonly", [True, False])
@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE events SET body = NULL",  # as of a page that was cut off
        "UPDATE events SET recorded = 1 << 62",
        "UPDATE events SET subject = CAST(x'ff' AS TEXT)",
    ],
)
async def test_rows_that_nobody_wrote_are_called_damage(
    tmp_path: Path, spoil: str, readonly: bool
) -> None:
    path = tmp_path / "journal.db"
    async with SqliteJournal(path) as journal:
        await journal.append([entry(event(1))])
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "PRAGMA writable_schema = ON;"
            "UPDATE sqlite_schema SET sql = replace(sql, 'BLOB    NOT NULL  --', 'BLOB --')"
            " WHERE name = 'events';"
            "PRAGMA writable_schema = RESET;"
        )
        connection.execute(spoil)
        connection.commit()
    async with SqliteJournal(path, readonly=readonly) as journal:
        with pytest.raises(JournalUnavailable, match=r"it is damaged\. Restore a backup"):
            await journal.read(0, limit=10)
