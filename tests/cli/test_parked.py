"""`parked`: at rest, and beside a daemon whose receiver refuses, accepts, or is away."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from consumer.event import Line
from consumer.journal.sqlite import SqliteJournal
from consumer.simulators.broker_home import free_port
from consumer.testing.builders import data, entry, event
from daemon_process import DaemonProcess, running
from program import Call, Done
from receiver import Receiver


async def _fill(path: Path) -> None:
    """Five events; `archive` refused 2 and 4, `warehouse` refused 4."""
    hostile = data(4, line=Line(number="1", item="\x1b[2J"))
    async with SqliteJournal(path) as journal:
        await journal.enroll({"archive": True, "warehouse": True})
        await journal.append([entry(*(event(n) for n in (1, 2, 3)))])
        await journal.append([entry(event(4, data=hostile), event(5))])
        await journal.advance("archive", 5, {2: "HTTP 422", 4: "no \x1b[2J address"})
        await journal.advance("warehouse", 5, {4: "HTTP 413"})


@pytest.fixture
def journal(tmp_path: Path) -> str:
    asyncio.run(_fill(tmp_path / "journal.db"))
    return f"sqlite:{tmp_path}/journal.db"


def held(call: Call, journal: str) -> list[tuple[str, int, bool]]:
    """Sink, sequence number and whether it is to be offered again, of all that is parked."""
    lines = map(json.loads, call("parked", "list", "--journal", journal, "--json").out.splitlines())
    return [(line["sink"], line["seq"], line["retrying"]) for line in lines]


# --- looking ---------------------------------------------------------------------------------


def test_list_shows_why_each_was_refused(call: Call, journal: str) -> None:
    done = call("parked", "list", "--journal", journal)
    assert done.status == 0
    title, *rows = done.out.splitlines()
    assert title.split() == ["SINK", "SEQ", "PARKED", "STATE", "TYPE", "SUBJECT", "REASON"]
    assert [row.split()[:2] for row in rows] == [
        ["archive", "2"],
        ["archive", "4"],
        ["warehouse", "4"],
    ]
    assert rows[0].endswith("parked  backorder.opened  000000000002/1  HTTP 422")
    assert rows[1].endswith("no ?[2J address")


def test_list_of_one_sink(call: Call, journal: str) -> None:
    lines = call("parked", "list", "warehouse", "--journal", journal, "--json").out.splitlines()
    [line] = map(json.loads, lines)
    assert {**line, "id": None, "parked": None} == {
        "sink": "warehouse",
        "seq": 4,
        "reason": "HTTP 413",
        "parked": None,
        "retrying": False,
        "id": None,
        "source": "/radial/TMS_US",
        "type": "backorder.opened",
        "subject": "000000000004/1",
    }
    lost = call("parked", "list", "warehose", "--journal", journal)
    assert lost.status == 1
    assert "Did you mean `warehouse`?" in lost.err


def test_list_goes_through_more_than_a_page(call: Call, tmp_path: Path) -> None:
    async def fill() -> None:
        async with SqliteJournal(tmp_path / "many.db") as opened:
            await opened.enroll({"archive": True, "warehouse": True})
            await opened.append([entry(*(event(n) for n in range(1, 251)))])
            for sink in ("archive", "warehouse"):
                await opened.advance(sink, 250, dict.fromkeys(range(1, 251), "HTTP 422"))

    asyncio.run(fill())
    assert len(set(held(call, f"sqlite:{tmp_path}/many.db"))) == 500


def test_show_holds_the_event_as_it_is(call: Call, journal: str) -> None:
    done = call("parked", "show", "archive", "4", "--journal", journal)
    assert done.status == 0
    assert "\x1b" not in done.out
    assert "reason  no ?[2J address" in done.out
    shown = json.loads(done.out[done.out.index("{") :])
    assert shown["subject"] == "000000000004/1"
    line = json.loads(call("parked", "show", "archive", "4", "--journal", journal, "--json").out)
    assert line["event"]["data"]["line"]["item"] == "\x1b[2J"
    assert line["reason"] == "no \x1b[2J address"


@pytest.mark.parametrize("command", [["show"], ["retry"], ["discard"]])
@pytest.mark.parametrize("seq", ["3", "0", "99"])
def test_what_is_not_parked_is_told(
    call: Call, journal: str, command: Sequence[str], seq: str
) -> None:
    done = call("parked", *command, "archive", seq, "--journal", journal)
    assert (done.status, done.out) == (1, "")
    assert f"not parked by archive: {seq}" in done.err


# --- at rest ---------------------------------------------------------------------------------


def test_a_retry_at_rest_is_left_for_the_daemon(call: Call, journal: str) -> None:
    done = call("parked", "retry", "archive", "4", "--journal", journal)
    assert (done.status, done.err) == (0, "")
    assert done.out == "archive: 1 event to be offered again when the daemon runs the next time\n"
    assert held(call, journal) == [
        ("archive", 2, False),
        ("archive", 4, True),
        ("warehouse", 4, False),
    ]
    assert "retrying" in call("parked", "list", "--journal", journal).out
    everything = call("parked", "retry", "archive", "--all", "--journal", journal)
    assert everything.out.startswith("archive: 2 events to be offered again")


def test_discard_takes_all_or_nothing(call: Call, journal: str) -> None:
    assert call("parked", "discard", "archive", "2", "3", "--journal", journal).status == 1
    assert len(held(call, journal)) == 3
    done = call("parked", "discard", "archive", "2", "--journal", journal)
    assert (done.status, done.out) == (0, "archive: 1 event discarded\n")
    assert call("parked", "discard", "archive", "--all", "--journal", journal).status == 0
    assert held(call, journal) == [("warehouse", 4, False)]
    done = call("parked", "discard", "archive", "--all", "--journal", journal)
    assert (done.status, done.out) == (0, "nothing is parked\n")
    done = call("parked", "retry", "archive", "--all", "--journal", journal)
    assert (done.status, done.out) == (0, "nothing is parked\n")


@pytest.mark.parametrize("command", ["retry", "discard"])
@pytest.mark.parametrize("which", [[], ["2", "--all"]])
def test_events_are_named_or_all_are_meant(
    call: Call, journal: str, command: str, which: Sequence[str]
) -> None:
    done = call("parked", command, "archive", *which, "--journal", journal)
    assert done.status == 2
    assert "or say --all" in done.err


def test_at_a_terminal_discard_asks_first(call: Call, at_terminal: Call, journal: str) -> None:
    arguments = ("parked", "discard", "archive", "--all", "--journal", journal)
    done = at_terminal(*arguments, typed="n\n")
    assert done.status == 1
    assert "archive: remove 2 parked events for good? [y/N]" in done.err
    assert "nothing was discarded" in done.err
    assert len(held(call, journal)) == 3


# --- beside a daemon -------------------------------------------------------------------------


class Warehouse(Receiver):
    """Refuses the subjects that it is told to; notes what came as a replay."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.refuses: set[str] = set()
        self.replayed: list[Mapping[str, Any]] = []

    async def _take(self, request: web.Request) -> web.Response:
        told = await request.json()
        if request.headers.get("Backorder-Replay") == "true":
            self.replayed.append(told)
        return web.Response(status=422 if told["subject"] in self.refuses else 204)


@pytest_asyncio.fixture
async def warehouse() -> AsyncIterator[Warehouse]:
    async with Warehouse(free_port()) as receiver:
        yield receiver


@pytest_asyncio.fixture
async def daemon(tmp_path: Path, warehouse: Warehouse) -> DaemonProcess:
    """Not started yet; `warehouse` has 4 parked, `archive` 2 and 4."""
    made = DaemonProcess(
        tmp_path,
        f"""
[[sinks]]
type = "http"
name = "warehouse"
url = "{warehouse.url}"
[[sinks]]
type = "http"
name = "archive"
url = "http://127.0.0.1:{free_port()}/"
""",
    )
    await _fill(made.journal)
    return made


async def test_a_retry_waits_for_what_becomes_of_it(
    call: Call, daemon: DaemonProcess, warehouse: Warehouse
) -> None:
    async def asked(*arguments: str) -> Done:
        return await asyncio.to_thread(call, *arguments, "-c", daemon.config)

    async def retry(*arguments: str) -> Done:
        return await asked("parked", "retry", *arguments)

    async with running(daemon):
        warehouse.refuses = {"000000000004/1"}
        refused = await retry("warehouse", "--all")
        assert refused.out.splitlines() == [
            "warehouse: 1 event to be offered again now",
            "4  refused again: HTTP 422",
            "warehouse: 0 left the park, 1 refused again",
        ]
        assert refused.status == 1
        warehouse.refuses = set()
        accepted = await retry("warehouse", "4")
        assert accepted.out.splitlines()[1:] == ["warehouse: 1 left the park, 0 refused again"]
        assert (accepted.status, accepted.err) == (0, "")
        assert [each["subject"] for each in warehouse.replayed] == ["000000000004/1"] * 2
        assert all(each["replay"] is True for each in warehouse.replayed)

        away = await retry("archive", "--all", "--timeout", "300ms")
        assert away.status == 1
        assert away.out == "archive: 2 events to be offered again now\n"
        assert "2 events not offered yet: nothing has moved for 0.3 s" in away.err
        at_once = await retry("archive", "--all", "--no-wait")
        assert (at_once.status, at_once.err) == (0, "")
        assert await asked("sinks", "pause", "archive")
        paused = await retry("archive", "2")
        assert paused.status == 1
        assert "archive is paused; it happens once `sinks resume archive`" in paused.err
        discarded = await asked("parked", "discard", "archive", "--all")
        assert discarded.out == "archive: 2 events discarded\n"
