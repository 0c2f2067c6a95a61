"""The ports of repair: what a person can have done to what went wrong.

Two sides. `RepairableJournal` keeps what is asked, durably, and hands it to the part that does it;
`consumer.journal` implements it. `Repairs` is what commands and the admin API call: on a journal at
rest `consumer.workshop` answers, beside a running daemon `consumer.remote` asks that daemon.

What is asked of a sink (hold still, take events again) is an *order*: it is written down in the
journal and carried out by the sink's pump, now or when the daemon runs the next time.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

from msgspec import Struct

from consumer.model import Entry, Outcome, Parked, Problem, Replay
from consumer.ports import Journal

# --- what is asked, and what came of it ------------------------------------------------------


class Range(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What to send again: from a sequence number or a moment on, to a sequence number, both
    included. Without `end` it goes as far as the sink has come; what lies beyond that it gets
    anyway. With `source` only the events of that configured source.
    """

    start: int | None = None
    since: datetime | None = None
    end: int | None = None
    source: str | None = None

    def __post_init__(self) -> None:
        if (self.start is None) == (self.since is None):
            raise ValueError("give either a sequence number or a moment to begin with")
        if self.since is not None and self.since.tzinfo is None:
            raise ValueError("the moment needs a time zone, such as 2026-11-22T08:00:00Z")
        first = self.start or 0
        if first < 0 or (self.end is not None and self.end < first):
            raise ValueError("the end must not lie before the start, which is 0 or more")


class Retried(Struct, frozen=True, kw_only=True):
    """What became of one quarantined payload that was tried again.

    `accepted`: it is understood now, and out of quarantine; `events` of it are new, `duplicates`
    the journal held already. `refused`: it stays, for `problems`. `divided`: a list of which some
    is understood now; what is not is in quarantine under ids of its own, `parts`, in its place.
    `unknown`: no such payload is in quarantine (any more). `polled`: it came from an upstream that
    is polled, and that says at each poll what is true now; what it said once is not told any more.
    """

    id: str
    result: Literal["accepted", "refused", "divided", "unknown", "polled"]
    events: int = 0
    duplicates: int = 0
    parts: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


class Orders(Struct, frozen=True, kw_only=True):
    """What persons want of a sink at present. `retrying` counts parked events to offer again."""

    paused: datetime | None = None
    replay: Replay | None = None
    retrying: int = 0


# --- the journal's side ----------------------------------------------------------------------


class RepairableJournal(Journal, Protocol):
    """A journal that can be repaired. Every verb is one synced commit, all or nothing, and raises
    `JournalUnavailable` as those of `Journal` do; for a sink without a cursor `Refused`.
    """

    # Quarantine.

    async def readmit(self, entries: Mapping[str, Entry]) -> Mapping[str, Outcome]:
        """Append what quarantined payloads, by id, have become, and take these out of quarantine.

        An id that is not in quarantine (any more) is left out, and nothing of its entry is kept:
        two persons who retry the same payload add its events once. A refusal of an entry with the
        id itself keeps that payload where it is, with the new problems; it did not come once more.
        Refusals of other bytes, parts of it, take its place: first and last seen when it was.

        The state of an order line (`backorders`) is left as it is where it is that of a later fact
        (by the events' times): what comes out of quarantine is old.
        """
        ...

    async def discard_quarantined(self, ids: Sequence[str]) -> int:
        """Remove payloads for good; how many. Raises `Refused`, and nothing is removed, where one
        of them is not there.
        """
        ...

    # Sinks.

    async def pause(self, sink: str, *, paused: bool) -> None:
        """Have a sink hold still, or go on. Saying the same twice changes nothing."""
        ...

    async def replay(self, sink: str, wanted: Range) -> Replay:
        """Write down that a sink gets events again, of those that it has passed and that are held.

        Where it ends at the cursor, `advance` moves its end along in the same commit: what the sink
        has in hand at present comes once more, behind what is older. Raises `Refused` where the
        sink is replaying already, or where there is nothing to send again.
        """
        ...

    async def end_replay(self, sink: str) -> Replay | None:
        """Forget a sink's replay, wherever it is; returns it, or None where none is under way."""
        ...

    async def retry_parked(self, sink: str, seqs: Sequence[int] | None) -> int:
        """Mark parked events (None: all) to be offered once more; how many are marked now of these.

        Raises `Refused`, and none is marked, where one of `seqs` is not parked. An event that is
        gone from the journal cannot be offered and stays as it is.
        """
        ...

    async def discard_parked(self, sink: str, seqs: Sequence[int] | None) -> int:
        """Take events (None: all) out of the park for good; how many were there. Raises `Refused`,
        and nothing is done, where one of `seqs` is not parked.
        """
        ...

    # The pump's side.

    async def orders(self, sink: str) -> Orders:
        """What is asked of a sink now."""
        ...

    async def retrying(self, sink: str, *, limit: int, max_bytes: int) -> Sequence[Parked]:
        """The parked events of a sink to offer once more, oldest first, each with its record: as
        many as fit into `max_bytes`, and one in any case.
        """
        ...

    async def redelivered(
        self,
        sink: str,
        delivered: Sequence[int],
        refused: Mapping[int, str],
        *,
        replayed: Replay | None = None,
    ) -> None:
        """Write down what became of events that were offered again.

        What was delivered leaves the park, if it was in it; what was refused is parked with its
        new reason, and not marked for a retry any more. `replayed` is the sink's replay as it was
        read, with `done` moved on: that is how far it has come, and at its end it is over. Where
        it was ended meanwhile, or is another one by now, that changes nothing about replays.

        Without it these were parked events: one that a person discarded meanwhile is not parked
        once more.
        """
        ...


# --- the person's side -----------------------------------------------------------------------


class Repairs(Protocol):
    """What commands and the admin API do. Every verb raises `Refused` for what cannot be done as
    asked (no such sink, nothing to replay), `Unavailable` where it could not be done now.
    """

    async def retry_quarantined(self, ids: Sequence[str]) -> Sequence[Retried]:
        """Try quarantined payloads again with the schemas and the code of now, one after the other.

        A result for each id, in order.
        """
        ...

    async def discard_quarantined(self, ids: Sequence[str]) -> int:
        """Remove payloads from quarantine for good; how many. `Refused`, and nothing is removed,
        where one of them is not there.
        """
        ...

    async def retry_parked(self, sink: str, seqs: Sequence[int] | None) -> int:
        """Have parked events (None: all of the sink) offered once more; how many."""
        ...

    async def discard_parked(self, sink: str, seqs: Sequence[int] | None) -> int:
        """Take parked events (None: all of the sink) out for good; how many."""
        ...

    async def pause(self, sink: str) -> None:
        """Have a sink hold still, from the end of what it has in hand, across restarts too."""
        ...

    async def resume(self, sink: str) -> None:
        """Have a paused sink go on."""
        ...

    async def replay(self, sink: str, wanted: Range) -> Replay:
        """Have a sink take events again, marked as a replay, before it goes on with new ones."""
        ...

    async def end_replay(self, sink: str) -> Replay | None:
        """End a sink's replay where it is; None where there was none."""
        ...
