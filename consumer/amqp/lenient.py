"""Reading what the driver cannot: a message with odd properties is delivered all the same.

Theory of operation. The broker hands on whatever a sender put beside a body: text that is not
UTF-8, a time in microseconds, a table of anything. The driver raises on these in the one reader of
the connection; that ends the connection, the broker delivers the message again on the next one, and
so without end, for all queues of the source. So the driver reads from a `LenientReader`, the
seam that its transport factory leaves: frames pass as they are, but in those that come with a
message, what it could not read is made readable before it looks.

Rules
- Bytes that are not UTF-8 become question marks, in short strings and in the keys of tables.
- A time in a table that no calendar has becomes a plain number; as a property it is left out.
- A table that is still not readable is left out; so are properties that are cut short. The other
  properties stay, and the body always does.
- A frame keeps its length, for the driver has read that already; it ignores what follows the
  properties in their frame.

The driver reads seven bytes of a frame, then the rest at once. Should a later one read otherwise,
the tests fail; its version is bounded in pyproject.toml.

It takes whole frames alone for a sign of life, and would give up a slow link again and again for a
frame that takes longer than the heartbeat's patience. So the reader notes when it heard an octet:
any of them will do (AMQP 0-9-1, section 4.2.7).
"""

import asyncio
import struct
from collections.abc import Mapping
from typing import Any

from aiormq.connection import TCPTransportFactory, TLSTransportFactory, TransportFactory
from pamqp import constants, decode
from pamqp.commands import Basic
from pamqp.header import ContentHeader
from yarl import URL

_DELIVER = struct.pack(">I", Basic.Deliver.index)
_BEFORE_FLAGS = 12
_LAST_TIME = 253_402_300_799_000
"""The end of the year 9999 in milliseconds, as the driver takes what is large."""
_SIZES: Mapping[int, int] = dict(
    zip(b"tbBsuIilLfdDTV\0", (1, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 5, 8, 0, 0), strict=True)
)
"""Bytes of a table's value by its type; see rabbitmq.com/amqp-0-9-1-errata.html."""


class LenientTransports(TransportFactory):
    """The driver's own transports, read leniently; one for each connection."""

    def __init__(self) -> None:
        self._reader: LenientReader | None = None

    @property
    def heard(self) -> float:
        """When the peer's last octet was read, on the loop's clock; 0 where none was."""
        return self._reader.heard if self._reader else 0.0

    async def create(
        self, url: URL, **kwargs: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to `url`; called by the driver."""
        kind = TLSTransportFactory if url.scheme == "amqps" else TCPTransportFactory
        reader, writer = await kind().create(url, **kwargs)
        self._reader = LenientReader(reader)
        return self._reader, writer


class LenientReader(asyncio.StreamReader):
    """Gives what `reader` gives, but such that the driver can decode it."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        super().__init__()
        self.heard = 0.0
        self._reader = reader
        self._start = b""

    def at_eof(self) -> bool:
        """As of the reader behind this one."""
        return self._reader.at_eof()

    async def read(self, n: int = -1) -> bytes:
        """As of the reader behind this one."""
        return await self._reader.read(n)

    async def readexactly(self, n: int) -> bytes:
        """A piece of the start of a frame, or all that follows it."""
        data = await self._exactly(n)
        if len(self._start) < constants.FRAME_HEADER_SIZE:
            self._start += data
            return data
        kind, self._start = self._start[0], b""
        if kind == constants.FRAME_HEADER:
            return _readable_header(data)
        if kind == constants.FRAME_METHOD and data.startswith(_DELIVER):
            return _readable_deliver(data)
        return data

    async def _exactly(self, n: int) -> bytes:
        """The next `n` bytes, noting when each piece of them came."""
        data = b""
        while piece := await self._reader.read(n - len(data)):
            self.heard = asyncio.get_running_loop().time()
            data = data + piece if data else piece
        if len(data) < n:
            raise asyncio.IncompleteReadError(data, n)
        return data


def _readable_header(data: bytes) -> bytes:
    """As it is, unless the driver's decoder raises on it."""
    try:
        ContentHeader().unmarshal(data[:-1])
    except Exception:  # noqa: BLE001 - whatever it is, it would end the connection
        return _mended_header(data)
    return data


def _readable_deliver(data: bytes) -> bytes:
    """With names and a routing key that are UTF-8."""
    frame = bytearray(data)
    try:
        tag_end = _mend_text(frame, len(_DELIVER))
        _mend_text(frame, _mend_text(frame, tag_end + 9))
    except IndexError:
        return data
    return bytes(frame)


def _mended_header(data: bytes) -> bytes:
    """With those properties that can be had."""
    flags = int.from_bytes(data[_BEFORE_FLAGS : _BEFORE_FLAGS + 2])
    kept, pieces, rest = 0, b"", data[_BEFORE_FLAGS + 2 : -1]
    for name, flag in Basic.Properties.flags.items():
        if not flags & flag:
            continue
        kind = Basic.Properties.amqp_type(name)
        try:
            piece, rest = _cut(kind, rest)
        except (IndexError, struct.error):
            break
        if _can_be_read(kind, piece):
            kept |= flag
            pieces += piece
    mended = data[:_BEFORE_FLAGS] + kept.to_bytes(2) + pieces
    return mended.ljust(len(data) - 1, b"\0") + data[-1:]


def _cut(kind: str, rest: bytes) -> tuple[bytes, bytes]:
    """The first property of `rest`, made as readable as can be, and what follows it."""
    piece = bytearray(rest)
    if kind == "shortstr":
        end = _mend_text(piece, 0)
    elif kind == "table":
        end = 4 + _length(piece, 0)
        _mend_table(piece, 4, end)
    else:
        end = 8 if kind == "timestamp" else 1
    return bytes(piece[:end]), rest[end:]


def _can_be_read(kind: str, piece: bytes) -> bool:
    try:
        consumed, _ = decode.by_type(piece, kind)
    except Exception:  # noqa: BLE001 - see _readable_header
        return False
    return consumed == len(piece)


def _length(data: bytearray, at: int) -> int:
    (length,) = struct.unpack_from(">I", data, at)
    return int(length)


def _mend_text(data: bytearray, at: int) -> int:
    """Make the short string at `at` UTF-8; return where it ends."""
    start, end = at + 1, at + 1 + data[at]
    text = data[start:end]
    try:
        text.decode()
    except UnicodeDecodeError:
        data[start:end] = text.decode("ascii", "replace").replace("\ufffd", "?").encode()
    return end


def _mend_table(data: bytearray, at: int, end: int) -> None:
    """As far as its structure can be followed."""
    try:
        while at < end:
            at = _mend_value(data, _mend_text(data, at))
    except (IndexError, KeyError, RecursionError, struct.error):
        return


def _mend_value(data: bytearray, at: int) -> int:
    """Make the value at `at`, its type first, readable; return where it ends."""
    kind, start = data[at], at + 1
    if kind == ord("T") and struct.unpack_from(">Q", data, start)[0] > _LAST_TIME:
        data[at] = ord("l")
    if kind in _SIZES:
        return start + _SIZES[kind]
    end = start + 4 + _length(data, start)
    if kind == ord("F"):
        _mend_table(data, start + 4, end)
    elif kind == ord("A"):
        item = start + 4
        while item < end:
            item = _mend_value(data, item)
    elif kind not in b"Sx":
        raise KeyError(kind)
    return end
