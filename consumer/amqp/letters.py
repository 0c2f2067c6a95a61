"""Letters, and the frames that publish them.

Theory of operation. A publish is a method frame, a header frame and as many body frames as the
agreed length of a frame makes of the body (AMQP 0-9-1, sections 2.3.5 and 4.2.6). The driver makes
an object of each and encodes it field by field, though of two letters of the same kind to the same
place hardly anything differs. So what does not is encoded once and kept: the whole method frame of
a routing key, and of the properties all before and behind what is the letter's own. The bytes are
those that the driver would write; a test compares them.
"""

import struct
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

import pamqp.frame
from pamqp import constants, encode
from pamqp.commands import Basic

_PERSISTENT = b"\x02"
_APP = "backorder-consumer"
_KEPT = 256
"""Routing keys, and kinds of letters, of which the constant parts are kept."""
_FLAGS = Basic.Properties.flags
_END = constants.FRAME_END_CHAR
_header = struct.Struct(">BHIHHQH").pack
_BEFORE_PROPERTIES = struct.calcsize(">HHQH")
_time = struct.Struct(">Q").pack
_next_body = struct.Struct(">cBHI").pack


class Letter(NamedTuple):
    """A message to publish; `id` is unique among all that are under way. `timestamp` is aware."""

    id: str
    routing_key: str
    type: str
    content_type: str
    timestamp: datetime
    headers: Mapping[str, str | bool]
    body: bytes


class Envelopes:
    """Makes the frames of letters on channel `number` to `exchange`, "" for queues by their name.

    `most` is the bytes of a body that one frame takes; where it is not above zero, all of them.
    """

    def __init__(self, number: int, exchange: str, *, mandatory: bool, most: int) -> None:
        self._number = number
        self._exchange = exchange
        self._mandatory = mandatory
        self._most = most
        self._method = lru_cache(_KEPT)(self._make_method)

    def _make_method(self, routing_key: str) -> bytes:
        publish = Basic.Publish(
            exchange=self._exchange, routing_key=routing_key, mandatory=self._mandatory
        )
        return pamqp.frame.marshal(publish, self._number)

    def pieces(self, letter: Letter) -> Iterator[bytes]:
        """The frames of a letter, in pieces to be joined."""
        yield self._method(letter.routing_key)
        flags, before, behind = _around(letter.content_type, letter.type)
        table = b""
        if letter.headers:
            flags |= _FLAGS["headers"]
            table = encode.field_table(dict(letter.headers))
        id_ = letter.id.encode()
        if id_:
            flags |= _FLAGS["message_id"]
            id_ = len(id_).to_bytes() + id_
        moment = _time(int(letter.timestamp.timestamp()))
        own = b"".join((before, table, _PERSISTENT, id_, moment, behind))
        size = _BEFORE_PROPERTIES + len(own)
        kind, basic = constants.FRAME_HEADER, Basic.frame_id
        yield _header(kind, self._number, size, basic, 0, len(letter.body), flags)
        yield own
        for part in self._parts(letter.body):
            yield _next_body(_END, constants.FRAME_BODY, self._number, len(part))
            yield part
        yield _END

    def _parts(self, body: bytes) -> Iterator[bytes]:
        if not 0 < self._most < len(body):
            return iter((body,) if body else ())
        return (body[at : at + self._most] for at in range(0, len(body), self._most))


@lru_cache(_KEPT)
def _around(content_type: str, type_: str) -> tuple[int, bytes, bytes]:
    """Flags of the properties that every letter has, and what is before and behind its own."""
    flags = _FLAGS["delivery_mode"] | _FLAGS["timestamp"] | _FLAGS["app_id"]
    before, behind = b"", encode.short_string(_APP)
    if content_type:
        flags |= _FLAGS["content_type"]
        before = encode.short_string(content_type)
    if type_:
        flags |= _FLAGS["message_type"]
        behind = encode.short_string(type_) + behind
    return flags, before, behind
