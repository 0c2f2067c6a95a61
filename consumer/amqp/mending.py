"""Making readable what a sender put beside a body and the driver's decoder raises on.

Rules
- Bytes that are not UTF-8 become question marks, in short strings and in the keys of tables.
- A time in a table that no calendar has becomes a plain number; as a property it is left out.
- A table that is still not readable is left out; so are properties that are cut short. The other
  properties stay, and the body always does.
- A frame keeps its length, since what is before it says that; the decoder ignores what follows the
  properties in their frame.

Payloads here are those of frames: without the seven bytes before them and the one behind.
"""

import struct
from collections.abc import Collection, Mapping

from pamqp import decode
from pamqp.commands import Basic
from pamqp.header import ContentHeader

DELIVER = struct.pack(">I", Basic.Deliver.index)
"""What the payload of a delivery's method frame begins with."""
BEFORE_FLAGS = 12
"""Bytes of a content header before the flags that say which properties there are."""

_LAST_TIME = 253_402_300_799_000
"""The end of the year 9999 in milliseconds, as the driver takes what is large."""
_SIZES: Mapping[int, int] = dict(
    zip(b"tbBsuIilLfdDTV\0", (1, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 5, 8, 0, 0), strict=True)
)
"""Bytes of a table's value by its type; see rabbitmq.com/amqp-0-9-1-errata.html."""
_PROPERTIES = Basic.Properties.flags.keys()
_WITHOUT_TABLE = _PROPERTIES - {"headers"}


def readable_header(payload: bytes) -> bytes:
    """A content header as it is, unless the driver's decoder raises on it.

    A table may be readable by itself and not in its place: a value that is longer than its table
    goes on in what follows that. It is left out then.
    """
    if _is_readable(payload):
        return payload
    mended = _mended_header(payload, _PROPERTIES)
    return mended if _is_readable(mended) else _mended_header(payload, _WITHOUT_TABLE)


def _is_readable(payload: bytes) -> bool:
    try:
        ContentHeader().unmarshal(payload)
    except Exception:  # noqa: BLE001 - whatever it is, it would end the connection
        return False
    return True


def readable_deliver(payload: bytes) -> bytes:
    """A delivery's method, its names and its routing key UTF-8."""
    frame = bytearray(payload)
    try:
        tag_end = _mend_text(frame, len(DELIVER))
        _mend_text(frame, _mend_text(frame, tag_end + 9))
    except IndexError:
        return payload
    return bytes(frame)


def _mended_header(payload: bytes, wanted: Collection[str]) -> bytes:
    """With those of the `wanted` properties that can be had."""
    flags = int.from_bytes(payload[BEFORE_FLAGS : BEFORE_FLAGS + 2])
    kept, pieces, rest = 0, b"", payload[BEFORE_FLAGS + 2 :]
    for name, flag in Basic.Properties.flags.items():
        if not flags & flag:
            continue
        kind = Basic.Properties.amqp_type(name)
        try:
            piece, rest = _cut(kind, rest)
        except (IndexError, struct.error):
            break
        if name in wanted and _can_be_read(kind, piece):
            kept |= flag
            pieces += piece
    mended = payload[:BEFORE_FLAGS] + kept.to_bytes(2) + pieces
    return mended.ljust(len(payload), b"\0")


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
    except Exception:  # noqa: BLE001 - see _is_readable
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
