"""What the admin listener can be asked: the types of paths, queries and bodies, and reading them.

Rules
1. Everything is bounded: numbers to 63 bits (SQLite's integers), lists, pages, the length of texts.
2. Nothing is guessed: a parameter that is unknown or given twice, a number that is not written as
   one, a body that is not JSON in UTF-8, is refused.
3. What is refused is named by its place and its type, never quoted.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from consumer.admin.answers import Rejection
from consumer.errors import Refused
from consumer.repair import Range
from consumer.settings import Name

_MOST_IDS = 100
_MOST_SEQS = 1000
_MOST_PARAMETERS = 8
_LARGEST = (1 << 63) - 1
_SHORT_NAME = re.compile("[A-Za-z_]{1,40}").fullmatch

Question = TypeVar("Question", bound=Struct)

Number = Annotated[int, Meta(ge=0, le=_LARGEST)]
Limit = Annotated[int, Meta(ge=1, le=1000, description="the most items to return")]
PayloadId = Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]
Seqs = Annotated[
    tuple[Number, ...],
    Meta(min_length=1, max_length=_MOST_SEQS, description="sequence numbers of events"),
]
Ids = Annotated[tuple[PayloadId, ...], Meta(min_length=1, max_length=_MOST_IDS)]


class Asked(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all of these have in common: no more may be said than is understood."""


# --- paths -----------------------------------------------------------------------------------


class OneSink(Asked, frozen=True, kw_only=True):
    """A sink by its name in the configuration."""

    sink: Name


class OnePayload(Asked, frozen=True, kw_only=True):
    """A quarantined payload by its whole id."""

    id: PayloadId


class OneParked(Asked, frozen=True, kw_only=True):
    """A parked event by its sink and its sequence number in the journal."""

    sink: Name
    seq: Number


# --- queries ---------------------------------------------------------------------------------


class QuarantineQuery(Asked, frozen=True, kw_only=True):
    """Which payloads: `prefix` is how their ids begin, `after` the `next` of the page before."""

    prefix: Annotated[str, Meta(pattern="^[0-9a-f]{1,16}$")] | UnsetType = UNSET
    after: Number = 0
    limit: Limit = 100


class ParkQuery(Asked, frozen=True, kw_only=True):
    """Which parked events: those of one `sink`; `after` is the `next` of the page before."""

    sink: Name | UnsetType = UNSET
    after: (
        Annotated[str, Meta(pattern=r"^[0-9]{1,18},[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")] | UnsetType
    ) = UNSET
    limit: Limit = 100

    @property
    def behind(self) -> tuple[int, str]:
        """`after` as the journal takes it."""
        if self.after is UNSET:
            return 0, ""
        seq, _, sink = self.after.partition(",")
        return int(seq), sink


# --- bodies ----------------------------------------------------------------------------------


class Nothing(Asked, frozen=True, kw_only=True):
    """An empty object: there is nothing more to say."""


class Payloads(Asked, frozen=True, kw_only=True):
    """Quarantined payloads by their whole ids."""

    ids: Ids


class ParkedOfSink(Asked, frozen=True, kw_only=True):
    """Parked events of one sink, by sequence number; null means all of them, and has to be said."""

    sink: Name
    seqs: Seqs | None


class ReplayRange(Asked, frozen=True, kw_only=True):
    """What to send again: from a sequence number `start` or a moment `since` on (one of the two),
    to a sequence number `end`, both included; of one configured `source`, or of all.
    """

    start: Number | UnsetType = UNSET
    since: Annotated[datetime, Meta(tz=True)] | UnsetType = UNSET
    end: Number | UnsetType = UNSET
    source: Name | UnsetType = UNSET

    def __post_init__(self) -> None:
        if (self.start is UNSET) == (self.since is UNSET):
            raise ValueError("give either start or since")
        if self.start is not UNSET and self.end is not UNSET and self.end < self.start:
            raise ValueError("the end must not lie before the start")

    @property
    def wanted(self) -> Range:
        """The same as the journal takes it; `Refused` where it makes no sense."""
        given = msgspec.structs.asdict(self)
        try:
            if self.since is not UNSET:
                given["since"] = self.since.astimezone(UTC)
            return Range(**{name: value for name, value in given.items() if value is not UNSET})
        except OverflowError as error:
            raise Refused("this moment does not exist in UTC") from error
        except ValueError as error:
            raise Refused(str(error)) from error


# --- reading them ----------------------------------------------------------------------------


def read_path(type_: type[Question], parts: Mapping[str, str]) -> Question:
    """What stands in the variable parts of a path; what cannot be there, is not there."""
    try:
        return msgspec.convert(_numbered(type_, parts), type_)
    except msgspec.ValidationError as error:
        raise Rejection(HTTPStatus.NOT_FOUND, "there is nothing of that name") from error


def read_query(type_: type[Question], query: str) -> Question:
    """The parameters of a query string, each given at most once."""
    try:
        pairs = parse_qsl(
            query,
            keep_blank_values=True,
            strict_parsing=bool(query),
            errors="strict",
            max_num_fields=_MOST_PARAMETERS,
        )
    except ValueError as error:  # UnicodeError is one
        raise _malformed("the query cannot be read") from error
    given = dict(pairs)
    if not all(text.isprintable() for text in given.values()):
        raise _malformed("the query holds control characters")
    if len(given) < len(pairs):
        raise _malformed("a parameter of the query is given more than once")
    try:
        return msgspec.convert(_numbered(type_, given), type_)
    except msgspec.ValidationError as error:
        raise _malformed(_told(error)) from error


def read_body(type_: type[Question], body: bytes) -> Question:
    """A JSON document; that there is nothing to say may be said by nothing."""
    try:
        document = _json.decode(body or (b"{}" if type_ is Nothing else b""))
        return msgspec.convert(document, type_)
    except msgspec.ValidationError as error:
        raise _malformed(_told(error)) from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _malformed("the body is not JSON in UTF-8") from error


def split_path(raw: str) -> Sequence[str] | None:
    """The decoded parts of a path; None where it is none, or no text that a name could hold."""
    try:
        parts = [unquote_to_bytes(part).decode() for part in raw.split("/")]
    except UnicodeError:
        return None
    plain = raw.isascii() and all(part.isprintable() for part in parts)
    return parts[1:] if plain and not parts[0] else None


def _whole(text: str) -> int | float:
    """A number with a point or an exponent: 5.0 is an integer (JSON Schema 2020-12, 6.1.1)."""
    value = float(text)
    return int(value) if value.is_integer() and abs(value) <= _LARGEST else value


_json = msgspec.json.Decoder(float_hook=_whole)


def _numbered(type_: type[Struct], given: Mapping[str, str]) -> Mapping[str, Any]:
    """Texts as their types are, so far as they are written in the one way a number is written."""
    numbers = _numbers(type_)
    return {
        name: int(text) if name in numbers and _is_number(text) else text
        for name, text in given.items()
    }


@cache
def _numbers(type_: type[Struct]) -> frozenset[str]:
    """The fields that hold a number."""
    fields = msgspec.structs.fields(type_)
    return frozenset(
        field.name for field in fields if msgspec.json.schema(field.type).get("type") == "integer"
    )


def _is_number(text: str) -> bool:
    longest = len(str(_LARGEST))
    digits = text.isascii() and text.isdigit() and len(text) <= longest
    return digits and (text == "0" or text[0] != "0")


def _told(error: msgspec.ValidationError) -> str:
    """Why: msgspec names places and types, and of what was sent only fields it does not know."""
    text = str(error)
    unknown = re.match("Object contains unknown field `(.*)`", text, re.DOTALL)
    return text if not unknown or _SHORT_NAME(unknown[1]) else "there is a field that is not known"


def _malformed(detail: str) -> Rejection:
    return Rejection(HTTPStatus.BAD_REQUEST, detail)
