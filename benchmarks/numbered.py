"""Messages that can be told apart at the other end: a message's place is its order's number.

They are those of `feed` otherwise: one order, one line, 2.2 kB. As an order of its own each is a
fact of its own, however many there are; and they are made in no time, of a few hundred.
"""

import re
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from benchmarks import feed

_PATTERNS = 500
_number = re.compile(rb'customerOrderId="[0-9]+"')


class _Order(Struct):
    number: str


class _Data(Struct):
    order: _Order


class _Event(Struct):
    data: _Data


_event = msgspec.json.Decoder(_Event)


def numbered(number: int, *, first: int = 0) -> Sequence[bytes]:
    """So many messages, of the orders `first`, `first` + 1 and so on."""
    patterns = [_split(body) for body in feed.messages(min(number, _PATTERNS))]
    messages = []
    for place in range(first, first + number):
        before, behind = patterns[place % len(patterns)]
        messages.append(b'%bcustomerOrderId="%012d"%b' % (before, place, behind))
    return messages


def place(event: bytes) -> int:
    """The place of the message that an event came of, from its JSON."""
    return int(_event.decode(event).data.order.number)


def _split(body: bytes) -> tuple[bytes, bytes]:
    before, behind = _number.split(body)
    return before, behind
