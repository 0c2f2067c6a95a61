"""Receivers that are dead, slow, failing, flapping, redirecting and silent beside healthy ones.

What a sink of one kind suffers delays that sink and nobody else, costs no memory, and changes no
order; an event is parked only where the receiver says that it is the event.
"""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from consumer.simulators.broker_home import free_port
from consumer.testing.sinks import first_appearances
from daemon_process import DaemonProcess, running
from extent import extent
from load import Publisher
from receiver import Moody, Receiver, Silent
from waiting import until

# Bytes that every event has more than usual: enough of them that keeping them would be seen.
PADDING = 32 << 10
FIRST, MORE = 100, extent(400, long=6_000)

# What the process may grow by while `MORE` comes in, beside the pages of the journal that SQLite
# keeps (up to 64 MiB). One copy of what came in is 12 MiB.
GROWTH = 14 << 20
JOURNAL_PAGES = min(64 << 20, MORE * PADDING)

# By the last two digits of an order's number. What is final is said at every attempt, what passes
# by itself at the first one only; see `consumer/sinks/http/answers.py`.
FINAL = {3: 400, 17: 409, 29: 413, 41: 415, 56: 422, 83: 451}
# fmt: off
PASSING = {
    5: 301, 11: 307, 23: 401, 31: 403, 37: 404, 43: 405, 47: 407, 53: 408,
    59: 421, 61: 425, 67: 429, 71: 500, 73: 502, 79: 503, 97: 504,
}
# fmt: on


def number(event: Mapping[str, Any]) -> int:
    return int(event["data"]["order"]["number"])


@dataclass
class Choosy:
    """The answers of a receiver that goes by the order's number."""

    seen: set[int] = field(default_factory=set)

    def __call__(self, _asked: int, event: Mapping[str, Any]) -> int:
        kind = number(event) % 100
        if kind in FINAL:
            return FINAL[kind]
        if kind in PASSING and number(event) not in self.seen:
            self.seen.add(number(event))
            return PASSING[kind]
        return 204


def flapping(asked: int, _event: Mapping[str, Any]) -> int:
    """Three failures in each hundred answers."""
    return 503 if asked % 100 in {0, 1, 2} else 204


class Row:
    """The receivers, each with the sink of its name."""

    def __init__(self) -> None:
        self.healthy = Receiver(free_port())
        self.dead = Receiver.bound()
        self.silent = Silent(free_port())
        self.flapping = Moody(free_port(), flapping)
        self.choosy = Moody(free_port(), Choosy())
        self.slow = Moody(free_port(), lambda _asked, _event: 204, seconds=0.1)
        self.failing = Moody(free_port(), lambda _asked, _event: 500)
        self.redirecting = Moody(free_port(), lambda _asked, _event: 307)

    @property
    def sinks(self) -> str:
        """The sinks as the configuration has them, and one to a file."""
        return "".join(
            f"""
[[sinks]]
type = "http"
name = "{name}"
url = "{receiver.url}"
timeout = "{"1s" if receiver is self.silent else "60s"}"
batch = {{ bytes = "256KiB" }}
retry = {{ initial = "20ms", max = "200ms" }}
"""
            for name, receiver in vars(self).items()
        ) + (
            '[[sinks]]\ntype = "file"\nname = "archive"\npath = "events.jsonl"\n'
            'batch = { bytes = "256KiB" }\n'
        )

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """All of them but the dead one."""
        async with AsyncExitStack() as stack:
            for receiver in vars(self).values():
                if receiver is not self.dead:
                    await stack.enter_async_context(receiver)
            yield


_LOOKED_AT_EVERY = 0.1
WELL = ("healthy", "flapping", "choosy", "archive")
STUCK = ("dead", "silent", "failing", "redirecting")


@pytest.mark.timeout(extent(300, long=1200))
async def test_bad_receivers_delay_only_themselves(
    tmp_path: Path, amqp_url: str, unique: str
) -> None:
    row = Row()
    daemon = DaemonProcess(
        tmp_path,
        f"""
[[sources]]
type = "radial-amqp"
name = "radial-queue"
urls = ["{amqp_url}"]
store_codes = ["{unique}"]
prefetch = 50
{row.sinks}""",
        extra='[stop]\ngrace = "1s"',
    )
    padded = Publisher(amqp_url, [unique], padding=PADDING)
    async with padded as radial, row.listening(), running(daemon):
        await radial.publish((unique, str(n)) for n in range(FIRST))
        await until(partial(are_at, daemon, FIRST), within=120)
        before = resident(daemon)
        await radial.publish((unique, str(n)) for n in range(FIRST, FIRST + MORE))
        await until(partial(are_at, daemon, FIRST + MORE), within=extent(120, long=900))
        grown = resident(daemon) - before
        print(f"grown by {grown >> 10} KiB")  # noqa: T201 - the result
        assert {name: cursors(daemon)[name] for name in STUCK} == dict.fromkeys(STUCK, 0)
        await check_readiness(daemon)
        async with row.dead:
            await until(partial(are_at, daemon, FIRST + MORE, ["dead"]), within=120)
        assert await daemon.stop() == 0
    check_received(tmp_path / "events.jsonl", row)
    check_parked(daemon)
    assert grown < GROWTH + JOURNAL_PAGES
    assert "Traceback" not in daemon.log.read_text()


async def check_readiness(daemon: DaemonProcess) -> None:
    """The daemon is ready whatever its receivers do, and tells which of them do not work."""
    status, readiness = await daemon.readiness()
    assert status == 200
    parts = readiness["parts"]
    assert parts["sinks.archive"]["ok"]
    assert "127.0.0.1" in parts["sinks.dead"]["reason"]
    assert "redirects" in parts["sinks.redirecting"]["reason"]
    metrics = await daemon.metrics()
    assert f'backorder_sink_lag_events{{sink="dead"}} {FIRST + MORE}.0' in metrics
    assert 'backorder_sink_lag_events{sink="archive"} 0.0' in metrics


def check_received(archive: Path, row: Row) -> None:
    """What each has got, in which order."""
    events = [json.loads(line) for line in archive.read_text().splitlines()]
    ids = [event["id"] for event in events]
    assert len(ids) == len(set(ids)) == FIRST + MORE
    # Nothing was in flight at a crash: complete, in order and without repeats.
    assert row.healthy.ids == row.dead.ids == row.flapping.ids == ids
    final = {event["id"] for event in events if number(event) % 100 in FINAL}
    # Behind a refusal what went out before a failure goes out again: the order stays.
    assert first_appearances(row.choosy.ids) == [id_ for id_ in ids if id_ not in final]
    slow = first_appearances(row.slow.ids)
    assert slow
    assert slow == ids[: len(slow)]
    assert not row.failing.ids
    assert row.failing.asked
    assert row.silent.asked
    assert row.redirecting.asked
    assert not sum(each.strayed for each in (row.redirecting, row.choosy))


def check_parked(daemon: DaemonProcess) -> None:
    """What was refused for good, of the one sink whose receiver does so, and nothing else."""
    with contextlib.closing(sqlite3.connect(f"file:{daemon.journal}?mode=ro", uri=True)) as journal:
        rows = journal.execute(
            "SELECT sink, reason, body FROM parked JOIN events USING (seq)"
        ).fetchall()
    parked = {(sink, reason, number(json.loads(body))) for sink, reason, body in rows}
    assert parked == {
        ("choosy", f"HTTP {FINAL[n % 100]}", n) for n in range(FIRST + MORE) if n % 100 in FINAL
    }


async def are_at(daemon: DaemonProcess, seq: int, sinks: Sequence[str] = WELL) -> bool:
    """Whether sinks have passed `seq`; who asks for that again and again slows them down."""
    await asyncio.sleep(_LOOKED_AT_EVERY)
    where = cursors(daemon)
    return all(where[name] == seq for name in sinks)


def cursors(daemon: DaemonProcess) -> dict[str, int]:
    """How far every sink has come, read beside the running daemon."""
    with contextlib.closing(sqlite3.connect(f"file:{daemon.journal}?mode=ro", uri=True)) as journal:
        return dict(journal.execute("SELECT sink, seq FROM cursors"))


def resident(daemon: DaemonProcess) -> int:
    """The memory of the process, in bytes (VmRSS, see proc(5))."""
    for line in Path(f"/proc/{daemon.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise AssertionError("the kernel does not tell")
