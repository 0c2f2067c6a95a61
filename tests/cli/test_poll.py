"""`poll`: what it prints, when it fails, and what the journal has afterwards."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import click
import pytest
import pytest_asyncio

from consumer import poll_now
from consumer.journal.sqlite import SqliteJournal
from consumer.simulators.mvet import MvetServer
from consumer.simulators.mvet_world import MvetWorld
from daemon_process import DaemonProcess, running
from program import Call
from waiting import until

CUSTOMER = "0002789"
ROW = {
    "date": 20250731,
    "orderNumber": 45929940,
    "accountNumber": CUSTOMER,
    "itemNumber": "350.81827.2",
    "description": "MUZZLE\x1b[31m SET/6",
    "backorderedQuantity": 3,
    "orderedQuantity": 3,
    "shippedQuantity": 0,
}
OTHER = {**ROW, "orderNumber": 45929941}


@pytest_asyncio.fixture
async def upstream() -> AsyncIterator[MvetServer]:
    async with MvetServer(MvetWorld.of({CUSTOMER: [ROW, OTHER]})) as server:
        yield server


@pytest.fixture
def config(tmp_path: Path, upstream: MvetServer) -> Path:
    file = tmp_path / "consumer.toml"
    file.write_text(
        f"""
[journal]
url = "sqlite:{tmp_path}/journal.db"
[[sources]]
type = "mvet"
name = "mvet"
base_url = "{upstream.url}"
customers = ["{CUSTOMER}"]
interval = "100ms"
jitter = "0s"
attempts = 1
[[sources]]
type = "radial-webhook"
name = "webhook"
"""
    )
    return file


async def test_a_poll_prints_what_changed(call: Call, config: Path, upstream: MvetServer) -> None:
    first = await asyncio.to_thread(call, "poll", "mvet", "--once", "-c", config)
    assert first.status == 0
    *opened, count = first.out.splitlines()
    assert count == "2 changes"
    assert all("opened" in line and "/mvet/0002789" in line for line in opened)
    assert "\x1b" not in first.out
    assert first.err == ""
    upstream.world.change(CUSTOMER, 0, backorderedQuantity=1, description="MUZZLE")
    upstream.world.end(CUSTOMER, 1)
    second = await asyncio.to_thread(call, "poll", "mvet", "--once", "-c", config)
    updated, cleared, count = second.out.splitlines()
    assert updated.endswith(
        "  (line.description MUZZLE?[31m SET/6 -> MUZZLE, quantity.backordered 3 -> 1)"
    )
    assert "cleared" in cleared
    assert count == "2 changes"
    third = await asyncio.to_thread(call, "poll", "mvet", "--once", "-c", config)
    assert (third.status, third.out) == (0, "no changes\n")


async def test_the_names_of_an_upstream_cannot_steer_a_terminal(
    call: Call, config: Path, upstream: MvetServer
) -> None:
    evil = "evil\x1b]0;owned\x07"
    upstream.world.change(CUSTOMER, 0, **{evil: "before"})
    await asyncio.to_thread(call, "poll", "mvet", "--once", "-c", config)
    upstream.world.change(CUSTOMER, 0, **{evil: "after"})
    done = await asyncio.to_thread(call, "poll", "mvet", "--once", "-c", config)
    assert "evil?]0;owned? before -> after)" in done.out
    assert all(line.isprintable() for line in done.out.splitlines())


async def test_events_are_printed_as_the_journal_is_read_page_by_page(
    call: Call, config: Path, upstream: MvetServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poll_now, "_PAGE", 2)
    for number in range(5):
        upstream.world.put(CUSTOMER, {**ROW, "orderNumber": number})
    printed: list[int] = []
    read, echo = SqliteJournal.read, click.echo

    async def reading(journal: SqliteJournal, *arguments: Any, **named: Any) -> Any:
        printed.append(0)
        return await read(journal, *arguments, **named)

    def counting(*arguments: Any, **named: Any) -> None:
        printed[-1] += 1
        echo(*arguments, **named)

    monkeypatch.setattr(SqliteJournal, "read", reading)
    monkeypatch.setattr("consumer.cli.poll.click.echo", counting)
    done = await asyncio.to_thread(call, "poll", "mvet", "--once", "-c", config)
    assert done.out.splitlines()[-1] == "7 changes"
    assert printed == [2, 2, 2, 1, 1]  # the last page is empty; then comes the number of changes


async def test_a_poll_prints_cloudevents_as_the_journal_has_them(
    call: Call, config: Path, tmp_path: Path
) -> None:
    done = await asyncio.to_thread(call, "poll", "mvet", "--once", "--json", "-c", config)
    assert done.status == 0
    events = [json.loads(line) for line in done.out.splitlines()]
    assert [event["type"] for event in events] == ["backorder.opened"] * 2
    async with SqliteJournal(tmp_path / "journal.db", readonly=True) as journal:
        assert [json.loads(record.body) for record in await journal.read(0, limit=9)] == events
    again = await asyncio.to_thread(call, "poll", "mvet", "--once", "--json", "-c", config)
    assert (again.status, again.out) == (0, "")


async def test_a_poll_that_fails_prints_what_it_told_before(
    call: Call, config: Path, upstream: MvetServer
) -> None:
    upstream.faults.force("broken_row.key")
    done = await asyncio.to_thread(call, "poll", "mvet", "--once", "-c", config)
    assert done.status == 1
    [opened, count] = done.out.splitlines()
    assert "opened" in opened
    assert count == "1 change"
    assert done.err.splitlines()[-1].startswith("mvet: the inquiry for customer 0002789: $[")


async def test_lines_that_are_held_are_said_to_be(
    call: Call, config: Path, upstream: MvetServer
) -> None:
    await asyncio.to_thread(call, "poll", "mvet", "--once", "-c", config)
    upstream.faults.set("empty")
    held = await asyncio.to_thread(call, "poll", "mvet", "--once", "-c", config)
    assert (held.status, held.out) == (0, "no changes\n")
    assert held.err.splitlines()[-1].startswith(
        "customer 0002789: 2 lines are missing at once; held until"
    )
    # What is held is in the journal: another process is the second look.
    gone = await asyncio.to_thread(call, "poll", "mvet", "--once", "-c", config)
    assert gone.out.splitlines()[-1] == "2 changes"


async def test_nobody_answers(call: Call, config: Path, upstream: MvetServer) -> None:
    upstream.faults.set("status.500")
    done = await asyncio.to_thread(call, "poll", "mvet", "--once", "-c", config)
    assert (done.status, done.out) == (1, "")
    assert done.err.splitlines()[-1] == (
        "mvet: the inquiry for customer 0002789: HTTP 500, it has a problem of its own"
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mvett", "error: no source mvett. Sources that poll: mvet"),
        ("webhook", "error: webhook is told of back-orders and never asks. Sources that poll: "),
    ],
)
@pytest.mark.parametrize("once", [["--once"], []])
async def test_a_name_that_is_none(
    call: Call, config: Path, name: str, said: str, once: list[str]
) -> None:
    done = await asyncio.to_thread(call, "poll", name, *once, "-c", config)
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith(said)


def test_a_configuration_that_is_unusable(call: Call, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[journal]\nurl = 3\n")
    assert call("poll", "mvet", "--once", "-c", tmp_path / "c.toml").status == 2


async def test_without_once_it_polls_on_until_it_is_interrupted(
    config: Path, upstream: MvetServer
) -> None:
    output = config.parent / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "consumer", "poll", "mvet", "-c", str(config)],
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        await until(lambda: upstream.requests["list"] >= 2)
        upstream.faults.force("status.500")
        await until(lambda: "HTTP 500" in output.read_text())
        upstream.world.end(CUSTOMER, 0)
        await until(lambda: "1 change\n" in output.read_text())
        process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(process.wait, 60) == 0
    finally:
        process.kill()
    assert "Traceback" not in output.read_text()
    assert "no changes\n" in output.read_text()


async def test_credentials_that_are_denied_are_not_hammered(
    config: Path, upstream: MvetServer, call: Call
) -> None:
    """The daemon's own rule, on a schedule of ten polls a second."""
    upstream.faults.set("status.401")
    output = config.parent / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "consumer", "poll", "mvet", "-c", str(config)],
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        await until(lambda: "does not accept our credentials" in output.read_text())
        # As long as another whole poll takes, in a process that has to start first:
        await asyncio.to_thread(call, "check", "--connect", "-c", config)
        assert upstream.requests["list"] == 2  # its own, and that of the check
    finally:
        process.kill()
        await asyncio.to_thread(process.wait)


async def test_beside_a_daemon_it_says_who_polls(
    program: Call, tmp_path: Path, upstream: MvetServer
) -> None:
    source = f"""
[[sources]]
type = "mvet"
name = "mvet"
base_url = "{upstream.url}"
customers = ["{CUSTOMER}"]
"""
    async with running(DaemonProcess(tmp_path, source)) as daemon:
        done = await asyncio.to_thread(program, "poll", "mvet", "--once", "-c", daemon.config)
    assert done.status == 1
    [line] = done.err.splitlines()
    assert line.startswith("error: ")
    assert "That daemon polls by itself: `events --follow` shows what changes" in line
