"""The webhook: ours against an aiohttp handler that does nothing at all.

Rules
1. A post counts when it is answered 200: with ours, when every event of it is committed and synced.
2. A round in which a post was answered anything else, or after which the journal does not hold
   exactly the events that were posted, is no measurement: it ends the benchmark, and is told with
   the contender, the case and, of ours, the daemon's last words (`last_words`).
3. All contenders get the same events over 32 connections, one a post and a hundred a post.
   Each round of ours has a new daemon with a new journal, so that none of them is a duplicate.
4. Rounds go in turn: each contender once, then each once more.
5. What is timed, and from when to when, stands in `posting`.
"""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from pathlib import Path
from time import perf_counter
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from benchmarks import feed
from benchmarks.daemon import daemon
from benchmarks.measuring import median
from benchmarks.posting import Order, Shown
from benchmarks.processes import tied
from benchmarks.report import Effort, Figure
from consumer.simulators.broker_home import free_port
from consumer.simulators.radial_xml import NAMESPACE

SUITE = "webhook"
BARE = "aiohttp, bare"
OURS = "ours"
BARE_MANY = "aiohttp, bare, 100 a post"
OURS_MANY = "ours, 100 a post"

_PATH = "/webhooks/radial/order-backorder"
_MANY = 100
_READY_WITHIN = 60.0
_PAUSE = 0.01
_ROOT = Path(__file__).parents[1]
_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_XMLNS = f' xmlns="{NAMESPACE}"'.encode()


class Running(Struct, frozen=True, kw_only=True):
    """A contender at work; `journal` is what it keeps events in, if it does."""

    pid: int
    port: int
    journal: Path | None = None


Contender = Callable[[Path], AbstractAsyncContextManager[Running]]


class Load(Struct, frozen=True):
    """What a contender is posted: events to a post, over so many connections."""

    contender: Contender
    events: int
    connections: int


# --- contenders ----------------------------------------------------------------------------------


@asynccontextmanager
async def bare(_: Path) -> AsyncIterator[Running]:
    """aiohttp, and no more."""
    port = free_port()
    process = subprocess.Popen(  # noqa: S603, ASYNC220 - of this project, at once
        tied([sys.executable, "-m", "benchmarks.peers.aiohttp_handler", f'{{"port": {port}}}']),
        cwd=_ROOT,
        stdin=subprocess.DEVNULL,
    )
    try:
        began = perf_counter()
        while not await _reachable(port):
            if process.poll() is not None or perf_counter() - began > _READY_WITHIN:
                raise RuntimeError("the bare handler did not get ready")
            await asyncio.sleep(_PAUSE)
        yield Running(pid=process.pid, port=port)
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def ours(directory: Path) -> AsyncIterator[Running]:
    """The daemon: validation, journal, and a file that the events go to meanwhile."""
    parts = f"""
[[sources]]
type = "radial-webhook"
name = "radial"
path = "{_PATH}"
[[sinks]]
type = "file"
name = "file"
path = "{directory / "events.jsonl"}"
"""
    async with daemon(directory, parts) as running:
        port = urlsplit(running.public).port
        assert port is not None  # noqa: S101 - the URL of a listener has one
        yield Running(pid=running.pid, port=port, journal=running.journal)


CONTENDERS: Mapping[str, Load] = {
    BARE: Load(bare, 1, 32),
    OURS: Load(ours, 1, 32),
    BARE_MANY: Load(bare, _MANY, 32),
    OURS_MANY: Load(ours, _MANY, 32),
}


async def _reachable(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()
    except OSError:
        return False
    return True


# --- rounds --------------------------------------------------------------------------------------


async def measure(effort: Effort, contenders: Mapping[str, Load] = CONTENDERS) -> Sequence[Figure]:
    """Events a second that each contender answers for."""
    rounds: dict[str, list[Shown]] = {name: [] for name in contenders}
    effort = replace(effort, messages=effort.messages // _MANY * _MANY)  # every post is a full one
    bodies = {
        events: _written(effort, events) for events in {load.events for load in contenders.values()}
    }
    for _ in range(effort.rounds):
        for name, load in contenders.items():
            rounds[name].append(await _round(name, load, bodies[load.events], effort))
    return [_figure(name, contenders[name], done) for name, done in rounds.items()]


async def _round(name: str, load: Load, bodies: Path, effort: Effort) -> Shown:
    place = effort.directory / "contender"
    try:
        async with load.contender(place) as running:
            shown = await _posted(name, load, running, bodies)
            if running.journal is not None:
                _require(running.journal, effort.messages)
            return shown
    finally:
        shutil.rmtree(place, ignore_errors=True)


async def _posted(name: str, load: Load, running: Running, bodies: Path) -> Shown:
    """What the posts took; RuntimeError with what went wrong where not each was answered 200."""
    order = Order(
        case=f"{name} ({load.events} a post, {load.connections} connections)",
        port=running.port,
        path=_PATH,
        pid=running.pid,
        bodies=str(bodies),
        connections=load.connections,
    )
    process = await asyncio.create_subprocess_exec(
        *tied([sys.executable, "-m", "benchmarks.posting", msgspec.json.encode(order).decode()]),
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    answer, fault = await process.communicate()
    if process.returncode:
        raise RuntimeError(fault.decode(errors="replace").strip() or "the posting process ended")
    return msgspec.json.decode(answer, type=Shown)


def _require(journal: Path, events: int) -> None:
    """RuntimeError unless the journal holds so many events."""
    with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)) as connection:
        (held,) = connection.execute("SELECT count(*) FROM events").fetchone()
    if held != events:
        raise RuntimeError(f"{events} events were answered 200, the journal holds {held}")


def _figure(name: str, load: Load, rounds: Sequence[Shown]) -> Figure:
    return Figure(
        suite=SUITE,
        name=name,
        unit="events/s",
        rounds=tuple(one.posts * load.events / one.seconds for one in rounds),
        beside={
            "connections": load.connections,
            "p50, ms": median(one.p50 for one in rounds) * 1e3,
            "p99, ms": median(one.p99 for one in rounds) * 1e3,
            "worst, ms": median(one.worst for one in rounds) * 1e3,
            "own CPU, µs/post": median(one.own / one.posts for one in rounds) * 1e6,
        },
    )


# --- posts ---------------------------------------------------------------------------------------


def _written(effort: Effort, events: int) -> Path:
    """A file of what is posted: all events of a round, so many a post."""
    messages = feed.messages(effort.messages)
    bodies = list(messages) if events == 1 else list(_lists(messages, events))
    file = effort.directory.absolute() / f"posts-of-{events}"
    file.write_bytes(msgspec.msgpack.encode(bodies))
    return file


def _lists(messages: Iterable[bytes], events: int) -> Iterator[bytes]:
    """Messages of a queue as Radial's webhook service puts them together."""
    inner = [body.removeprefix(_DECLARATION).replace(_XMLNS, b"", 1) for body in messages]
    for start in range(0, len(inner), events):
        listed = b"".join(inner[start : start + events])
        yield (
            _DECLARATION + b"<OrderBackorderList%b>\n%b</OrderBackorderList>\n" % (_XMLNS, listed)
        )
