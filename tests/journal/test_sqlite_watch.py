"""What polls make known, in SQLite: how it is written, and how pruning passes what it leaves."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from consumer.event import Event
from consumer.journal import sqlite, sqlite_file, sqlite_prune, sqlite_writes
from consumer.journal.sqlite import SqliteJournal
from consumer.model import Entry, Known, Watch, utc_now
from consumer.testing.builders import entry, event, message

SCOPE = "/mvet/0002789"


def log(path: Path) -> bytes:
    return Path(f"{path}-wal").read_bytes()


def polled(*events: Event, digest: bytes = b"row") -> Entry:
    known = {one.subject: Known(digest, 0, "list") for one in events}
    return entry(*events, watch=Watch(source=SCOPE, view="list", lines=known))


def tables_written(connection: sqlite3.Connection, one: Entry) -> set[str]:
    written = set()

    def note(action: int, table: str | None, *_: object) -> int:
        if action in {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}:
            written.add(str(table))
        return sqlite3.SQLITE_OK

    connection.set_authorizer(note)
    sqlite_writes.append(connection, [[one]])
    return written


def test_what_is_only_looked_at_does_not_touch_the_log(tmp_path: Path) -> None:
    path, said = tmp_path / "journal.db", event(1, source=SCOPE)
    path.touch()
    with closing(sqlite_file.open_writer(path)) as connection:
        assert "events" in tables_written(connection, polled(said))
        looked_at = replace(polled(said, digest=b"other"), events=())
        assert "events" not in tables_written(connection, looked_at)


async def test_a_poll_with_nothing_new_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with SqliteJournal(path) as journal:
        await journal.append([polled(event(1, source=SCOPE))])
        before = log(path)
        await journal.append([polled()])
        assert log(path) == before
        await journal.append([replace(polled(), message=message(source="renamed"))])
        assert log(path) != before


async def test_pruning_goes_on_where_it_came_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[sqlite_prune.Prune] = []

    def prune(
        connection: sqlite3.Connection, calls: Sequence[sqlite_prune.Prune]
    ) -> Sequence[sqlite_prune.Pruned]:
        steps.extend(calls)
        return genuine(connection, calls)

    genuine = sqlite_prune.prune
    monkeypatch.setattr(sqlite_prune, "prune", prune)
    monkeypatch.setattr(sqlite, "_PRUNE_STEP", 10)
    async with SqliteJournal(tmp_path / "journal.db") as journal:
        await journal.append([polled(*(event(n, source=SCOPE) for n in range(95)))])
        await journal.append([entry(*(event(n) for n in range(15)))])
        assert await journal.prune(utc_now() + timedelta(seconds=1), []) == 15
    assert [max(step.after[1], 0) for step in steps] == list(range(0, 111, 10))


async def test_pruning_spares_what_was_recorded_early_but_not_passed(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with SqliteJournal(path) as journal:
        await journal.append([entry(*(event(n) for n in range(6)))])
        await journal.enroll({"sink": True})
        await journal.advance("sink", 3, {})
    with closing(sqlite3.connect(path)) as connection, connection:  # the clock went backwards
        connection.execute("UPDATE events SET recorded = 100 - seq")
    async with SqliteJournal(path) as journal:
        await journal.prune(utc_now(), ["sink"])
        assert {4, 5, 6} <= {record.seq for record in await journal.read(0, limit=9)}
        await journal.advance("sink", 6, {})
        assert await journal.prune(utc_now(), ["sink"]) > 0
        assert list(await journal.read(0, limit=9)) == []
