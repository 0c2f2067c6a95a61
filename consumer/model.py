"""The other nouns of the program: what arrives, and what is kept of it.

Message   theirs: bytes that an upstream sent, with where they came from.
Entry     what became of one message; the unit that the journal commits.
Record    an event (`consumer.event`) as the journal holds it, with its sequence number.
Scope     lines that a poller sees together (one account, one organisation); `Watch` and `Watched`
          are what a poll makes known about one, and what the journal knows of it.

Values are frozen and cannot be built invalid. Moments are aware datetimes here.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct

from consumer.event import Event

System = Literal["radial", "mvet", "cinx"]


def utc_now() -> datetime:
    """The present moment, aware."""
    return datetime.now(UTC)


# --- what pollers know -----------------------------------------------------------------------


MARK = "#"  # no natural key holds one (`consumer.normalisation.polled`)


def numbered(key: str, occurrence: int = 1) -> str:
    """The subject of the nth line with one natural key: `key`, `key#2` and so on."""
    return key if occurrence == 1 else f"{key}{MARK}{occurrence}"


class Known(Struct, frozen=True):
    """What is known of one line that a poller has told.

    `digest` is that of the upstream's row as it was last looked at; empty: look at it again
    whatever it says. `revision` is the number of the line's newest fact, which its id is made with:
    the first one has the scope's floor as it was then (`Watched.floor`), each one more than that
    before it. One below the floor: it was over before anything was told of it.

    `view` is how the poller that saw it last looks at the scope (`Scope.view`). A line that two
    pollers see in two views belongs to whichever saw it last, so each of their polls writes it.
    """

    digest: bytes
    revision: int
    view: str
    ended: bool = False


class Watch(Struct, frozen=True, kw_only=True):
    """What a poll makes known about a scope, committed together with the events of its entry.

    `source` is the CloudEvents attribute. `lines` are those that were looked at, by subject: those
    of the entry's events, and others that said nothing new. `held` replaces the subjects that are
    missing and held (`consumer.snapshot`); None leaves them as they are.

    The scope belongs to the configured source of the entry's message from then on, and so do its
    lines: a source that was given another name takes them along.
    """

    source: str
    view: str
    lines: Mapping[str, Known] = {}
    held: frozenset[str] | None = None


class Watched(Struct, frozen=True, kw_only=True):
    """What the journal knows of a scope. `floor` is the revision that a new line begins with,
    `origin` the name of the source that polled it last; None: it was never polled.
    """

    lines: Mapping[str, Known] = {}
    held: frozenset[str] = frozenset()
    floor: int = 0
    origin: str | None = None


class Scope(Struct, frozen=True, kw_only=True):
    """Lines that a poller sees together.

    `source` is the CloudEvents attribute (`/mvet/0002789`), `origin` the name of the configured
    source. `view` is a short digest of how it is looked at (address, filters): a line that was seen
    in another view is not missing because it is not in this one.

    Where more than `hold_count` lines, and more than `hold_share` of them (0 to 1), or all of them
    are missing at once, that is not believed until a second complete answer agrees; with a share of
    1 it always is.
    """

    source: str
    origin: str
    system: System
    view: str
    hold_share: float = 0.5
    hold_count: int = 20


class ScopeCount(Struct, frozen=True, kw_only=True):
    """How many lines of a scope are open, by who polled it last (`origin`) and in which view."""

    source: str
    origin: str
    view: str
    open: int


# --- what arrives and what becomes of it -----------------------------------------------------

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
    watch: "Watch | None" = None


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


class Record(Struct, frozen=True, kw_only=True):
    """An event as the journal holds it. `body` is `Event.encode()`; `origin` the source's name."""

    seq: int
    recorded: datetime
    origin: str
    id: str
    source: str
    type: str
    subject: str
    body: bytes

    @property
    def system(self) -> str:
        """`radial`, `mvet` or `cinx`."""
        return self.source.split("/", 2)[1]

    @property
    def account(self) -> str:
        """The part of the source after the system: a store, a customer account."""
        return self.source.split("/", 2)[2]


class Cursor(Struct, frozen=True, kw_only=True):
    """How far a sink has read. `oldest_pending` is when the first event after it was recorded."""

    sink: str
    seq: int
    pending: int
    oldest_pending: datetime | None
    parked: int


class Positions(Struct, frozen=True, kw_only=True):
    """The journal's two ends and every cursor. An empty journal has head 0."""

    head: int
    oldest: int
    quarantined: int
    cursors: tuple[Cursor, ...]


class Parked(Struct, frozen=True, kw_only=True):
    """An event that a sink refused for good."""

    sink: str
    seq: int
    reason: str
    parked: datetime
    record: Record | None


class Quarantined(Struct, frozen=True, kw_only=True):
    """A refused payload as the journal holds it. `times` counts how often the same bytes came."""

    id: str
    source: str
    system: str
    origin: str
    first_seen: datetime
    last_seen: datetime
    times: int
    problems: tuple[Problem, ...]
    attributes: Mapping[str, str]
    body: bytes


class Backorder(Struct, frozen=True, kw_only=True):
    """The present state of one order line; holds no personal data. `ended` is None while it lasts.

    `since` is when the journal first saw the line on backorder, `updated` the last event's time.
    Texts are those of the last event, but end before a NUL character, if they have one.
    """

    source: str
    subject: str
    origin: str
    type: str
    order: str | None
    line: str | None
    item: str | None
    description: str | None
    quantity: str | None
    delay: str | None
    expected: str | None
    since: datetime
    updated: datetime
    ended: datetime | None
    seq: int
