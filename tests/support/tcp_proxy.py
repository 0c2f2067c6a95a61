"""A TCP proxy between a client and a server, whose line can be cut, reset, frozen and slowed.

Rules
- A fault holds for all connections, those that are open and those that come, until `heal`. Each
  direction is a lane of its own: `freeze` and `slow` take the lanes that they are for.
- Bytes are moved, never looked at. What a fault holds back waits in the kernel's buffers, which are
  kept small, so that the two ends feel it as they would feel a real line.
- A connection that is made during a freeze is accepted and stays dead, after `heal` too: as behind
  a middlebox that lost its state, only the client's own patience ends it. Older ones go on.
- A reset is a TCP RST (SO_LINGER of 0) to both ends, in the middle of whatever was being said.
"""

import asyncio
import contextlib
import enum
import socket
import struct
from collections.abc import Collection
from typing import Self

_AT_ONCE = 64 << 10
_BUFFER = 64 << 10
_RESET = struct.pack("ii", 1, 0)
_STEP = 0.05
"""Seconds of a slow line that pass between two looks at how fast it is now."""


class Lane(enum.Enum):
    """One direction of a line."""

    TO_SERVER = enum.auto()
    TO_CLIENT = enum.auto()


BOTH = frozenset(Lane)


class TcpProxy:
    """Listens on `port` of 127.0.0.1 while it is entered, and carries to `target` there.

    `accepted` counts connections, `resets` those that were torn by `reset`.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = _listening(0)
        self.port: int = self._listener.getsockname()[1]
        self.accepted = 0
        self.resets = 0
        self._accepting: asyncio.Task[None] | None = None
        self._lines: dict[asyncio.Task[None], _Line] = {}
        self._flowing = {lane: asyncio.Event() for lane in Lane}
        self._rate: dict[Lane, float] = {}
        self._fuse: dict[Lane, int] = {}

    async def __aenter__(self) -> Self:
        self.heal()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.cut()

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._lines)

    # --- faults ------------------------------------------------------------------------------

    async def cut(self) -> None:
        """Close every connection and refuse new ones."""
        tasks = list(self._lines)
        if self._accepting is not None:
            tasks.append(self._accepting)
            self._accepting = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._listener.close()

    def freeze(self, lanes: Collection[Lane] = BOTH) -> None:
        """Carry nothing and close nothing; who connects from now on talks to nobody."""
        for lane in lanes:
            self._flowing[lane].clear()

    def slow(self, bytes_per_second: float, lanes: Collection[Lane] = BOTH) -> None:
        """Carry no faster than this, on each connection and lane."""
        for lane in lanes:
            self._rate[lane] = bytes_per_second

    def reset(self, after: int, lane: Lane = Lane.TO_CLIENT) -> None:
        """Reset every open connection once `after` more bytes went along its lane.

        Where there is none the next one is reset.
        """
        for line in self._lines.values():
            line.fuse[lane] = after
        self._fuse = {} if self._lines else {lane: after}

    def heal(self) -> None:
        """End all faults."""
        self._rate.clear()
        self._fuse = {}
        for event in self._flowing.values():
            event.set()
        for line in self._lines.values():
            line.fuse.clear()
        if self._accepting is None:
            if self._listener.fileno() < 0:
                self._listener = _listening(self.port)
            self._accepting = asyncio.create_task(self._accept())

    # --- carrying ----------------------------------------------------------------------------

    async def _accept(self) -> None:
        while True:
            client, _ = await asyncio.get_running_loop().sock_accept(self._listener)
            line = _Line(client, self._fuse)
            self._fuse = {}
            task = asyncio.create_task(self._serve(line))
            self._lines[task] = line
            self.accepted += 1
            task.add_done_callback(self._lines.pop)

    async def _serve(self, line: "_Line") -> None:
        """Carry both ways until one end hangs up; that ends the whole line."""
        with contextlib.closing(line):
            if not all(event.is_set() for event in self._flowing.values()):
                await line.hung_up()
            elif await line.reach(self._target):
                lanes = [asyncio.create_task(self._carry(line, lane)) for lane in Lane]
                try:
                    await asyncio.wait(lanes, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for lane in lanes:
                        lane.cancel()
                    await asyncio.gather(*lanes, return_exceptions=True)

    async def _carry(self, line: "_Line", lane: Lane) -> None:
        """Move bytes until either end hangs up, or the fuse has burnt down."""
        loop = asyncio.get_running_loop()
        source, target = line.ends(lane)
        with contextlib.suppress(OSError):
            while await self._flows(lane) and (data := await loop.sock_recv(source, _AT_ONCE)):
                while data:
                    # A fault holds for what was read already, too.
                    await self._flows(lane)
                    rate, fuse = self._rate.get(lane), line.fuse.get(lane)
                    piece = data[: max(1, int(rate * _STEP))] if rate else data
                    if fuse is not None and len(piece) > fuse:
                        await loop.sock_sendall(target, piece[:fuse])
                        self.resets += 1
                        line.tear()
                        return
                    await loop.sock_sendall(target, piece)
                    data = data[len(piece) :]
                    if fuse is not None:
                        line.fuse[lane] = fuse - len(piece)
                    if rate:
                        await asyncio.sleep(len(piece) / rate)
            await self._flows(lane)

    async def _flows(self, lane: Lane) -> bool:
        """Return True once the lane is not frozen."""
        return await self._flowing[lane].wait()


class _Line:
    """One client's connection and the one to the server that belongs to it."""

    def __init__(self, client: socket.socket, fuse: dict[Lane, int]) -> None:
        self.fuse = fuse
        self._client = client
        self._server = _socket()
        client.setblocking(False)

    def ends(self, lane: Lane) -> tuple[socket.socket, socket.socket]:
        """Where bytes of a lane come from and where they go."""
        if lane is Lane.TO_SERVER:
            return self._client, self._server
        return self._server, self._client

    async def reach(self, port: int) -> bool:
        """Connect to the server; whether that worked."""
        try:
            await asyncio.get_running_loop().sock_connect(self._server, ("127.0.0.1", port))
        except OSError:
            return False
        return True

    async def hung_up(self) -> None:
        """Return when the client gave up on a line that is dead."""
        with contextlib.suppress(OSError):
            while await asyncio.get_running_loop().sock_recv(self._client, _AT_ONCE):
                pass

    def tear(self) -> None:
        """Have `close` send an RST to both ends."""
        for end in (self._client, self._server):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def close(self) -> None:
        """Hang up on both ends."""
        self._client.close()
        self._server.close()


def _listening(port: int) -> socket.socket:
    listener = _socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(1024)
    return listener


def _socket() -> socket.socket:
    fresh = socket.socket()
    fresh.setblocking(False)
    for size in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        fresh.setsockopt(socket.SOL_SOCKET, size, _BUFFER)
    return fresh
