"""Messages through the daemon: from its queues to one queue, timed from outside.

What several suites do. Rules
1. All messages wait when the daemon starts. A passage is timed from when a tenth of them is in the
   journal (starting and warming up are over then) until the last one is in the queue at the other
   end; it moved those that were not in the journal at first. What was in the journal and not yet
   delivered is not counted, so a sink that begins late makes the passage no faster.
2. Processor time is the daemon's between the same two moments, and the broker's.
3. A passage that does not end with every message at its end, each once, is an error and no
   measurement.
"""

import asyncio
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from time import perf_counter
from typing import Literal

from benchmarks.daemon import Daemon, daemon
from benchmarks.measuring import median
from benchmarks.numbered import numbered
from benchmarks.processes import cpu_of
from benchmarks.queues import Round
from benchmarks.report import Effort
from benchmarks.stage import Stage

IN, OUT = "bench.in", "bench.out"

_WARM_UP = 10  # the part of the messages, as a divisor
_POLL = 0.01
_GIVE_UP = 300.0


def source(stage: Stage, queues: Sequence[str] = (IN,)) -> str:
    """Configuration: consume these queues."""
    return f"""
[[sources]]
type = "radial-amqp"
name = "radial"
urls = ["{stage.url}"]
queues = {json.dumps(queues)}
"""


def sink(stage: Stage, start: Literal["oldest", "now"] = "oldest") -> str:
    """Configuration: publish to `OUT`."""
    return f"""
[[sinks]]
type = "amqp"
name = "out"
url = "{stage.url}"
queue = "{OUT}"
start = "{start}"
"""


@asynccontextmanager
async def prepared(
    stage: Stage, directory: Path, queues: Sequence[str] = (IN,)
) -> AsyncIterator[Path]:
    """Queues that are empty, and a directory for a daemon; all of it gone afterwards."""
    place = directory / "passage"
    await stage.make(*queues, OUT)
    try:
        yield place
    finally:
        await stage.drop(*queues, OUT)
        shutil.rmtree(place, ignore_errors=True)


async def passage(
    stage: Stage,
    effort: Effort,
    *,
    queues: Sequence[str] = (IN,),
    number: int | None = None,
    journal: Path | None = None,
) -> Round:
    """One round: `effort.messages`, or `number`, shared out to queues; with `journal`, on that."""
    bodies = numbered(number or effort.messages)
    async with prepared(stage, effort.directory, queues) as place:
        for turn, queue in enumerate(queues):
            await stage.fill(queue, bodies[turn :: len(queues)])
        parts = source(stage, queues) + sink(stage, "now" if journal else "oldest")
        before = _head(journal) if journal else 0
        async with daemon(place, parts, journal=journal) as running:
            return await _timed(stage, running, queues, before, len(bodies))


async def capacity(stage: Stage, effort: Effort) -> float:
    """Messages a second that the daemon moves when enough of them wait; the median of rounds."""
    return median([(await passage(stage, effort)).rate for _ in range(effort.rounds)])


async def _timed(
    stage: Stage, running: Daemon, queues: Sequence[str], before: int, number: int
) -> Round:
    known = await _committed(running.journal, before, number // _WARM_UP)
    began, own, brokers = perf_counter(), cpu_of(running.pid), stage.cpu
    arrived = await reached(stage, number)
    seconds = perf_counter() - began
    own, brokers = cpu_of(running.pid) - own, stage.cpu - brokers
    await nothing_else(stage, queues, arrived, number)
    moved = number - known
    return Round(moved / seconds, own / moved, brokers / moved)


async def _committed(journal: Path, before: int, number: int) -> int:
    """Wait until so many events are in the journal besides those before; how many are then."""
    deadline = perf_counter() + _GIVE_UP
    while (known := _head(journal) - before) < number:
        if perf_counter() > deadline:
            raise RuntimeError(f"after {_GIVE_UP:g} s only {known} of {number} were committed")
        await asyncio.sleep(_POLL)
    return known


def _head(journal: Path) -> int:
    """The number of the last event that is committed."""
    with closing(sqlite3.connect(f"{journal.absolute().as_uri()}?mode=ro", uri=True)) as reading:
        (head,) = reading.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
    return int(head)


async def reached(stage: Stage, number: int) -> int:
    """Wait until so many messages are in `OUT`; how many there are then."""
    deadline = perf_counter() + _GIVE_UP
    while (arrived := (await stage.waiting(OUT))[0]) < number:
        if perf_counter() > deadline:
            raise RuntimeError(f"after {_GIVE_UP:g} s only {arrived} of {number} had arrived")
        await asyncio.sleep(_POLL)
    return arrived


async def nothing_else(stage: Stage, queues: Sequence[str], arrived: int, number: int) -> None:
    """RuntimeError unless exactly `number` messages arrived and none is left in `queues`."""
    left = sum(await stage.waiting(*queues))
    if arrived != number or left:
        raise RuntimeError(f"{arrived} of {number} messages arrived, {left} were left")
