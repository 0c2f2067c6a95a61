"""Reading a connection: in large pieces, and leniently.

Theory of operation. The driver reads a connection frame by frame and decodes each into an object.
Here it reads from a `LenientReader`, the seam that its transport factory leaves. That takes from
the socket what there is, cuts it into frames, and shows each to the `Inlet` of its channel: most
are part of a message or a confirm and end there, decoded no further than necessary. Only the others
reach the driver, in their order. A frame is handled when all before it are, whoever that was for.

The broker hands on whatever a sender put beside a body: text that is not UTF-8, a time in
microseconds, a table of anything. The driver raises on these in the one reader of the connection;
that ends the connection, the broker delivers the message again on the next one, and so without end,
for all queues of the source. So what comes with a message is made readable, here as in the inlets:
see `consumer.amqp.mending`.

The driver takes frames that it sees alone for a sign of life. So the reader notes when it heard an
octet: any of them will do (AMQP 0-9-1, section 4.2.7), and of a frame that takes longer than the
heartbeat's patience there is nothing else.

No more is worked off in one turn of the event loop than the transport has read ahead, a few hundred
kilobytes; what is behind that comes with later turns. A frame longer than was agreed on ends the
connection before it is read.
"""

import asyncio
import struct
from collections.abc import Callable
from typing import Any

from aiormq.connection import TCPTransportFactory, TLSTransportFactory, TransportFactory
from aiormq.exceptions import InvalidFrameError
from pamqp import constants
from yarl import URL

from consumer.amqp.channel import Inlet
from consumer.amqp.mending import DELIVER, readable_deliver, readable_header

Inlets = Callable[[int], Inlet | None]
"""Where the frames of a channel go first, by its number; None where there is no such channel."""

_CHUNK = 256 << 10
_BEFORE_AGREEMENT = 1 << 20
"""Bytes of a frame's payload, at the most, before the two sides have agreed on less or more."""
_UNLIMITED = 1 << 29
"""The same where they agreed on no limit: no message that RabbitMQ takes is larger."""
_HEAD = constants.FRAME_HEADER_SIZE
_head_at = struct.Struct(">BHI").unpack_from


class LenientTransports(TransportFactory):
    """The driver's own transports, read leniently; one for each connection."""

    def __init__(self, inlets: Inlets) -> None:
        self._inlets = inlets
        self._reader: LenientReader | None = None

    @property
    def heard(self) -> float:
        """When the peer's last octet was read, on the loop's clock; 0 where none was."""
        return self._reader.heard if self._reader else 0.0

    def agree(self, frame_max: int) -> None:
        """No frame's payload may be longer from now on, in bytes; 0 is no limit."""
        if self._reader is not None:
            self._reader.longest = min(frame_max or _UNLIMITED, _UNLIMITED)

    async def create(
        self, url: URL, **kwargs: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to `url`; called by the driver."""
        kind = TLSTransportFactory if url.scheme == "amqps" else TCPTransportFactory
        reader, writer = await kind().create(url, **kwargs)
        self._reader = LenientReader(reader, self._inlets)
        return self._reader, writer


class LenientReader(asyncio.StreamReader):
    """Gives what `reader` gives, but for what a channel takes, and such that it can be decoded."""

    def __init__(self, reader: asyncio.StreamReader, inlets: Inlets = lambda _number: None) -> None:
        super().__init__()
        self.heard = 0.0
        self.longest = _BEFORE_AGREEMENT
        self._reader = reader
        self._inlets = inlets
        self._data = b""
        self._at = 0
        self._frame = b""

    def at_eof(self) -> bool:
        """Whether nothing more comes, and all that came was asked for."""
        return not self._frame and self._at == len(self._data) and self._reader.at_eof()

    async def read(self, n: int = -1) -> bytes:
        """What is left of a frame, at most `n` bytes: the driver asks for it to tell an error."""
        return self._give(len(self._frame) if n < 0 else n)

    async def readexactly(self, n: int) -> bytes:
        """The next `n` bytes of frames that are the driver's."""
        while len(self._frame) < n:
            self._frame += await self._next()
        return self._give(n)

    def _give(self, n: int) -> bytes:
        given, self._frame = self._frame[:n], self._frame[n:]
        return given

    async def _next(self) -> bytes:
        """The next frame that is the driver's; what is before it is handled."""
        while (frame := self._worked_off()) is None:
            await self._more()
        return frame

    def _worked_off(self) -> bytes | None:
        """Show the frames that are there to their channels, up to one that is the driver's."""
        data, at = self._data, self._at
        while at + _HEAD < len(data):
            kind, number, length = _head_at(data, at)
            start, end = at + _HEAD, at + _HEAD + length
            if length > self.longest:
                raise InvalidFrameError("a frame is longer than was agreed on")
            if end >= len(data):
                break
            at = end + 1
            inlet = self._inlets(number) if data[end] == constants.FRAME_END else None
            if inlet is None or not inlet.take(kind, data, start, end):
                self._at = at
                return data[start - _HEAD : start] + _readable(kind, data[start:end]) + data[end:at]
        self._data, self._at = data[at:], 0
        return None

    async def _more(self) -> None:
        """Read until there is another whole frame, or at least the start of one."""
        rest = self._data
        whole = _HEAD + 1 + (_head_at(rest)[2] if len(rest) > _HEAD else 0)
        pieces, size = [rest] if rest else [], len(rest)
        while size < whole:
            piece = await self._reader.read(_CHUNK)
            if not piece:
                raise asyncio.IncompleteReadError(b"".join(pieces), whole)
            self.heard = asyncio.get_running_loop().time()
            pieces.append(piece)
            size += len(piece)
        self._data = b"".join(pieces)


def _readable(kind: int, payload: bytes) -> bytes:
    """What comes with a message, on a channel that is gone, such that the driver can decode it."""
    if kind == constants.FRAME_HEADER:
        return readable_header(payload)
    if kind == constants.FRAME_METHOD and payload.startswith(DELIVER):
        return readable_deliver(payload)
    return payload
