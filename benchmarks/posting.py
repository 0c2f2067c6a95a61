"""`python -m benchmarks.posting SETTINGS`: posts, and how fast they were answered.

Rules
1. Connections are kept alive, and each posts again as soon as it has its answer: as many posts are
   under way as there are connections. In such a closed loop nobody posts while the server stands
   still, so a standstill is in few latencies: the worst is told as well.
2. Requests are rendered before the first is sent, and of an answer only status and length are
   looked at: it shares the machine with what it measures.
3. An answer other than 200, or none, ends it with an error.
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
_END, _LENGTH = b"\r\n\r\n", b"content-length: "


class Order(Struct, frozen=True, kw_only=True):
    """What is to be posted: what the file `bodies` holds, a list of byte strings as MessagePack.

    `pid` is the server's process.
    """

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
    """The posts of all connections together."""

    def __init__(self, requests: Sequence[bytes], pid: int) -> None:
        self.next: Iterator[tuple[int, bytes]] = iter(enumerate(requests))
        self.latencies = array("d", bytes(8 * len(requests)))
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._all, self._warm = len(requests), len(requests) // _WARM_UP
        self._pid = pid
        self._answered = 0
        self._began, self._own = perf_counter(), cpu_of(pid)

    def answered(self, number: int, latency: float) -> None:
        """Post `number` has its answer."""
        self.latencies[number] = latency
        self._answered += 1
        if self._answered == self._warm:
            self._began, self._own = perf_counter(), cpu_of(self._pid)
        elif self._answered == self._all:
            self._began, self._own = perf_counter() - self._began, cpu_of(self._pid) - self._own
            self.over.set_result(None)

    def failed(self, reason: str) -> None:
        """There is no measurement."""
        if not self.over.done():
            self.over.set_exception(RuntimeError(reason))

    @property
    def shown(self) -> Shown:
        """What all of it took."""
        latencies = sorted(self.latencies[self._warm :])
        return Shown(
            posts=len(latencies),
            seconds=self._began,
            p50=latencies[len(latencies) // 2],
            p99=latencies[len(latencies) * 99 // 100],
            worst=latencies[-1],
            own=self._own,
        )


class Sender(asyncio.Protocol):
    """One connection."""

    def __init__(self, round_: Round) -> None:
        self._round = round_
        self._received = b""
        self._number = 0
        self._sent = 0.0

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
        if not received.startswith(_OK):
            self._round.failed(f"a post was answered {received[:200]!r}")
            return
        self._received = b""
        self._round.answered(self._number, perf_counter() - self._sent)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Unless all is over, this should not be."""
        self._round.failed(f"a connection was closed: {exc}")

    def _send(self) -> None:
        number, request = next(self._round.next, (-1, b""))
        if request:
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
    """Post everything; RuntimeError where something is not answered 200."""
    round_ = Round(requests, order.pid)
    loop = asyncio.get_running_loop()
    for _ in range(order.connections):
        await loop.create_connection(lambda: Sender(round_), "127.0.0.1", order.port)
    async with asyncio.timeout(_GIVE_UP):
        await round_.over
    return round_.shown


if __name__ == "__main__":
    asked = msgspec.json.decode(sys.argv[1], type=Order)
    click.echo(msgspec.json.encode(uvloop.run(post(asked, _rendered(asked)))))
