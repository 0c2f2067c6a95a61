"""What comes over a connection, in whatever pieces: who gets which frame, and in which order."""

import asyncio
import struct
from collections.abc import Sequence
from itertools import pairwise

import pamqp.frame
import pytest
from aiormq.exceptions import InvalidFrameError
from hypothesis import given
from hypothesis import strategies as st
from pamqp.body import ContentBody
from pamqp.commands import Basic, Channel
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat

from consumer.amqp.channel import Confirm, Delivery, Happening, Inlet, Returned
from consumer.amqp.lenient import LenientReader

OURS, ANOTHER = 1, 2


def frames(*parts: pamqp.frame.FrameTypes, channel: int = OURS) -> bytes:
    return b"".join(pamqp.frame.marshal(part, channel) for part in parts)


def raw(kind: int, payload: bytes, end: bytes = b"\xce") -> bytes:
    return struct.pack(">BHI", kind, OURS, len(payload)) + payload + end


def message(
    opening: Basic.Deliver | Basic.Return, *bodies: bytes, size: int | None = None
) -> bytes:
    size = sum(map(len, bodies)) if size is None else size
    header = ContentHeader(body_size=size, properties=Basic.Properties(message_id="m"))
    return frames(opening, header, *map(ContentBody, bodies))


def deliver(tag: int, *, redelivered: bool = False) -> Basic.Deliver:
    return Basic.Deliver("me", tag, redelivered, "an-exchange", "a.key")


def delivery(tag: int, body: bytes, *, redelivered: bool = False) -> Delivery:
    return Delivery(tag, redelivered, body, {}, "m", None)


RETURN = Basic.Return(312, "NO_ROUTE", "an-exchange", "a.key")
RETURNED = Returned("m", "a.key", "NO_ROUTE")

# What the broker says, and what is told of it; None: that is the driver's.
SAID: Sequence[tuple[bytes, Happening | None]] = [
    (message(deliver(1), b"one"), delivery(1, b"one")),
    (message(deliver(2, redelivered=True), b"tw", b"o"), delivery(2, b"two", redelivered=True)),
    (message(deliver(3)), delivery(3, b"")),
    (message(deliver(1 << 40), b"x" * 5000, b"y"), delivery(1 << 40, b"x" * 5000 + b"y")),
    (message(RETURN, b"gone"), RETURNED),
    (frames(Basic.Ack(4, multiple=False)), Confirm(4, multiple=False, taken=True)),
    (frames(Basic.Ack(5, multiple=True)), Confirm(5, multiple=True, taken=True)),
    (frames(Basic.Nack(6, multiple=True)), Confirm(6, multiple=True, taken=False)),
    (frames(Channel.OpenOk()), None),
    (frames(Basic.ConsumeOk("me")), None),
    (frames(Heartbeat(), channel=0), None),
    (frames(Basic.Ack(7), channel=ANOTHER), None),
]


class Ears:
    """Hears what channel `OURS` is told, and reads frames as the driver does."""

    def __init__(self, *pieces: bytes) -> None:
        self.heard: list[Happening | bytes] = []
        inlet = Inlet(self.heard.append)
        source = asyncio.StreamReader()
        self.reader = LenientReader(source, {OURS: inlet}.get)
        for piece in pieces:
            source.feed_data(piece)
        source.feed_eof()

    async def listen(self) -> list[Happening | bytes]:
        """Everything in its order; frames that are the driver's as they are."""
        while not self.reader.at_eof():
            try:
                head = await self.reader.readexactly(1)
            except asyncio.IncompleteReadError:
                break
            head += await self.reader.readexactly(6)
            length = int.from_bytes(head[3:])
            self.heard.append(head + await self.reader.readexactly(length + 1))
        return self.heard


@given(
    said=st.lists(st.sampled_from(SAID), max_size=12),
    cuts=st.lists(st.integers(min_value=0, max_value=20_000), max_size=12),
)
async def test_in_whatever_pieces_it_comes_each_gets_its_own_in_order(
    said: Sequence[tuple[bytes, Happening | None]], cuts: Sequence[int]
) -> None:
    stream = b"".join(data for data, _ in said)
    places = [0, *sorted(cuts), len(stream)]
    pieces = [stream[a:b] for a, b in pairwise(places)]
    heard = await Ears(*pieces).listen()
    assert heard == [data if told is None else told for data, told in said]


async def test_octet_by_octet_is_the_same() -> None:
    stream = b"".join(data for data, _ in SAID[:3])
    heard = await Ears(*(bytes([octet]) for octet in stream)).listen()
    assert heard == [told for _, told in SAID[:3]]


async def test_a_message_that_another_breaks_into_is_lost_and_the_other_is_not() -> None:
    """As no broker sends them: what was begun is never taken for whole."""
    stream = message(deliver(1), b"on", size=3) + message(deliver(2), b"two")
    assert await Ears(stream).listen() == [delivery(2, b"two")]


@pytest.mark.parametrize(
    "stream",
    [
        raw(1, struct.pack(">I", Basic.Deliver.index) + b"\x02me\0\0\0"),
        frames(Heartbeat(), channel=0) + raw(1, struct.pack(">I", Basic.Deliver.index)),
        raw(1, struct.pack(">IBQBBB", Basic.Deliver.index, 0, 1, 0, 0, 9)) + bytes(20),
        raw(1, struct.pack(">I", Basic.Ack.index) + bytes(8)) + frames(Heartbeat(), channel=0),
        raw(1, struct.pack(">I", Basic.Return.index) + b"\0"),
        frames(deliver(1)) + raw(2, struct.pack(">HHQ", 60, 0, 1)),
        frames(deliver(1), ContentBody(b"x")),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"AMQP\0\0\x09\x01",
    ],
    ids=["tag", "nothing", "key", "ack", "return", "header", "body", "http", "protocol"],
)
async def test_what_no_broker_sends_ends_the_connection(stream: bytes) -> None:
    ears = Ears(stream)
    with pytest.raises(InvalidFrameError):
        await ears.listen()
    assert all(isinstance(heard, bytes) for heard in ears.heard)


async def test_a_frame_that_ends_otherwise_is_the_drivers_to_refuse() -> None:
    method = struct.pack(">IQB", Basic.Ack.index, 1, 0)
    broken = raw(1, method, end=b"\0")
    assert await Ears(broken).listen() == [broken]


async def test_what_begins_with_zero_is_told_at_once() -> None:
    """The driver asks for whatever else there is, and gives up."""
    ears = Ears(raw(0, b"nonsense"))
    assert await ears.reader.readexactly(1) + await ears.reader.read() == raw(0, b"nonsense")


async def test_a_frame_longer_than_agreed_is_not_waited_for() -> None:
    body = frames(ContentBody(bytes(2000)), channel=ANOTHER)
    ears = Ears(body)
    ears.reader.longest = 2000
    assert await ears.listen() == [body]
    ears = Ears(body[:10])
    ears.reader.longest = 1999
    with pytest.raises(InvalidFrameError, match="longer than was agreed on"):
        await ears.listen()
