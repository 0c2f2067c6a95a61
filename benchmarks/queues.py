"""Queue to queue: ours against what people would take or write instead.

Rules
1. All messages of a round wait in a queue when a contender starts. It is measured from when it has
   a tenth of them, starting up and warming up being over, until the last one is at the other end;
   it moved those that it did not have at first. A peer has what it has delivered; ours what is in
   its journal, delivered or not, so that a sink that begins late makes it no faster.
2. What has arrived the broker is asked, every 10 ms; with several sinks, that which is last counts,
   by the broker and, for those that are no queues, by the journal's cursors.
3. A round that does not end with every message at its end, each once, is no measurement: it ends
   the benchmark.
4. Rounds go in turn: each contender once, then each once more.
5. Processor time is that of the contender's process between the same two moments; beside it stands
   the broker's.
"""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, contextmanager
from pathlib import Path
from time import perf_counter

import msgspec
from msgspec import Struct

from benchmarks import feed
from benchmarks.daemon import daemon
from benchmarks.measuring import median
from benchmarks.processes import cpu_of
from benchmarks.report import Effort, Figure
from benchmarks.stage import Stage, staged

SUITE = "queue to queue"
OURS = "ours"
FAN_OUT = "ours, four sinks"

_SOURCE, _TARGETS = "bench.in", ("bench.out", "bench.out-2")
_WARM_UP = 10  # the part of the messages, as a divisor
_HEAD = "SELECT coalesce(max(seq), 0) FROM events"
_POLL = 0.01
_GIVE_UP = 300.0
_ROOT = Path(__file__).parents[1]

Count = Callable[[], Awaitable[int]]


class Running(Struct, frozen=True):
    """A contender at work: its process, how many messages it has, and how many have arrived."""

    pid: int
    has: Count
    arrived: Count


class Round(Struct, frozen=True):
    """What a round showed: messages a second, and seconds of processor time a message."""

    rate: float
    own: float
    brokers: float


Contender = Callable[[Stage, Path], AbstractAsyncContextManager[Running]]


# --- contenders ----------------------------------------------------------------------------------


def peer(module: str) -> Contender:
    """One of `benchmarks.peers`."""

    @asynccontextmanager
    async def run(stage: Stage, _: Path) -> AsyncIterator[Running]:
        route = {"url": stage.url, "source": _SOURCE, "target": _TARGETS[0]}
        process = subprocess.Popen(  # noqa: S603, ASYNC220 - of this project, at once
            [sys.executable, "-m", f"benchmarks.peers.{module}", msgspec.json.encode(route)],
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
        )

        async def arrived() -> int:
            if process.poll() is not None:
                raise RuntimeError(f"{module} ended by itself")
            return (await stage.waiting(_TARGETS[0]))[0]

        try:
            yield Running(process.pid, arrived, arrived)
        finally:
            process.kill()
            process.wait()

    return run


@asynccontextmanager
async def ours(stage: Stage, directory: Path) -> AsyncIterator[Running]:
    """The daemon: validation, journal, one sink."""
    async with daemon(directory, _source(stage) + _queue(stage, _TARGETS[0])) as running:

        async def arrived() -> int:
            return (await stage.waiting(_TARGETS[0]))[0]

        with _asking(running.journal) as ask:
            yield Running(running.pid, ask(_HEAD), arrived)


@asynccontextmanager
async def ours_fanned_out(stage: Stage, directory: Path) -> AsyncIterator[Running]:
    """The daemon with four sinks: a file, standard output to nowhere, two queues."""
    sinks = "".join(_queue(stage, name) for name in _TARGETS)
    sinks += f"""
[[sinks]]
type = "file"
name = "file"
path = "{directory / "events.jsonl"}"
[[sinks]]
type = "stdout"
name = "stdout"
"""
    async with daemon(directory, _source(stage) + sinks) as running:
        with _asking(running.journal) as ask:
            passed = ask("SELECT min(seq) FROM cursors WHERE sink IN ('file', 'stdout')")

            async def arrived() -> int:
                return min(await passed(), *await stage.waiting(*_TARGETS))

            yield Running(running.pid, ask(_HEAD), arrived)


@contextmanager
def _asking(journal: Path) -> Iterator[Callable[[str], Count]]:
    """Makes counts of statements that give a number, asked beside the daemon."""
    with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)) as connection:

        def ask(statement: str) -> Count:
            async def answer() -> int:
                (number,) = connection.execute(statement).fetchone()
                return int(number)

            return answer

        yield ask


CONTENDERS: Mapping[str, Contender] = {
    "aio-pika": peer("aio_pika_loop"),
    "FastStream": peer("faststream_app"),
    "aiormq, batched": peer("aiormq_batched"),
    "mq-bridge, passing": peer("mq_bridge_passing"),
    "mq-bridge, handler": peer("mq_bridge_route"),
    OURS: ours,
    FAN_OUT: ours_fanned_out,
}


def _source(stage: Stage) -> str:
    return f"""
[[sources]]
type = "radial-amqp"
name = "radial"
urls = ["{stage.url}"]
queues = ["{_SOURCE}"]
"""


def _queue(stage: Stage, name: str) -> str:
    return f"""
[[sinks]]
type = "amqp"
name = "{name}"
url = "{stage.url}"
queue = "{name}"
"""


# --- rounds --------------------------------------------------------------------------------------


async def measure(
    effort: Effort, contenders: Mapping[str, Contender] = CONTENDERS
) -> Sequence[Figure]:
    """Messages a second of each contender."""
    rounds: dict[str, list[Round]] = {name: [] for name in contenders}
    bodies = list(feed.messages(effort.messages))
    async with staged() as stage:
        for _ in range(effort.rounds):
            for name, contender in contenders.items():
                rounds[name].append(await _round(stage, contender, bodies, effort.directory))
    return [_figure(name, done) for name, done in rounds.items()]


async def _round(
    stage: Stage, contender: Contender, bodies: Sequence[bytes], directory: Path
) -> Round:
    place = directory / "contender"
    await stage.make(_SOURCE, *_TARGETS)
    try:
        await stage.fill(_SOURCE, bodies)
        async with contender(stage, place) as running:
            return await _timed(stage, running, len(bodies))
    finally:
        await stage.drop(_SOURCE, *_TARGETS)
        shutil.rmtree(place, ignore_errors=True)


async def _timed(stage: Stage, running: Running, number: int) -> Round:
    first = await _reached(running.has, number // _WARM_UP)
    began, own, brokers = perf_counter(), cpu_of(running.pid), stage.cpu
    last = await _reached(running.arrived, number)
    seconds = perf_counter() - began
    own, brokers = cpu_of(running.pid) - own, stage.cpu - brokers
    (left,) = await stage.waiting(_SOURCE)
    if last != number or left:
        raise RuntimeError(f"{last} of {number} messages arrived, {left} were left")
    moved = number - first
    return Round(moved / seconds, own / moved, brokers / moved)


async def _reached(count: Count, number: int) -> int:
    deadline = perf_counter() + _GIVE_UP
    while (counted := await count()) < number:
        if perf_counter() > deadline:
            raise RuntimeError(f"after {_GIVE_UP:g} s only {counted} of {number} were counted")
        await asyncio.sleep(_POLL)
    return counted


def _figure(name: str, rounds: Sequence[Round]) -> Figure:
    return Figure(
        suite=SUITE,
        name=name,
        unit="messages/s",
        rounds=tuple(one.rate for one in rounds),
        beside={
            "own CPU, µs/message": median(one.own for one in rounds) * 1e6,
            "broker's CPU, µs/message": median(one.brokers for one in rounds) * 1e6,
        },
    )
