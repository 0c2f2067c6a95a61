"""Opening a journal: a clear error for each way in which it cannot be used."""

import asyncio
import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from consumer.errors import JournalUnusable
from consumer.journal import sqlite_file
from consumer.journal.sqlite import SqliteJournal
from consumer.model import Known, Problem, Refusal, Watch, Watched
from consumer.repair import Orders, Range
from consumer.testing.builders import entry, event
from file_limit import no_file_larger_than


async def refusal_to_open(path: Path, *, readonly: bool = False) -> JournalUnusable:
    with pytest.raises(JournalUnusable) as raised:
        async with SqliteJournal(path, readonly=readonly):
            pass
    assert str(path) in raised.value.reason
    assert raised.value.hint
    return raised.value


async def a_journal(path: Path, events: int = 200) -> None:
    async with SqliteJournal(path) as journal:
        await journal.append([entry(*(event(n) for n in range(events)))])


# --- the lock ----------------------------------------------------------------------------------


async def test_a_second_daemon_is_told_about_the_first(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with SqliteJournal(path) as journal:
        refused = await refusal_to_open(path)
        assert f"process {os.getpid()}" in refused.reason
        assert f"{path}.lock" in refused.reason
        await journal.append([entry(event(1))])
    await a_journal(path)


async def test_a_cancelled_opening_lets_go_of_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    for turns in range(4):
        opening = asyncio.ensure_future(SqliteJournal(path).__aenter__())
        for _ in range(turns):
            await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
    await a_journal(path)


# --- the file ----------------------------------------------------------------------------------


def garbage(path: Path) -> None:
    path.write_bytes(b"not at all a database\n" * 500)


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def newer(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


def foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("readonly", [False, True])
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (garbage, "it is no SQLite database"),
        (cut_short, "it is damaged"),
        (newer, r"newer version of this program wrote it \(its schema is 99, this version knows 3"),
        (foreign, "database of another program"),
        (directory, "it is a directory"),
    ],
)
async def test_what_is_no_usable_journal(
    tmp_path: Path, spoil: Callable[[Path], None], reason: str, readonly: bool
) -> None:
    path = tmp_path / "journal.db"
    await a_journal(path)
    spoil(path)
    before = path.read_bytes() if path.is_file() else None
    refused = await refusal_to_open(path, readonly=readonly)
    assert re.search(reason, refused.reason)
    assert before is None or path.read_bytes() == before


async def test_a_place_where_nothing_may_be_made() -> None:
    # sysfs takes no new files, not even from root: "access is denied" or "read-only"
    refused = await refusal_to_open(Path("/sys/journal.db"))
    assert "access is denied" in refused.reason or "read-only" in refused.reason


async def test_a_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = await refusal_to_open(tmp_path / "file" / "journal.db")
    assert "its directory is a file" in refused.reason


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        (0, "a limit on the size of files is reached"),  # the lock
        (20_000, "the disk cannot be read or written"),  # the schema
    ],
)
async def test_a_disk_that_takes_nothing(tmp_path: Path, size: int, reason: str) -> None:
    path = tmp_path / "journal.db"
    with no_file_larger_than(size):
        refused = await refusal_to_open(path)
    assert reason in refused.reason
    await a_journal(path)  # what was begun does not stand in the way


async def test_an_empty_file_becomes_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.touch()
    await a_journal(path)


# --- the schema --------------------------------------------------------------------------------

NEXT = "ALTER TABLE cursors ADD COLUMN note TEXT NOT NULL DEFAULT 'from the next schema';"


async def test_an_older_journal_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    steps = (*sqlite_file.MIGRATIONS, NEXT)
    async with SqliteJournal(path) as journal:
        await journal.append([entry(event(1))])
        await journal.enroll({"sink": True})
    with pytest.raises(JournalUnusable, match="Start the daemon once"):
        sqlite_file.open_reader(path, shared=False, steps=steps)
    with closing(sqlite_file.open_writer(path, steps)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(steps),)
        assert connection.execute("SELECT * FROM cursors").fetchall() == [
            ("sink", 0, None, "from the next schema")
        ]
        assert connection.execute("SELECT id FROM events").fetchall() == [(event(1).id,)]
    refused = await refusal_to_open(path)
    assert "newer version" in refused.reason


async def test_a_journal_of_schema_1_keeps_what_it_holds(tmp_path: Path) -> None:
    path, said = tmp_path / "journal.db", event(1)
    path.touch()
    with closing(sqlite_file.open_writer(path, sqlite_file.MIGRATIONS[:1])) as connection:
        connection.execute(
            "INSERT INTO events VALUES (7, ?, 1, 'radial-queue', ?, ?, ?, ?)",
            (said.id, said.source, said.type, said.subject, said.encode()),
        )
        connection.execute(
            "INSERT INTO backorders (source, subject, origin, type, since, updated, seq)"
            " VALUES (?, ?, 'radial-queue', ?, 1, 1, 7)",
            (said.source, said.subject, said.type),
        )
        connection.execute("INSERT INTO cursors VALUES ('sink', 6)")
    async with SqliteJournal(path) as journal:
        assert [(r.seq, r.body) for r in await journal.read(0, limit=9)] == [(7, said.encode())]
        assert [(line.subject, line.seq) for line in await journal.backorders()] == [
            (said.subject, 7)
        ]
        assert [(c.sink, c.pending) for c in (await journal.positions()).cursors] == [("sink", 1)]
        assert await journal.watched(said.source) == Watched()
        assert list(await journal.scopes()) == []
        watch = Watch(source=said.source, view="", lines={said.subject: Known(b"row", 0, "")})
        await journal.append([entry(watch=watch)])
        assert (await journal.watched(said.source)).lines == watch.lines
        assert await journal.told(said.source, [said.subject]) == {said.subject: said.encode()}
    async with SqliteJournal(path) as journal:
        assert (await journal.watched(said.source)).lines == watch.lines


async def test_a_journal_of_schema_2_keeps_what_it_holds(tmp_path: Path) -> None:
    path, said = tmp_path / "journal.db", event(1)
    bodies = [b"\xff\x00" * 9_000, b"", b"<third/>"]
    path.touch()
    with closing(sqlite_file.open_writer(path, sqlite_file.MIGRATIONS[:2])) as connection:
        connection.execute(
            "INSERT INTO events VALUES (7, ?, 1, 'radial-queue', ?, ?, ?, ?)",
            (said.id, said.source, said.type, said.subject, said.encode()),
        )
        connection.execute("INSERT INTO cursors VALUES ('sink', 7)")
        connection.execute(
            "INSERT INTO parked VALUES ('sink', 7, 'too long', 3), ('old', 2, '', 4)"
        )
        connection.executemany(
            "INSERT INTO quarantine VALUES (?, 'hook', 'radial', '/webhooks', 1, 2, 3, ?, ?, ?)",
            [
                (Refusal(body=body, problems=()).id, b'[{"reason":"no"}]', b'{"a":"b"}', body)
                for body in bodies
            ],
        )
    async with SqliteJournal(path) as journal:
        rows = await journal.quarantined()
        assert [(row.position, row.body, row.size) for row in rows] == [
            (position, body, len(body)) for position, body in enumerate(bodies, start=1)
        ]
        assert (rows[0].times, rows[0].problems) == (3, (Problem(reason="no"),))
        assert (rows[0].origin, rows[0].attributes) == ("/webhooks", {"a": "b"})
        assert await journal.orders("sink") == Orders()
        assert [
            (row.sink, row.seq, row.reason, row.retrying) for row in await journal.parked()
        ] == [
            ("old", 2, "", False),
            ("sink", 7, "too long", False),
        ]
        assert await journal.retry_parked("sink", None) == 1
        assert (await journal.replay("sink", Range(start=0))).start == 7
        await journal.append([entry(refusals=[Refusal(body=bodies[2], problems=())])])
        await journal.discard_quarantined([rows[2].id])
        await journal.append([entry(refusals=[Refusal(body=bodies[2], problems=())])])
        assert [row.position > 3 for row in await journal.quarantined()] == [False, False, True]


async def test_a_journal_is_told_from_every_other_one(tmp_path: Path) -> None:
    older, newer, copy = (tmp_path / name for name in ("older.db", "newer.db", "copy.db"))
    older.touch()
    sqlite_file.open_writer(older, sqlite_file.MIGRATIONS[:2]).close()
    names = [await name_of(path) for path in (older, newer)]
    assert names[0] != names[1]
    assert all(re.fullmatch("[0-9a-f]{32}", name) for name in names)
    assert [await name_of(path) for path in (older, newer)] == names
    copy.write_bytes(newer.read_bytes())
    assert await name_of(copy) == names[1]


async def name_of(path: Path) -> str:
    async with SqliteJournal(path) as journal:
        return (await journal.positions()).journal


async def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await a_journal(path)
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        sqlite_file.open_writer(path, (*sqlite_file.MIGRATIONS, f"{NEXT} DROP TABLE missing;"))
    await a_journal(path)
    with closing(sqlite_file.open_writer(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (
            len(sqlite_file.MIGRATIONS),
        )
        assert len(connection.execute("PRAGMA table_info(cursors)").fetchall()) == 3
