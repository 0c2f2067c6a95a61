"""Who repairs: this process where the journal is at rest, else the daemon, or nobody."""

import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from consumer.admin import Admin, Readiness
from consumer.errors import (
    ConfigurationError,
    JournalInUse,
    JournalUnusable,
    Refused,
    SchemasUnusable,
)
from consumer.journal.sqlite import SqliteJournal
from consumer.journal.sqlite_file import MIGRATIONS, open_writer
from consumer.repair import RepairableJournal
from consumer.repair_now import repairing
from consumer.settings import AdminSettings, IntakeSettings, PrivacySettings
from consumer.simulators.broker_home import free_port
from consumer.telemetry import Log
from consumer.testing.builders import entry, event
from consumer.testing.journal import MemoryJournal
from consumer.validation import Schemas
from consumer.values import Secret
from consumer.workshop import Workshop

TOKEN = "correct-horse-battery-staple"


@pytest_asyncio.fixture
async def path(tmp_path: Path) -> Path:
    """A journal at rest, with two events and a sink."""
    file = tmp_path / "journal.db"
    async with SqliteJournal(file) as journal:
        await journal.enroll({"archive": True})
        await journal.append([entry(event(1), event(2))])
    return file


def configured(path: Path, address: str, *, more: str = "") -> Path:
    """A configuration whose secrets are not at hand, but for what its `[admin]` needs."""
    file = path.parent / "consumer.toml"
    file.write_text(
        f"""
[journal]
url = "sqlite:{path}"
[admin]
listen = "{address}"
token = "{TOKEN}"
[[sources]]
type = "cinx"
name = "cinx"
api_token = "${{NOT_AT_HAND}}"
[[sinks]]
type = "http"
name = "archive"
url = "${{NOT_AT_HAND}}"
{more}
"""
    )
    return file


@pytest_asyncio.fixture
async def taken(path: Path) -> AsyncIterator[SqliteJournal]:
    """The same journal, open for writing."""
    async with SqliteJournal(path) as journal:
        yield journal


def admin(journal: RepairableJournal, *, token: str = TOKEN) -> Admin:
    """The admin listener of a daemon on `journal`."""

    async def ready() -> Readiness:
        return Readiness(ready=True, parts={})

    async def metrics() -> bytes:
        return b""

    workshop = Workshop(
        journal, Schemas.load(), privacy=PrivacySettings(), intake=IntakeSettings(), log=Log()
    )
    return Admin(
        AdminSettings(listen="127.0.0.1:0", token=Secret(token)),
        readiness=ready,
        metrics=metrics,
        journal=journal,
        repairs=workshop,
        on_error=lambda error: pytest.fail(repr(error)),
    )


async def test_at_rest_it_is_done_here(path: Path) -> None:
    async with repairing(path, None) as bench:
        assert not bench.running
        await bench.repairs.pause("archive")
        assert (await bench.journal.orders("archive")).paused


async def test_a_daemon_is_asked_where_it_has_the_journal(path: Path, taken: SqliteJournal) -> None:
    async with admin(taken) as listener:
        config = configured(path, listener.address)
        async with repairing(path, config) as bench:
            assert bench.running
            await bench.repairs.pause("archive")
            assert (await bench.journal.orders("archive")).paused
    assert (await taken.orders("archive")).paused


async def test_an_order_to_a_sink_that_nobody_runs_is_refused(path: Path) -> None:
    async with SqliteJournal(path) as journal:
        await journal.enroll({"former": True})
    config = configured(path, "127.0.0.1:1")
    async with repairing(path, config) as bench:
        with pytest.raises(Refused, match="archive"):
            await bench.repairs.pause("former")
        await bench.repairs.discard_parked("former", None)
        await bench.repairs.end_replay("former")
    async with repairing(path, None) as bench:
        await bench.repairs.pause("former")  # nobody knows who runs it


def keep_from_writing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operating system lets this user read the journal's files and not write them."""
    opened = os.open

    def refusing(file: str | Path, flags: int, *rest: int) -> int:
        if str(file).startswith(str(path)) and flags & (os.O_RDWR | os.O_WRONLY):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))
        return opened(file, flags, *rest)

    monkeypatch.setattr(os, "open", refusing)


async def test_who_may_not_write_the_journal_asks_the_daemon(
    path: Path, taken: SqliteJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with admin(taken) as listener:
        config = configured(path, listener.address)
        keep_from_writing(path, monkeypatch)
        async with repairing(path, config) as bench:
            assert bench.running
            await bench.repairs.pause("archive")
    assert (await taken.orders("archive")).paused


async def test_who_may_not_write_is_told_so_where_no_daemon_answers(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_from_writing(path, monkeypatch)
    with pytest.raises(JournalUnusable, match=r"access is denied\. Let this user"):
        async with repairing(path, None):
            pass
    config = configured(path, f"127.0.0.1:{free_port()}")
    with pytest.raises(JournalUnusable) as raised:
        async with repairing(path, config):
            pass
    told = str(raised.value)
    assert f"journal {path}: access is denied, and the admin listener at " in told
    assert told.endswith(
        "Connection refused. Let this user read and write the file and its directory"
    )


async def test_without_its_configuration_a_daemon_cannot_be_asked(
    path: Path, taken: SqliteJournal
) -> None:
    with pytest.raises(JournalInUse, match=r"name its configuration with -c FILE"):
        async with repairing(path, None):
            pass


async def test_a_daemon_that_does_not_answer_is_told_with_what_to_check(
    path: Path, taken: SqliteJournal
) -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(JournalInUse) as raised:
        async with repairing(path, configured(path, address)):
            pass
    told = str(raised.value)
    assert f"{path}: another daemon or command, process " in told
    assert f"the admin listener at {address} ([admin] listen of " in told
    assert "does not answer: Connection refused. If that process is a daemon, see that" in told


async def test_a_daemon_with_another_token_is_told_so(path: Path, taken: SqliteJournal) -> None:
    async with admin(taken, token="another-token-altogether") as listener:
        with pytest.raises(JournalInUse) as raised:
            async with repairing(path, configured(path, listener.address)):
                pass
    assert "the running daemon has another one. Give this command the token" in str(raised.value)
    assert TOKEN not in str(raised.value)


@pytest.mark.parametrize("events", [1, 2, 3])
async def test_the_daemon_of_another_journal_is_left_alone(
    path: Path, taken: SqliteJournal, events: int
) -> None:
    other = MemoryJournal()
    await other.enroll({"archive": True})
    await other.append([entry(*(event(n) for n in range(1, events + 1)))])
    async with admin(other) as listener:
        with pytest.raises(JournalInUse, match="works on another journal"):
            async with repairing(path, configured(path, listener.address)):
                pass


async def test_a_journal_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(JournalUnusable, match="there is none"):
        async with repairing(tmp_path / "none.db", None):
            pass
    assert list(tmp_path.iterdir()) == []


async def test_an_old_journal_is_left_for_the_daemon_to_bring_up_to_date(tmp_path: Path) -> None:
    old = tmp_path / "old.db"
    old.touch()
    open_writer(old, MIGRATIONS[:-1]).close()
    before = old.read_bytes()
    with pytest.raises(JournalUnusable, match="Start the daemon once"):
        async with repairing(old, None):
            pass
    assert old.read_bytes() == before


async def test_only_a_retry_needs_schemas_and_privacy(path: Path) -> None:
    more = '[schemas]\ndirectory = "missing"\n[privacy]\nparties = "hashed"\nkey = "${KEY}"'
    config = configured(path, "127.0.0.1:1", more=more)
    async with repairing(path, config) as bench:
        await bench.repairs.pause("archive")
    with pytest.raises(ConfigurationError, match=r"privacy\.key"):
        async with repairing(path, config, understanding=True):
            pass


async def test_a_retry_uses_the_configured_schemas(path: Path) -> None:
    missing = path.parent / "missing"
    config = configured(path, "127.0.0.1:1", more=f'[schemas]\ndirectory = "{missing}"')
    with pytest.raises(SchemasUnusable):
        async with repairing(path, config, understanding=True):
            pass
