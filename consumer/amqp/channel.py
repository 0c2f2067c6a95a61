"""A channel whose deliveries, returns and confirms are handled where they are read.

The driver puts every frame of a channel into a queue, from which a task of the channel takes it,
and makes a task of every delivery and a future of every publish. Here the reader of the connection
(`consumer.amqp.lenient`) shows each frame to the channel's `Inlet` before the driver sees it. Those
four kinds, and the header and body frames that follow two of them, are put together on the spot and
handed to a plain function. Everything else goes the driver's way.
"""

import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from aiormq.abc import AbstractConnection
from aiormq.channel import Channel
from aiormq.exceptions import InvalidFrameError
from pamqp import constants
from pamqp.commands import Basic

from consumer.amqp.mending import BEFORE_FLAGS, DELIVER
from consumer.amqp.properties import SHORTEST_HEADER, About, about

_RETURN, _ACK, _NACK = (
    struct.pack(">I", method.index) for method in (Basic.Return, Basic.Ack, Basic.Nack)
)
_METHOD_ID = 4
_TAG_AND_BIT = 9
_tag_and_bits_at = struct.Struct(">QB").unpack_from
_CUT_SHORT = "a frame ends before what it has to say"
_size_at = struct.Struct(">Q").unpack_from


class Delivery(NamedTuple):
    """One message from a queue; `tag` is good on the channel it came on and nowhere else."""

    tag: int
    redelivered: bool
    body: bytes
    headers: Mapping[str, Any]
    message_id: str | None
    type: str | None


class Confirm(NamedTuple):
    """The broker answers for one publish, or with `multiple` for all up to it."""

    tag: int
    multiple: bool
    taken: bool


class Returned(NamedTuple):
    """The broker could not route a message; the confirm that follows says nothing about that."""

    message_id: str
    routing_key: str
    why: str


Happening = Delivery | Confirm | Returned


class LeanChannel(Channel):
    """A driver's channel that tells `happened` about deliveries, returns and confirms."""

    def __init__(
        self, connection: AbstractConnection, number: int, happened: Callable[[Happening], None]
    ) -> None:
        super().__init__(connection, number, publisher_confirms=False)
        self.inlet = Inlet(happened)


class Inlet:
    """Where the frames of one channel come in: puts messages together.

    A message is a method frame, a header frame and as many body frames as its size takes; the
    frames of another method do not come in between (AMQP 0-9-1, section 4.2.6).
    """

    def __init__(self, happened: Callable[[Happening], None]) -> None:
        self._happened = happened
        self._open: tuple[int, bool] | Basic.Return | None = None
        self._about: About | None = None
        self._parts: list[bytes] = []
        self._missing = 0
        self._methods: Mapping[bytes, Callable[[bytes, int, int], bool]] = {
            DELIVER: self._deliver,
            _RETURN: self._return,
            _ACK: self._ack,
            _NACK: self._nack,
        }

    def take(self, kind: int, data: bytes, start: int, end: int) -> bool:
        """See a frame of this kind, its payload `data[start:end]`; False: it is the driver's.

        Raises the driver's `InvalidFrameError`, which ends the connection, on what no broker sends.
        """
        if kind == constants.FRAME_METHOD:
            method = self._methods.get(data[start : start + _METHOD_ID])
            return method is not None and method(data, start + _METHOD_ID, end)
        if self._open is None:
            return False
        if kind == constants.FRAME_BODY:
            return self._body(data[start:end])
        return kind == constants.FRAME_HEADER and self._header(data, start, end)

    def _deliver(self, data: bytes, at: int, end: int) -> bool:
        """Consumer tag, delivery tag, redelivered, exchange, routing key; texts by their length."""
        try:
            at += 1 + data[at]
            tag, bits = _tag_and_bits_at(data, at)
            at += _TAG_AND_BIT
            at += 1 + data[at]
            at += 1 + data[at]
        except (IndexError, struct.error) as error:
            raise InvalidFrameError(_CUT_SHORT) from error
        if at > end:
            raise InvalidFrameError(_CUT_SHORT)
        self._open, self._about = (tag, bool(bits & 1)), None
        return True

    def _return(self, data: bytes, at: int, end: int) -> bool:
        returned = Basic.Return()
        try:
            returned.unmarshal(data[at:end])
        except (ValueError, struct.error) as error:
            raise InvalidFrameError("a return cannot be read") from error
        self._open, self._about = returned, None
        return True

    def _ack(self, data: bytes, at: int, end: int) -> bool:
        return self._confirm(data, at, end, taken=True)

    def _nack(self, data: bytes, at: int, end: int) -> bool:
        return self._confirm(data, at, end, taken=False)

    def _confirm(self, data: bytes, at: int, end: int, *, taken: bool) -> bool:
        if end - at < _TAG_AND_BIT:
            raise InvalidFrameError(_CUT_SHORT)
        tag, bits = _tag_and_bits_at(data, at)
        self._happened(Confirm(tag, bool(bits & 1), taken))
        return True

    def _header(self, data: bytes, start: int, end: int) -> bool:
        if end - start < SHORTEST_HEADER:
            raise InvalidFrameError(_CUT_SHORT)
        self._about, self._parts = about(data, start, end), []
        (self._missing,) = _size_at(data, start + BEFORE_FLAGS - 8)
        if not self._missing:
            self._finish(b"")
        return True

    def _body(self, part: bytes) -> bool:
        self._missing -= len(part)
        if self._missing > 0:
            self._parts.append(part)
        else:
            self._finish(b"".join([*self._parts, part]) if self._parts else part)
        return True

    def _finish(self, body: bytes) -> None:
        opened, beside = self._open, self._about
        if opened is None or beside is None:
            raise InvalidFrameError("a body without its header")
        self._open, self._parts = None, []
        if isinstance(opened, Basic.Return):
            id_, key, why = beside.message_id, opened.routing_key, opened.reply_text
            self._happened(Returned(id_ or "", key or "", why or ""))
        else:
            headers, id_, type_ = beside
            self._happened(Delivery(*opened, body, headers, id_, type_))
