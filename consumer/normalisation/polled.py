"""How the rows of polled upstreams are read: a table from the system to its functions."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Protocol

from msgspec import Struct

from consumer.event import Data
from consumer.model import Problem
from consumer.model import numbered as subject
from consumer.normalisation import cinx, cinx_carry, mvet
from consumer.normalisation.json_values import Row

__all__ = ["POLLED", "Polled", "ReadLine", "Row", "subject"]


class ReadLine(Protocol):
    """What a row says of its line."""

    def __call__(self, row: bytes, *, account: str, detail: bytes | None = None) -> Data:
        """`account` is the part of the event source after the system, as it stands there. `detail`
        is the upstream's detail row as JSON.

        Raises Refused; its reason holds no personal data.
        """
        ...


class Polled(Struct, frozen=True, kw_only=True):
    """The functions of one upstream.

    `rows`: the JSON array of an answer, and the account as for `ReadLine`, to good rows in their
    order and problems of the others; raises Refused where it is no JSON array. Reads no more than
    keys, and is quick.

    `carry`: data that was read without a detail, with what only a detail can tell carried over from
    an earlier event's. Where parties are hashed or left out, both are given as the settings let
    them be kept now: what is compared has to be hashed alike.

    `over`: whether a detail says that its line is over; False too where that cannot be read, and
    then `line` refuses that detail.
    """

    rows: Callable[[bytes, str], tuple[list[Row], list[Problem]]]
    line: ReadLine
    carry: Callable[[Data, Data], Data]
    over: Callable[[bytes], bool]


POLLED: Mapping[str, Polled] = MappingProxyType(
    {
        "mvet": Polled(rows=mvet.rows, line=mvet.line, carry=mvet.carry, over=mvet.over),
        "cinx": Polled(rows=cinx.rows, line=cinx.line, carry=cinx_carry.carry, over=cinx.over),
    }
)
