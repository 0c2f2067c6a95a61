"""JSON as the pollers' upstreams write it, read into the values that an event holds.

Rules
1. There are no floats: a number is the decimal string that was written, an exponent written out.
2. A number is bounded: at most 40 digits, and as many places. More is no quantity and no price.
3. "Not known" has several spellings: a missing field, null, a blank text, an empty object or list.
4. A text stands as it came, white space included. A number where a text is expected is its digits,
   since both upstreams write some of their numbers as texts and the other way round.

Everything here raises `Refused`, and its reasons name fields but quote no value.
"""

import re
from datetime import date
from decimal import Decimal as Exact
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import Raw

from consumer.errors import Refused

T = TypeVar("T")
Node = dict[str, Any]


class Row(NamedTuple):
    """One row of an answer: the upstream's own key of it, and the row as it came."""

    key: str
    content: bytes


_MOST_DIGITS = 40
_DEEPEST = 32

_is_plain = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?").fullmatch
_is_number = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?").fullmatch
_is_day = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch
_is_timestamp = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ][0-9][0-9:.,]*( ?[A-Z+-].*)?"
).fullmatch
_byte = re.compile(r"\(byte \d+\)").search


# --- documents -------------------------------------------------------------------------------


def decode(decoder: "msgspec.json.Decoder[T]", content: bytes | Raw, expected: str) -> T:
    """What the decoder makes of the content; `expected` says in words what that should be."""
    try:
        return decoder.decode(content)
    except msgspec.ValidationError as error:
        too_long = "out of range" in str(error)
        raise Refused("a number of too many digits" if too_long else f"not {expected}") from None
    except msgspec.DecodeError as error:
        raise Refused(_malformed(str(error))) from None
    except UnicodeDecodeError:
        raise Refused("not JSON: bytes that are no UTF-8") from None
    except RecursionError:
        raise Refused("JSON that is nested too deep") from None


def _malformed(message: str) -> str:
    """The message of msgspec in our own words, so that it cannot quote anything."""
    if "truncated" in message:
        return "not JSON: it is cut short"
    place = _byte(message)
    return f"not JSON {place[0]}" if place else "not JSON"


def _written(literal: str) -> str:
    """A number with a point or an exponent, as the decoders find it."""
    number = decimal(literal)
    if number is None:
        raise Refused("a number of too many digits")
    return number


def decoder_of(type_: type[T]) -> "msgspec.json.Decoder[T]":
    """A decoder by the rules above."""
    return msgspec.json.Decoder(type_, float_hook=_written)


_nodes = decoder_of(dict[str, Any])
_raws = msgspec.json.Decoder(list[Raw])


def node(content: bytes | Raw) -> Node:
    """A JSON object, its own to change."""
    return decode(_nodes, content, "a JSON object")


def array(content: bytes) -> list[Raw]:
    """The elements of a JSON array, unread."""
    return decode(_raws, content, "a JSON array")


# --- fields ----------------------------------------------------------------------------------


def decimal(written: str) -> str | None:
    """The number that a text writes, as an event holds it; None where it is none, or too long."""
    if _is_plain(written):
        return written
    if len(written) > _MOST_DIGITS or not _is_number(written):
        return None
    number = Exact(written)
    exponent = number.as_tuple().exponent
    if not (isinstance(exponent, int) and -_MOST_DIGITS <= exponent <= _MOST_DIGITS):
        return None
    plain = format(number, "f")
    return plain if _is_plain(plain) else None


def text(value: object, name: str) -> str | None:
    """A text; None where it is not known."""
    if value is None:
        return None
    if isinstance(value, str):
        return value if value and not value.isspace() else None
    return _digits(value, name, "a text")


def number(value: object, name: str) -> str | None:
    """A quantity or an amount as a decimal string; None where it is not known."""
    if value is None:
        return None
    if not isinstance(value, str):
        return _digits(value, name, "a number")
    if not (said := value.strip()):
        return None
    read = decimal(said)
    if read is None:
        raise Refused(f"{name}: not a number of at most {_MOST_DIGITS} digits")
    return read


def day(value: object, name: str) -> str | None:
    """A date written `YYYY-MM-DD`; None where it is not known."""
    if value is None:
        return None
    said = value.strip() if isinstance(value, str) else "no text"
    if not said:
        return None
    if not (_is_day(said) and is_date(said)):
        raise Refused(f"{name}: not a date written YYYY-MM-DD")
    return said


def day_of(value: object, name: str) -> str | None:
    """A date, or that of a timestamp (`2026-01-05T10:00:00Z`); None where it is not known."""
    if isinstance(value, str) and (found := _is_timestamp(value.strip())):
        value = found[1]
    return day(value, name)


def is_date(said: str) -> bool:
    """Whether the calendar has a day `YYYY-MM-DD`."""
    try:
        date.fromisoformat(said)
    except ValueError:
        return False
    return True


def known(value: Any, *, deepest: int = _DEEPEST) -> Any:
    """A value without what is not known in it, every number a decimal string; None: nothing is."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value if value and not value.isspace() else None
    if isinstance(value, int):
        return _digits(value, "a field", "a number")
    if not deepest:
        raise Refused(f"nested more than {_DEEPEST} deep")
    below = deepest - 1
    if isinstance(value, dict):
        fields = ((name, known(each, deepest=below)) for name, each in value.items())
        return {name: each for name, each in fields if each is not None} or None
    return [
        each for each in (known(one, deepest=below) for one in value) if each is not None
    ] or None


def _digits(value: object, name: str, expected: str) -> str:
    """The digits of a whole number."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refused(f"{name}: not {expected}")
    digits = str(value)
    if not _is_plain(digits):
        raise Refused(f"{name}: a number of more than {_MOST_DIGITS} digits")
    return digits


MOST_BROKEN = 1000
"""Rows of one answer that may make no sense; with more of them the answer itself makes none."""


def too_many_broken(broken: int, rows: int) -> Refused:
    """What an answer is whose rows make no sense, so many of them that nobody counts them all."""
    return Refused(f"more than {broken - 1:,} of {rows:,} rows cannot be read")
