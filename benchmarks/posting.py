"""`python -m benchmarks.posting SETTINGS`: posts, and how fast they were answered.

Rules
1. Connections are kept alive, and each posts again as soon as it has its answer: as many posts are
   under way as there are connections. In such a closed loop nobody posts while the server stands
   still, so a standstill is in few latencies: the worst is told as well.
2. Requests are rendered before the first is sent, and of an answer only status and length are
   looked at: it shares the machine with what it measures.
3. An answer other than 200, or none, ends it: exit status 1, and one line on standard error that
   says what happened to whose post, how long it had been under way, and how far the round was. A
   connection that is closed when it has nothing left to post is no fault.
4. The first tenth of the posts is for warming up. Time, and processor time of the server, count
   from the last answer to those up to the last of all; latencies from writing a post to having all
   of its answer.
"""

import asyncio
import sys
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import cast

import click
import msgspec
import uvloop
from msgspec import Struct

from benchmarks.processes import cpu_of

_WARM_UP = 10  # the part of the posts, as a divisor
_GIVE_UP = 300.0
_OK = b"HTTP/1.1 200 "
_QUOTED = 200  # bytes of an answer
_END, _LENGTH = b"\r\n\r\n", b"content-length: "


class Order(Struct, frozen=True, kw_only=True):
    """What is to be posted: what the file `bodies` holds, a list of byte strings as MessagePack.

    `pid` is the server's process; `case` is what this is, for where it goes wrong.
    """

    case: str
    port: int
    path: str
    pid: int
    bodies: str
    connections: int


class Shown(Struct, frozen=True, kw_only=True):
    """What it took: posts counted, seconds they took, latencies and processor time in seconds."""

    posts: int
    seconds: float
    p50: float
    p99: float
    worst: float
    own: float


class Round:
    """The posts of all connections together; `pid` is the server's process."""

    def __init__(self, requests: Sequence[bytes], pid: int) -> None:
        self.next: Iterator[tuple[int, bytes]] = iter(enumerate(requests))
        self.latencies = array("d", bytes(8 * len(requests)))
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._all, self._warm = len(requests), len(requests) // _WARM_UP
        self._pid = pid
        self._answered = 0
        self._first = perf_counter()
        self._began, self._before = self._first, cpu_of(pid)
        self._seconds = self._spent = 0.0

    def answered(self, number: int, latency: float) -> None:
        """Post `number` has its answer."""
        self.latencies[number] = latency
        self._answered += 1
        if self._answered == self._warm:
            self._began, self._before = perf_counter(), cpu_of(self._pid)
        elif self._answered == self._all:
            self._seconds = perf_counter() - self._began
            self._spent = cpu_of(self._pid) - self._before
            self.over.set_result(None)

    def failed(self, reason: str) -> None:
        """There is no measurement."""
        if not self.over.done():
            self.over.set_exception(RuntimeError(f"{reason}; {self.so_far}"))

    @property
    def so_far(self) -> str:
        """How far this is."""
        seconds = perf_counter() - self._first
        return (
            f"{self._answered} of {self._all} posts were answered, {seconds:.1f} s into the round"
        )

    @property
    def shown(self) -> Shown:
        """What all of it took."""
        latencies = sorted(self.latencies[self._warm :])
        return Shown(
            posts=len(latencies),
            seconds=self._seconds,
            p50=latencies[len(latencies) // 2],
            p99=latencies[len(latencies) * 99 // 100],
            worst=latencies[-1],
            own=self._spent,
        )


class Sender(asyncio.Protocol):
    """One connection."""

    def __init__(self, round_: Round) -> None:
        self._round = round_
        self._received = b""
        self._number = 0
        self._posts = 0
        self._sent: float | None = None  # when, while a post is under way

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._wire = cast("asyncio.Transport", transport)  # uvloop's is none by birth
        self._send()

    def data_received(self, data: bytes) -> None:
        """Look whether the answer is whole; if so, post again."""
        received = self._received + data if self._received else data
        end = received.find(_END)
        if end < 0 or len(received) < end + len(_END) + _length(received[:end]):
            self._received = received
            return
        if self._sent is None:
            self._round.failed(f"there was an answer to nothing: {received[:_QUOTED]!r}")
        elif not received.startswith(_OK):
            self._round.failed(f"a post was answered {received[:_QUOTED]!r}, {self._under_way()}")
        else:
            self._received = b""
            self._round.answered(self._number, perf_counter() - self._sent)
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Unless there is nothing left to post, this should not be."""
        if self._sent is not None:
            how = f"a connection was closed ({exc or 'in order'})"
            self._round.failed(f"{how}, {self._under_way()}")

    def _under_way(self) -> str:
        """How it was with the present post."""
        seconds = perf_counter() - (self._sent or 0.0)
        which = "the first of its" if self._posts == 1 else f"number {self._posts} of its kept"
        return (
            f"{len(self._received)} bytes into the answer, {seconds:.3f} s after the post was"
            f" written, {which} connection"
        )

    def _send(self) -> None:
        number, request = next(self._round.next, (-1, b""))
        if not request:
            self._sent = None
            return
        self._posts += 1
        self._number, self._sent = number, perf_counter()
        self._wire.write(request)


def _length(head: bytes) -> int:
    """The length of the body, by the header."""
    head = head.lower()
    begin = head.find(_LENGTH)
    if begin < 0:
        raise RuntimeError(f"this answer has no Content-Length: {head!r}")
    return int(head[begin + len(_LENGTH) :].partition(b"\r\n")[0])


def _request(order: Order, body: bytes) -> bytes:
    return (
        f"POST {order.path} HTTP/1.1\r\nHost: 127.0.0.1:{order.port}\r\n"
        "User-Agent: benchmark\r\nAccept: */*\r\nContent-Type: application/xml\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def _rendered(order: Order) -> Sequence[bytes]:
    bodies = msgspec.msgpack.decode(Path(order.bodies).read_bytes(), type=list[bytes])
    return [_request(order, body) for body in bodies]


async def post(order: Order, requests: Sequence[bytes]) -> Shown:
    """Post everything; RuntimeError, as rule 3 has it, where something is not answered 200."""
    round_ = Round(requests, order.pid)
    try:
        async with asyncio.timeout(_GIVE_UP):
            await _connect(order, round_)
            await round_.over
    except TimeoutError:
        raise RuntimeError(f"{order.case}: not over in time; {round_.so_far}") from None
    except RuntimeError as error:
        raise RuntimeError(f"{order.case}: {error}") from None
    return round_.shown


async def _connect(order: Order, round_: Round) -> None:
    """Open the connections; each begins at once."""
    loop = asyncio.get_running_loop()
    for place in range(1, order.connections + 1):
        try:
            await loop.create_connection(lambda: Sender(round_), "127.0.0.1", order.port)
        except OSError as error:
            round_.failed(f"connection {place} of {order.connections} was not made ({error})")
            return


if __name__ == "__main__":
    asked = msgspec.json.decode(sys.argv[1], type=Order)
    try:
        click.echo(msgspec.json.encode(uvloop.run(post(asked, _rendered(asked)))))
    except RuntimeError as fault:
        click.echo(fault, err=True)
        sys.exit(1)
