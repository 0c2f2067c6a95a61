"""At rest: what the daemon needs while nothing happens, and until it is ready.

Rules
1. The daemon that is looked at has a queue, a webhook, a queue to publish to and a file to write:
   a few messages went through all of them, since a sink connects with its first delivery. Then it
   is left alone: 3 s to settle, 10 s that count, in which nobody asks it anything.
2. Memory is what is resident. What one connection or one queue more takes is the difference between
   many and few, divided: 500 connections that have posted once and stay open, against the same
   daemon after as many posts on one connection; 200 queues against 1, on daemons of their own.
3. After a backlog: resident memory 3 s after all messages of the effort are seen delivered.
4. A start is timed from the process's first moment until `/readyz` answers 200: the interpreter's
   own start is in it. A journal of a million events (fewer for a small effort, see `growth`) is a
   copy, on disk before and, like any file read a moment ago, in the page cache.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

from benchmarks import stores
from benchmarks.daemon import Daemon, daemon
from benchmarks.growth import affordable, copied
from benchmarks.numbered import numbered
from benchmarks.passage import IN, all_arrived, prepared, sink, source
from benchmarks.processes import cpu_of, resident
from benchmarks.report import Effort, Figure
from benchmarks.stage import Stage, staged

SUITE = "at rest"

_MOST_ROUNDS = 3
_SETTLING = 3.0
_WATCHED = 10.0
_FEW = 20
_CONNECTIONS = 500
_QUEUES = 200
_MB = 1e6
_KB = 1e3
_HOOK = "/webhooks/radial/order-backorder"

_WEBHOOK = """
[[sources]]
type = "radial-webhook"
name = "webhook"
"""

Figures = dict[tuple[str, str], list[float]]
"""Rounds, by name and unit."""


async def measure(effort: Effort) -> Sequence[Figure]:
    """Memory, processor time and start-up."""
    found: Figures = {}
    largest = affordable(effort)[-1]
    async with staged() as stage, copied(largest, effort.directory) as journal:
        for _ in range(min(effort.rounds, _MOST_ROUNDS)):
            await _idle(stage, effort, found)
            await _queues(stage, effort, found)
            await _after_backlog(stage, effort, found)
            await _started(stage, effort, journal, largest, found)
    return [
        Figure(suite=SUITE, name=name, unit=unit, rounds=tuple(rounds))
        for (name, unit), rounds in found.items()
    ]


def _add(found: Figures, name: str, unit: str, value: float) -> None:
    found.setdefault((name, unit), []).append(value)


# --- what is looked at ---------------------------------------------------------------------------


async def _idle(stage: Stage, effort: Effort, found: Figures) -> None:
    """Memory and processor time of a daemon with everything, then of connections to it."""
    async with prepared(stage, effort.directory) as place:
        parts = source(stage) + _WEBHOOK + sink(stage) + _file(place)
        async with daemon(place, parts) as running:
            await stage.fill(IN, numbered(_FEW))
            async with _Posting.connected(running) as one:
                await one.post(numbered(1, first=_FEW)[0])
                await all_arrived(stage, _FEW + 1)
                await _all_written(place, _FEW + 1)
            await asyncio.sleep(_SETTLING)
            _add(found, "idle, resident", "MB", resident(running.pid) / _MB)
            _add(found, "idle, of a core", "%", await _share(running) * 100)
            each = await _of_a_connection(running)
            _add(found, "open webhook connection, resident", "kB", each / _KB)


async def _of_a_connection(running: Daemon) -> float:
    """Bytes that one connection takes, which has posted once and waits."""
    bodies = numbered(2 * _CONNECTIONS, first=_FEW + 1)
    async with _Posting.connected(running) as one:
        for body in bodies[:_CONNECTIONS]:
            await one.post(body)
        await asyncio.sleep(_SETTLING)
        before = resident(running.pid)
    opened: list[_Posting] = []
    try:
        for body in bodies[_CONNECTIONS:]:
            opened.append(await _Posting.open(running))
            await opened[-1].post(body)
        await asyncio.sleep(_SETTLING)
        if any(one.is_closed for one in opened):
            raise RuntimeError("a webhook connection did not stay open")
        return (resident(running.pid) - before) / len(opened)
    finally:
        for one in opened:
            one.close()


async def _queues(stage: Stage, effort: Effort, found: Figures) -> None:
    """Memory of daemons that consume one queue, and many, all of them empty."""
    taken = []
    for number in (1, _QUEUES):
        names = stores.names(number)
        async with (
            prepared(stage, effort.directory, names) as place,
            daemon(place, source(stage, names) + sink(stage)) as running,
        ):
            await asyncio.sleep(_SETTLING)
            taken.append(resident(running.pid))
    each = (taken[1] - taken[0]) / (_QUEUES - 1)
    _add(found, "consumed queue, resident", "kB", each / _KB)


async def _after_backlog(stage: Stage, effort: Effort, found: Figures) -> None:
    async with prepared(stage, effort.directory) as place:
        await stage.fill(IN, numbered(effort.messages))
        async with daemon(place, source(stage) + sink(stage)) as running:
            await all_arrived(stage, effort.messages)
            await asyncio.sleep(_SETTLING)
            name = f"after a backlog of {effort.messages:,}, resident"
            _add(found, name, "MB", resident(running.pid) / _MB)


async def _started(
    stage: Stage, effort: Effort, journal: Path, events: int, found: Figures
) -> None:
    async with prepared(stage, effort.directory) as place:
        parts = source(stage) + _WEBHOOK + sink(stage, "now")
        async with daemon(place, parts) as running:
            _add(found, "start to ready, empty journal", "s", running.start)
        async with daemon(place, parts, journal=journal) as running:
            _add(found, f"start to ready, {events:,} events", "s", running.start)


# --- how it is looked at -------------------------------------------------------------------------


def _file(place: Path) -> str:
    return f"""
[[sinks]]
type = "file"
name = "file"
path = "{place / "events.jsonl"}"
"""


async def _all_written(place: Path, number: int) -> None:
    """Wait until the file has so many lines."""
    deadline = perf_counter() + _WATCHED
    file = place / "events.jsonl"
    while not file.exists() or file.read_bytes().count(b"\n") != number:
        if perf_counter() > deadline:
            raise RuntimeError(f"the file does not hold {number} events after {_WATCHED:g} s")
        await asyncio.sleep(_SETTLING / 100)


async def _share(running: Daemon) -> float:
    """The part of a core that it uses."""
    began, own = perf_counter(), cpu_of(running.pid)
    await asyncio.sleep(_WATCHED)
    return (cpu_of(running.pid) - own) / (perf_counter() - began)


class _Posting:
    """A connection to the webhook, as plain as it gets: what is measured is the other side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, running: Daemon) -> "_Posting":
        address = urlsplit(running.public)
        return cls(*await asyncio.open_connection(address.hostname, address.port))

    @classmethod
    @asynccontextmanager
    async def connected(cls, running: Daemon) -> "AsyncIterator[_Posting]":
        one = await cls.open(running)
        try:
            yield one
        finally:
            one.close()

    @property
    def is_closed(self) -> bool:
        return self._reader.at_eof()

    def close(self) -> None:
        self._writer.close()

    async def post(self, body: bytes) -> None:
        """Post a message; RuntimeError unless it is answered 200."""
        head = f"POST {_HOOK} HTTP/1.1\r\nHost: benchmark\r\nContent-Type: application/xml\r\n"
        self._writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        (length,) = (
            int(line.partition(":")[2])
            for line in answer.splitlines()
            if line.startswith("content-length:")
        )
        await self._reader.readexactly(length)
        if int(answer.split()[1]) != HTTPStatus.OK:
            raise RuntimeError(f"a post was answered: {answer.splitlines()[0]}")
