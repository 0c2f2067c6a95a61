"""`sinks pause`, `resume` and `replay`: at rest, and beside a daemon."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from msgspec.structs import replace

from consumer.cli.options import MomentType, Place
from consumer.cli.replays import Order, follow
from consumer.journal.sqlite import SqliteJournal
from consumer.model import utc_now
from consumer.repair import Range
from consumer.simulators.broker_home import free_port
from consumer.testing.builders import entry, event, message
from daemon_process import DaemonProcess, running
from program import Call, Done
from waiting import until


async def _fill(path: Path) -> None:
    """Six events, the last of another source; both sinks have passed them."""
    async with SqliteJournal(path) as journal:
        await journal.enroll({"archive": True, "warehouse": True})
        await journal.append([entry(*(event(n) for n in range(1, 6)))])
        await journal.append([entry(event(6), message=message(source="webhook"))])
        await journal.advance("archive", 6, {})
        await journal.advance("warehouse", 6, {})


@pytest.fixture
def journal(tmp_path: Path) -> str:
    asyncio.run(_fill(tmp_path / "journal.db"))
    return f"sqlite:{tmp_path}/journal.db"


def cursor(call: Call, journal: str, sink: str = "archive") -> Mapping[str, Any]:
    lines = call("sinks", "list", "--journal", journal, "--json").out.splitlines()
    cursors: list[Mapping[str, Any]] = [json.loads(line) for line in lines]
    [found] = [each for each in cursors if each["sink"] == sink]
    return found


# --- at rest ---------------------------------------------------------------------------------


def test_a_sink_is_paused_until_it_is_resumed(call: Call, journal: str) -> None:
    done = call("sinks", "pause", "archive", "--journal", journal)
    assert (done.status, done.out) == (0, "archive is paused, until `sinks resume archive`\n")
    since = cursor(call, journal)["paused"]
    assert since is not None
    assert cursor(call, journal, "warehouse")["paused"] is None
    shown = call("sinks", "list", "--journal", journal).out.splitlines()
    assert shown[1].split() == [
        "SINK",
        "POSITION",
        "PENDING",
        "LAG",
        "PARKED",
        "PAUSED",
        "REPLAY",
    ]
    assert shown[2].split()[5] == f"{since[:19]}Z"
    assert call("sinks", "resume", "archive", "--journal", journal).status == 0
    assert cursor(call, journal)["paused"] is None


@pytest.mark.parametrize(
    ("options", "start", "end"),
    [
        (["--from", "3"], 3, 6),
        (["--from", "0", "--to", "4"], 1, 4),
        (["--since", "2h"], 1, 6),
        (["--since", "2020-01-01T00:00:00+02:00", "--to", "2"], 1, 2),
        (["--from", "1", "--source", "webhook"], 1, 6),
    ],
)
def test_a_replay_at_rest_is_left_for_the_daemon(
    call: Call, journal: str, options: Sequence[str], start: int, end: int
) -> None:
    done = call("sinks", "replay", "archive", *options, "--journal", journal)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith(f"archive: events {start} to {end}")
    assert done.out.endswith("to be sent again when the daemon runs the next time\n")
    replay = cursor(call, journal)["replay"]
    assert (replay["start"], replay["end"], replay["done"]) == (start, end, start - 1)
    assert replay.get("source") == ("webhook" if "--source" in options else None)
    shown = call("sinks", "list", "--journal", journal).out.splitlines()
    assert shown[2].split()[6] == f"{start - 1}/{end}"
    again = call("sinks", "replay", "archive", *options, "--journal", journal)
    assert again.status == 1
    assert "already" in again.err
    ended = call("sinks", "replay", "archive", "--cancel", "--journal", journal)
    assert ended.out.startswith(f"archive: the replay of events {start} to {end}")
    assert cursor(call, journal)["replay"] is None
    assert call("sinks", "list", "--journal", journal).out.splitlines()[2].split()[6] == "-"
    none = call("sinks", "replay", "archive", "--cancel", "--journal", journal)
    assert (none.status, none.out) == (0, "archive has no replay\n")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "give one of --from, --since and --cancel"),
        (["--from", "1", "--since", "2h"], "give one of"),
        (["--from", "1", "--cancel"], "give one of"),
        (["--cancel", "--to", "4"], "--cancel ends all of a replay"),
        (["--from", "4", "--to", "3"], "the end must not lie before the start"),
        (["--since", "2026-11-22"], "is no moment; write ISO 8601 with a time zone"),
        (["--since", "99999999999d"], "beyond all calendars"),
        (["--from", str(1 << 63)], "is not in the range"),
    ],
)
def test_a_replay_that_makes_no_sense_is_wrong_use(
    call: Call, journal: str, options: Sequence[str], told: str
) -> None:
    done = call("sinks", "replay", "archive", *options, "--journal", journal)
    assert done.status == 2
    assert told in " ".join(done.err.split())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["pause", "archiv"], "no sink of this name has run on this journal: archiv"),
        (["resume", ".."], "There are `archive`, `warehouse`"),
        (["replay", "archiv", "--from", "1"], "Did you mean `archive`?"),
        (["replay", "archive", "--from", "7"], "nothing there to send again"),
        (["replay", "archive", "--from", "1", "--source", "webhok"], "did you mean `webhook`?"),
    ],
)
def test_what_is_not_there_is_told(
    call: Call, journal: str, arguments: Sequence[str], told: str
) -> None:
    done = call("sinks", *arguments, "--journal", journal)
    assert (done.status, done.out) == (1, "")
    assert told.lower() in done.err.lower()


def test_a_moment_is_a_date_with_a_zone_or_how_long_ago() -> None:
    convert = MomentType().convert
    assert convert("2026-11-22T10:00:00+02:00", None, None) == datetime(2026, 11, 22, 8, tzinfo=UTC)
    before = utc_now()
    moment = convert("90m", None, None)
    assert before <= moment + timedelta(minutes=90) <= utc_now()
    for nonsense in ("yesterday", "2026-11-22T10:00:00", "0001-01-01T00:00:00+14:00", ""):
        with pytest.raises(click.BadParameter):
            convert(nonsense, None, None)


# --- beside a daemon -------------------------------------------------------------------------


@pytest.fixture
def daemon(tmp_path: Path) -> DaemonProcess:
    """Not started yet; `archive` is a file, `warehouse` is away."""
    made = DaemonProcess(
        tmp_path,
        f"""
[[sinks]]
type = "file"
name = "archive"
path = "{tmp_path}/out.jsonl"
[[sinks]]
type = "http"
name = "warehouse"
url = "http://127.0.0.1:{free_port()}/"
""",
    )
    asyncio.run(_fill(made.journal))
    return made


async def test_a_replay_beside_a_daemon_is_followed_to_its_end(
    call: Call, at_terminal: Call, daemon: DaemonProcess, tmp_path: Path
) -> None:
    async def sinks(*arguments: str) -> Done:
        return await asyncio.to_thread(call, "sinks", *arguments, "-c", daemon.config)

    out = tmp_path / "out.jsonl"
    async with running(daemon):
        done = await sinks("replay", "archive", "--from", "2", "--to", "5")
        assert (done.status, done.err) == (0, "")
        assert done.out.splitlines() == [
            "archive: events 2 to 5 to be sent again now",
            "archive: the replay is over",
        ]
        again = [json.loads(line) for line in out.read_text().splitlines()]
        assert [each["subject"][:12] for each in again] == [f"{n:012d}" for n in (2, 3, 4, 5)]
        assert all(each["replay"] is True for each in again)

        listed = await sinks("list")
        assert listed.out.splitlines()[2].split()[-1] == "-"
        arguments = ("sinks", "replay", "archive", "--from", "6", "-c", daemon.config)
        seen = await asyncio.to_thread(at_terminal, *arguments)
        assert seen.status == 0
        assert "Sending again" in seen.err

        await sinks("pause", "archive")
        paused = await sinks("replay", "archive", "--from", "1")
        assert paused.status == 1
        assert (
            paused.err == "archive is paused; it happens once `sinks resume archive` was called\n"
        )
        lines = len(out.read_text().splitlines())
        assert (await sinks("resume", "archive")).status == 0
        await until(lambda: len(out.read_text().splitlines()) == lines + 6, what="the replay")


async def test_a_replay_that_did_not_come_to_its_end_is_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "journal.db"
    await _fill(path)
    async with SqliteJournal(path) as journal:
        replay = await journal.replay("archive", Range(start=2))
        await journal.redelivered("archive", [2], {}, replayed=replace(replay, done=2))
        await journal.end_replay("archive")
        made = Order("archive", replay, running=True)
        assert not await follow(Place(path, None), made, patience=60)
        assert "archive: the replay was ended by somebody" in capfd.readouterr().err
        await journal.replay("archive", Range(start=1))  # another one is not waited for
        assert not await follow(Place(path, None), made, patience=60)


async def test_what_a_sink_refuses_of_a_replay_is_counted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "journal.db"
    async with SqliteJournal(path) as journal:
        await journal.enroll({"archive": True})
        await journal.append([entry(*(event(n) for n in range(1, 7)))])
        await journal.advance("archive", 6, {1: "before", 3: "before", 4: "before", 6: "before"})
        replay = await journal.replay("archive", Range(start=2, end=5))
        over = replace(replay, done=5)
        refused = {4: "HTTP 422", 5: "HTTP 422"}
        await journal.redelivered("archive", [2, 3], refused, replayed=over)
        made = Order("archive", replay, running=True)
        assert not await follow(Place(path, None), made, patience=60)
    told = capfd.readouterr()
    assert told.out == "archive: the replay is over\n"
    assert told.err == "archive: 2 events were refused; `parked list archive` shows why\n"


async def test_a_replay_that_was_extended_is_over_at_its_new_end(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    await _fill(path)
    async with SqliteJournal(path) as journal:
        replay = await journal.replay("archive", Range(start=1))
        await journal.append([entry(event(7))])
        await journal.advance("archive", 7, {})  # it was in hand
        further = replace(replay, end=7, done=6)
        await journal.redelivered("archive", [], {}, replayed=further)
        made = Order("archive", replay, running=True)
        assert not await follow(Place(path, None), made, patience=0.1)
        await journal.redelivered("archive", [7], {}, replayed=replace(further, done=7))
        assert await follow(Place(path, None), made, patience=60)


async def test_who_stops_waiting_leaves_the_replay_as_it_is(
    call: Call, daemon: DaemonProcess
) -> None:
    async def sinks(*arguments: str) -> Done:
        return await asyncio.to_thread(call, "sinks", *arguments, "-c", daemon.config)

    async with running(daemon):
        command = [sys.executable, "-u", "-m", "consumer", "sinks", "replay", "warehouse"]
        process = await asyncio.create_subprocess_exec(
            *command,
            *("--from", "1", "-c", str(daemon.config)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert b"to be sent again now" in await process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, told = await process.communicate()
        assert process.returncode == 130
        assert told.decode() == (
            "the replay goes on; `sinks replay warehouse --cancel` would end it\n"
        )
        listed = await sinks("list")
        assert listed.out.splitlines()[3].split()[-1] == "0/6"
        late = await sinks("replay", "warehouse", "--cancel")
        assert late.out == "warehouse: the replay of events 1 to 6 ended before event 1\n"
        away = await sinks("replay", "warehouse", "--since", "1d", "--timeout", "300ms")
        assert away.status == 1
        assert "nothing has moved for 0.3 s" in away.err
        at_once = await sinks("replay", "warehouse", "--cancel")
        assert at_once.status == 0
