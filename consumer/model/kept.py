"""What the journal holds, and how far each sink is in it."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from consumer.model.arrivals import Problem


class Record(Struct, frozen=True, kw_only=True):
    """An event as the journal holds it. `body` is `Event.encode()`; `origin` the source's name.

    `replay`: it is offered again because a person asked for that. Its body says so too then, by
    the attribute `replay`, so that receivers can tell.
    """

    seq: int
    recorded: datetime
    origin: str
    id: str
    source: str
    type: str
    subject: str
    body: bytes
    replay: bool = False

    @property
    def system(self) -> str:
        """`radial`, `mvet` or `cinx`."""
        return self.source.split("/", 2)[1]

    @property
    def account(self) -> str:
        """The part of the source after the system: a store, a customer account."""
        return self.source.split("/", 2)[2]


class Replay(Struct, frozen=True, kw_only=True):
    """Events that a sink gets once more: those from `start` to `end`, both included.

    `done` is the last sequence number that is behind it, `start - 1` at its beginning. With
    `source` only the events of that configured source.
    """

    start: int
    end: int
    done: int
    source: str | None = None
    requested: datetime

    @property
    def over(self) -> bool:
        """Whether it has come to its end; the journal remembers a sink's last one."""
        return self.done >= self.end


class Cursor(Struct, frozen=True, kw_only=True):
    """How far a sink has read. `oldest_pending` is when the first event after it was recorded.

    `paused` is since when a person has it hold still, `replay` what it gets once more, or got last:
    one that a person ended is forgotten.
    """

    sink: str
    seq: int
    pending: int
    oldest_pending: datetime | None
    parked: int
    paused: datetime | None = None
    replay: Replay | None = None


class Positions(Struct, frozen=True, kw_only=True):
    """The journal's two ends and every cursor. An empty journal has head 0.

    `journal` is what tells this journal from every other one, made at random with it.
    """

    journal: str
    head: int
    oldest: int
    quarantined: int
    cursors: tuple[Cursor, ...]


class Parked(Struct, frozen=True, kw_only=True):
    """An event that a sink refused for good. `retrying`: a person wants it offered once more.

    `record` is None where the journal does not hold the event any more; its body is empty where
    only the list was asked for.
    """

    sink: str
    seq: int
    reason: str
    parked: datetime
    record: Record | None
    retrying: bool = False


class Quarantined(Struct, frozen=True, kw_only=True):
    """A refused payload as the journal holds it. `times` counts how often the same bytes came.

    `position` grows in the order in which payloads first came. `size` is that of the body in
    bytes; `body` is empty where only the list was asked for.
    """

    position: int
    id: str
    source: str
    system: str
    origin: str
    first_seen: datetime
    last_seen: datetime
    times: int
    problems: tuple[Problem, ...]
    attributes: Mapping[str, str]
    size: int
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
