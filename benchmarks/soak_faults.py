"""What goes wrong during a soak, and when: the same for the same seed and length.

Rules
- A run is cut into *rounds* of equal length. In each, everything in `FAULTS` happens once, in an
  order of the round's own; so each third of a run has as many faults as any other, and what differs
  between thirds is not the faults.
- The dead sink lives at the end of each round: what waits for it, and with it what the journal has
  to keep, grows as far in the first round as in any other.
- A fault ends within its own slot: the next one meets a daemon that had time to recover.
- What is hostile all the time (senders that crawl, hang up or post nonsense, people who look at the
  admin listener) is not in rounds: it never stops.
"""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import cycle
from time import monotonic

import aiohttp
from msgspec import Struct

from benchmarks.soak_load import WEBHOOK_PATH, post
from benchmarks.soak_places import Receiver
from consumer.errors import Unusable
from consumer.simulators.broker import PrivateBroker
from consumer.simulators.faults import Faults

_ROUNDS = 10
_SHORTEST_ROUND, _LONGEST_ROUND = 30.0, 60.0
_PART_OF_SLOT = 0.6
_PART_OF_LAST = 0.85  # it has to catch up with a whole round
_SLOW_SENDERS = 4
_SECONDS_PER_BYTE = 0.5
_BYTES_OF_SLOW = 20
_SECONDS_BETWEEN_POSTS = 0.5


class Planned(Struct, frozen=True, kw_only=True):
    """A fault that begins `at` seconds after the load and lasts for `length` seconds."""

    at: float
    length: float
    name: str


class Stage(Struct, frozen=True, kw_only=True):
    """What faults happen to."""

    broker: PrivateBroker
    receiver: Receiver
    dead: Receiver
    upstreams: Sequence[Faults]


async def _cut(stage: Stage, seconds: float) -> None:
    """Every connection to the broker is closed by the broker."""
    with suppress(Unusable):  # the broker is busy: then there is no cut this time
        await stage.broker.ctl("close_all_connections", "soak")
    await asyncio.sleep(seconds)


async def _freeze(stage: Stage, seconds: float) -> None:
    """The broker stands still: connections stay, and nobody answers."""
    node = stage.broker._node  # noqa: SLF001 - its process is nobody else's business
    if node is None:
        return
    group = os.getpgid(node.pid)
    os.killpg(group, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        os.killpg(group, signal.SIGCONT)


async def _receiver_down(stage: Stage, seconds: float) -> None:
    """The receiver of the http sink refuses connections."""
    await stage.receiver.down()
    try:
        await asyncio.sleep(seconds)
    finally:
        await stage.receiver.up()


async def _receiver_fails(stage: Stage, seconds: float) -> None:
    """The receiver of the http sink answers 500."""
    stage.receiver.failing = True
    try:
        await asyncio.sleep(seconds)
    finally:
        stage.receiver.failing = False


async def _dead_lives(stage: Stage, seconds: float) -> None:
    """The sink that is dead all the rest of the time gets what waited for it."""
    await stage.dead.up()
    try:
        await asyncio.sleep(seconds)
    finally:
        await stage.dead.down()


async def _upstreams_fail(stage: Stage, seconds: float) -> None:
    """MVET and CINX fail in every other answer: errors, broken rows, answers cut short."""
    for faults in stage.upstreams:
        faults.set("status.500", 0.2).set("cut", 0.2).set("not_json", 0.1)
    try:
        await asyncio.sleep(seconds)
    finally:
        for faults in stage.upstreams:
            faults.calm()


FAULTS: Mapping[str, Callable[[Stage, float], Awaitable[None]]] = {
    "connections cut": _cut,
    "broker frozen": _freeze,
    "receiver down": _receiver_down,
    "receiver fails": _receiver_fails,
    "dead sink lives": _dead_lives,
    "upstreams fail": _upstreams_fail,
}

_LAST = "dead sink lives"


def plan(seed: int, seconds: float) -> Sequence[Planned]:
    """The faults of a run that is so long, in order."""
    numbers = random.Random(seed)  # noqa: S311 - repeatable on purpose, no secret
    length = min(seconds, max(_SHORTEST_ROUND, min(_LONGEST_ROUND, seconds / _ROUNDS)))
    slot = length / len(FAULTS)
    planned = []
    for number in range(int(seconds / length)):
        names = numbers.sample([name for name in FAULTS if name != _LAST], len(FAULTS) - 1)
        for place, name in enumerate((*names, _LAST)):
            at = number * length + place * slot + numbers.uniform(0, 0.1) * slot
            part = _PART_OF_LAST if name == _LAST else _PART_OF_SLOT
            planned.append(Planned(at=at, length=slot * part, name=name))
    return planned


async def carry_out(stage: Stage, planned: Sequence[Planned], began: float) -> None:
    """Do it all, each at its time."""
    for one in planned:
        await asyncio.sleep(max(0.0, began + one.at - monotonic()))
        await FAULTS[one.name](stage, one.length)


# --- what is hostile all the time ----------------------------------------------------------------


def hostile() -> Sequence[bytes]:
    """Bodies that have to end in quarantine. The same ones come again, so that it does not grow."""
    entities = b'<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;">]><a>&c;</a>'
    external = b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><a>&b;</a>'
    return (
        b"",
        b"not XML at all",
        b'{"json": true}',
        b"\x00\xff\xfe" * 100,
        entities,
        external,
        b"<a>" * 5_000,
        b"<OrderBackorder/>",
        post(0)[:700],
        post(0).replace(b'quantity="0"', b'quantity="many"'),
        post(0).replace(b"orderDate=", b"orderDay="),
        post(0).replace(b"TMS_US", b"TMS_US\r\nlevel=error " * 10),
    )


@asynccontextmanager
async def hostility(public: str, admin: str) -> AsyncIterator[None]:
    """Senders that crawl and give up, nonsense, and people who look, until this is left."""
    tasks = [
        *(asyncio.create_task(_crawl(public)) for _ in range(_SLOW_SENDERS)),
        asyncio.create_task(_nonsense(public)),
        asyncio.create_task(_look(admin)),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _crawl(public: str) -> None:
    """Send a request byte by byte, and hang up in the middle of it."""
    host, _, port = public.removeprefix("http://").rpartition(":")
    head = f"POST {WEBHOOK_PATH} HTTP/1.1\r\nHost: soak\r\nContent-Length: 1000\r\n\r\n<Order"
    while True:
        with suppress(OSError):
            _, writer = await asyncio.open_connection(host, int(port))
            try:
                writer.write(head[:-_BYTES_OF_SLOW].encode())
                for character in head[-_BYTES_OF_SLOW:]:
                    writer.write(character.encode())
                    await writer.drain()
                    await asyncio.sleep(_SECONDS_PER_BYTE)
            finally:
                writer.transport.abort()
        await asyncio.sleep(_SECONDS_PER_BYTE)


async def _nonsense(public: str) -> None:
    """Post what cannot be understood, to where it belongs and to where nothing is."""
    paths = cycle((WEBHOOK_PATH, WEBHOOK_PATH, "/nowhere", "/%2e%2e/etc/passwd"))
    async with aiohttp.ClientSession() as client:
        for body, path in zip(cycle(hostile()), paths, strict=False):
            with suppress(aiohttp.ClientError, TimeoutError):
                headers = {"Content-Type": "application/xml"}
                async with client.post(public + path, data=body, headers=headers) as answer:
                    await answer.read()
            await asyncio.sleep(_SECONDS_BETWEEN_POSTS)


async def _look(admin: str) -> None:
    """Ask the admin listener for all that it has, each time by a connection of its own."""
    for path in cycle(("/readyz", "/healthz", "/metrics", "/api/v1/sinks", "/api/v1/quarantine")):
        with suppress(aiohttp.ClientError, TimeoutError):
            async with aiohttp.ClientSession() as client, client.get(admin + path) as answer:
                await answer.read()
        await asyncio.sleep(_SECONDS_BETWEEN_POSTS)
