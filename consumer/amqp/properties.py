"""What is wanted of a message's properties, without decoding the others.

Theory of operation. The driver's decoder makes an object of all fourteen properties, which costs
more than all else about a message; wanted are three. So the properties are walked over, those that
are not wanted by their length alone. Whatever is not as the protocol has it (text that is not
UTF-8, a table that cannot be read, a property that is cut short) is left to the driver's decoder,
after `consumer.amqp.mending`. The walk finds what that would, but for a table with a value that is
longer than the table: that is read into what follows it, which is nonsense either way.
"""

import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from pamqp import decode
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from consumer.amqp.mending import BEFORE_FLAGS, readable_header

SHORTEST_HEADER = BEFORE_FLAGS + 2
"""Bytes of a content header that has no properties."""

_flags_at = struct.Struct(">H").unpack_from
_length_at = struct.Struct(">I").unpack_from
_MORE_FLAGS = 1
_FIXED: Mapping[str, int] = {"octet": 1, "timestamp": 8}
_NO_HEADERS: Mapping[str, Any] = MappingProxyType({})


class About(NamedTuple):
    """What was beside a body."""

    headers: Mapping[str, Any] = _NO_HEADERS
    message_id: str | None = None
    type: str | None = None


_PLACES = {"headers": 0, "message_id": 1, "message_type": 2}
"""Places in `About`, by the driver's names of properties."""


def about(data: bytes, start: int, end: int) -> About:
    """What the content header `data[start:end]` tells, of `SHORTEST_HEADER` bytes or more."""
    try:
        return _walked(data, start + BEFORE_FLAGS, end)
    except Exception:  # noqa: BLE001 - whatever it is, it would end the connection
        header = ContentHeader()
        header.unmarshal(readable_header(data[start:end]))
        found = header.properties
        return About(found.headers or _NO_HEADERS, found.message_id, found.message_type)


def _walked(data: bytes, at: int, end: int) -> About:
    """Raises where something is not as the protocol has it; what is behind `end` is not ours."""
    (flags,) = _flags_at(data, at)
    at += 2
    found: list[Any] = [_NO_HEADERS, None, None]
    for kind, place in _layout(flags):
        if kind == "shortstr":
            text = at + 1
            at = text + data[at]
            if place is not None:
                found[place] = data[text:at].decode()
        elif kind == "table":
            _, table = decode.field_table(data[at:end])
            found[0] = table or _NO_HEADERS
            at += 4 + _length_at(data, at)[0]
        else:
            at += _FIXED[kind]
    if at > end:
        raise IndexError("cut short")
    return About(*found)


@lru_cache(maxsize=256)
def _layout(flags: int) -> Sequence[tuple[str, int | None]]:
    """The properties that there are, in order: what kind each is and its place, if it is wanted."""
    if flags & _MORE_FLAGS:
        raise ValueError("flags that the protocol does not know")
    properties = Basic.Properties
    return [
        (properties.amqp_type(name), _PLACES.get(name))
        for name, flag in properties.flags.items()
        if flags & flag
    ]
