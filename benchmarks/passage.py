"""Messages from one end to the other, timed from outside: what several suites do.

Rules
1. All messages wait when a contender starts. A passage is timed from when it has a tenth of them
   (starting and warming up are over then) until the last one is at the other end; it moved those
   that it did not have at first. The daemon has what is in its journal, delivered or not, so a sink
   that begins late makes the passage no faster.
2. What has arrived the broker is asked, every 10 ms.
3. Processor time is the contender's between the same two moments, and the broker's.
4. As many have to arrive as were sent, no more and no fewer, in each queue at the other end, and
   none may wait in a queue they came from; the same 0.2 s later, when a late duplicate or one that
   was put back would show. Anything else is an error and no measurement. Messages are counted here;
   that each is there once is checked in `latency` and in `queues`, which tell them apart.
"""

import asyncio
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from time import perf_counter
from typing import Literal, Protocol

from msgspec import Struct

from benchmarks.daemon import daemon
from benchmarks.measuring import median
from benchmarks.numbered import numbered
from benchmarks.processes import cpu_of
from benchmarks.report import Effort, Figure
from benchmarks.stage import Stage

IN, OUT = "bench.in", "bench.out"
HEAD = "SELECT coalesce(max(seq), 0) - ? FROM events"
"""How many events came into the journal behind this one."""

_WARM_UP = 10  # the part of the messages, as a divisor
_POLL = 0.01
_GIVE_UP = 300.0
_AGAIN = 0.2

Count = Callable[[], Awaitable[int]]


class Running(Struct, frozen=True):
    """A contender at work: its process, how many messages it has, and how many have arrived.

    `targets` are the queues at the other end, each of which gets every message.
    """

    pid: int
    has: Count
    arrived: Count
    targets: Sequence[str] = (OUT,)


class Round(Struct, frozen=True):
    """What a round showed: messages a second, and seconds of processor time a message."""

    rate: float
    own: float
    brokers: float


class Ask(Protocol):
    """Asks a journal."""

    def __call__(self, statement: str, *values: int) -> Count:
        """A count, of a statement that gives a number."""
        ...


# --- what the daemon is given --------------------------------------------------------------------


def source(stage: Stage, queues: Sequence[str] = (IN,)) -> str:
    """Configuration: consume these queues."""
    return f"""
[[sources]]
type = "radial-amqp"
name = "radial"
urls = ["{stage.url}"]
queues = {json.dumps(queues)}
"""


def sink(stage: Stage, start: Literal["oldest", "now"] = "oldest", *, queue: str = OUT) -> str:
    """Configuration: publish to a queue; the sink has its name."""
    return f"""
[[sinks]]
type = "amqp"
name = "{queue}"
url = "{stage.url}"
queue = "{queue}"
start = "{start}"
"""


@asynccontextmanager
async def prepared(
    stage: Stage,
    directory: Path,
    queues: Sequence[str] = (IN,),
    targets: Sequence[str] = (OUT,),
) -> AsyncIterator[Path]:
    """Queues that are empty, and a directory for a contender; all of it gone afterwards."""
    place = directory / "passage"
    await stage.make(*queues, *targets)
    try:
        yield place
    finally:
        await stage.drop(*queues, *targets)
        shutil.rmtree(place, ignore_errors=True)


# --- counting ------------------------------------------------------------------------------------


@contextmanager
def asking(journal: Path) -> Iterator[Ask]:
    """Ask a journal, beside the daemon or without one, over one connection."""
    uri = f"{journal.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:

        def ask(statement: str, *values: int) -> Count:
            async def answer() -> int:
                (number,) = connection.execute(statement, values).fetchone()
                return int(number)

            return answer

        yield ask


def waiting(stage: Stage, queue: str = OUT) -> Count:
    """How many messages a queue holds."""

    async def answer() -> int:
        return (await stage.waiting(queue))[0]

    return answer


async def reached(count: Count, number: int) -> int:
    """Wait until so many are counted; how many there are then. RuntimeError after 300 s."""
    deadline = perf_counter() + _GIVE_UP
    while (counted := await count()) < number:
        if perf_counter() > deadline:
            raise RuntimeError(f"after {_GIVE_UP:g} s only {counted} of {number} were counted")
        await asyncio.sleep(_POLL)
    return counted


async def holding(stage: Stage, numbers: Mapping[str, int]) -> None:
    """RuntimeError unless each queue holds exactly so many messages, now and 0.2 s later."""
    for pause in (0, _AGAIN):
        await asyncio.sleep(pause)
        held = await stage.waiting(*numbers)
        wrong = [
            f"{queue} holds {found} messages instead of {number}"
            for (queue, number), found in zip(numbers.items(), held, strict=True)
            if found != number
        ]
        if wrong:
            raise RuntimeError("; ".join(wrong))


async def all_arrived(stage: Stage, number: int) -> None:
    """Wait until so many messages are in `OUT`; RuntimeError where there are others, or in `IN`."""
    await reached(waiting(stage), number)
    await holding(stage, {IN: 0, OUT: number})


# --- passages ------------------------------------------------------------------------------------


async def timed(
    stage: Stage, running: Running, number: int, queues: Sequence[str] = (IN,)
) -> Round:
    """Time a contender that has just started, with `number` messages waiting in `queues`."""
    first = await reached(running.has, number // _WARM_UP)
    began, own, brokers = perf_counter(), cpu_of(running.pid), stage.cpu
    await reached(running.arrived, number)
    seconds = perf_counter() - began
    own, brokers = cpu_of(running.pid) - own, stage.cpu - brokers
    await holding(stage, dict.fromkeys(queues, 0) | dict.fromkeys(running.targets, number))
    moved = number - first
    return Round(moved / seconds, own / moved, brokers / moved)


async def passage(
    stage: Stage,
    effort: Effort,
    *,
    queues: Sequence[str] = (IN,),
    number: int | None = None,
    journal: Path | None = None,
) -> Round:
    """One round through the daemon, to `OUT`: `effort.messages`, or `number`.

    They are shared out to queues; with `journal`, the daemon begins with that one.
    """
    bodies = numbered(number or effort.messages)
    async with prepared(stage, effort.directory, queues) as place:
        for turn, queue in enumerate(queues):
            await stage.fill(queue, bodies[turn :: len(queues)])
        parts = source(stage, queues) + sink(stage, "now" if journal else "oldest")
        before = await _head(journal) if journal else 0
        async with daemon(place, parts, journal=journal) as process:
            with asking(process.journal) as ask:
                running = Running(process.pid, ask(HEAD, before), waiting(stage))
                return await timed(stage, running, len(bodies), queues)


async def _head(journal: Path) -> int:
    """The number of the last event that is committed."""
    with asking(journal) as ask:
        return await ask(HEAD, 0)()


async def capacity(stage: Stage, effort: Effort) -> float:
    """Messages a second that the daemon moves when enough of them wait; the median of rounds."""
    return median([(await passage(stage, effort)).rate for _ in range(effort.rounds)])


def figure(suite: str, name: str, rounds: Sequence[Round]) -> Figure:
    """What rounds of passages come to."""
    return Figure(
        suite=suite,
        name=name,
        unit="messages/s",
        rounds=tuple(one.rate for one in rounds),
        beside={
            "own CPU, µs/message": median(one.own for one in rounds) * 1e6,
            "broker's CPU, µs/message": median(one.brokers for one in rounds) * 1e6,
        },
    )
