"""What arrives, and what becomes of it before it is kept."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct

from consumer.event import Event
from consumer.model.scopes import System, Watch


def utc_now() -> datetime:
    """The present moment, aware."""
    return datetime.now(UTC)


Unwanted = Literal["acknowledge", "quarantine"]


class Message(Struct, frozen=True, kw_only=True):
    """Bytes that an upstream sent.

    `source` is the name from the configuration, `origin` says where exactly (a queue, a path).
    `on_test` and `on_other_type` say what to do with messages that are no back-orders at all.
    `attributes` keeps what the transport said and may matter to a person (redelivered, x-death).
    """

    body: bytes
    source: str
    system: System
    received: datetime
    origin: str = ""
    traceparent: str | None = None
    on_test: Unwanted = "acknowledge"
    on_other_type: Unwanted = "quarantine"
    attributes: Mapping[str, str] = {}

    def __post_init__(self) -> None:
        if self.received.tzinfo is None:
            raise ValueError("received must be an aware datetime")


class Problem(Struct, frozen=True, kw_only=True):
    """One reason why something was refused. Never quotes personal data.

    `line` and `column` count from 1; `path` is an XPath or JSON path.
    """

    reason: str
    line: int | None = None
    column: int | None = None
    path: str | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.line, self.column) if part is not None)
        return ": ".join(part for part in (place, self.path, self.reason) if part)


class Refusal(Struct, frozen=True, kw_only=True):
    """A payload, or one event of a list, that could not be understood; its bytes are kept."""

    body: bytes
    problems: tuple[Problem, ...]

    @property
    def id(self) -> str:
        """The same bytes are the same refusal, however often they are redelivered."""
        return hashlib.sha256(self.body).hexdigest()[:16]


Kind = Literal["backorder", "test", "other"]


class Entry(Struct, frozen=True, kw_only=True):
    """What became of one message: the unit that the journal commits.

    A test message, or one of another event type, that is acknowledged has neither events nor
    refusals. `unreadable`: it is not even XML that can be parsed, and is refused whole. `watch` is
    what a poll makes known beside its events.
    """

    message: Message
    kind: Kind = "backorder"
    events: tuple[Event, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    unreadable: bool = False
    watch: Watch | None = None


class Outcome(Struct, frozen=True, kw_only=True):
    """What the journal did with one entry; it exists only once that is synced to disk.

    `kind` tells test messages and other event types, which were acknowledged as configured, from
    back-orders. `problems` are the reasons of everything that was quarantined. `unreadable` as the
    entry says.
    """

    kind: Kind = "backorder"
    accepted: int = 0
    duplicates: int = 0
    quarantined: int = 0
    problems: tuple[Problem, ...] = ()
    unreadable: bool = False
