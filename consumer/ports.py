"""The ports: what a source, a journal and a sink promise. These docstrings are the contract.

Adapters signal, runners decide. A source or a sink neither retries, counts metrics nor reads
payloads; it raises `Unavailable`, or returns what is refused, and the one runner (intake,
dispatcher) decides what follows. The suites in `consumer.testing` check these promises on any
implementation.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol, Self

from msgspec import Struct

from consumer.model import (
    Backorder,
    Entry,
    Message,
    Outcome,
    Parked,
    Positions,
    Quarantined,
    Record,
    ScopeCount,
    Watched,
)
from consumer.survey import Surveys

# --- what a part may say about itself --------------------------------------------------------


class Status(Protocol):
    """Where a source or a sink tells how it is; shown by `/readyz`, metrics and the log.

    Saying the same twice is free. `reason` never carries a secret.
    """

    def up(self, note: str = "") -> None:
        """The link to the other side works; `note`: what a person should know all the same."""
        ...

    def down(self, reason: str) -> None:
        """The link does not work; the adapter keeps trying."""
        ...

    def note(self, note: str) -> None:
        """What a person should know, whatever the link is like; an empty text: nothing any more."""
        ...


# --- sources ---------------------------------------------------------------------------------


class Intake(Protocol):
    """What a source hands messages to."""

    async def accept(self, messages: Sequence[Message]) -> Awaitable[Sequence[Outcome]]:
        """Understand messages and queue them for one durable commit.

        Returns once they are understood and on their way to the journal, in the order of the calls;
        a caller that wants order awaits one call before it makes the next. Awaiting what is
        returned waits for the commit and gives an outcome for each message: **only then may they
        be settled**. It raises `JournalUnavailable` where the journal cannot commit; nothing was
        kept then.
        """
        ...

    async def accept_patiently(self, messages: Sequence[Message]) -> Awaitable[Sequence[Outcome]]:
        """The same for a source that can wait: the commit is retried until it succeeds."""
        ...


class Reply(Struct, frozen=True, kw_only=True):
    """What a webhook answers: `status` and a JSON document; `retry_after` in seconds."""

    status: int
    document: object
    retry_after: float | None = None


class Posted(Struct, frozen=True, kw_only=True):
    """A request as the public listener read it: authenticated, bounded and decompressed."""

    body: bytes
    content_type: str
    traceparent: str | None
    attributes: Mapping[str, str]


class Webhooks(Protocol):
    """The public listener: a source registers its path here before it is opened."""

    def route(self, path: str, handler: Callable[[Posted], Awaitable[Reply]]) -> None:
        """Answer POSTs to `path` with what `handler` returns. A path is taken once."""
        ...


class Ground(Struct, frozen=True, kw_only=True):
    """What a source stands on while it runs."""

    intake: Intake
    status: Status
    webhooks: Webhooks
    surveys: Surveys


class Source(Protocol):
    """Where messages come from. Built from its name and its options; building connects nothing."""

    name: str

    async def run(self, ground: Ground) -> None:
        """Take messages until `stop` is called; return when all that were taken are settled.

        What it wants of `ground.webhooks` it registers before its first await.

        Reconnects by itself and says so through `ground.status`. Raising ends the daemon. On
        cancellation it drops its connections; what was not settled then arrives again.
        """
        ...

    def stop(self) -> None:
        """Take nothing new from now on. Never waits; may be called before or after `run`."""
        ...

    async def check(self) -> Sequence[str]:
        """Reach the upstream without consuming or changing anything, within a few seconds.

        Returns what was found, a line each (for `check --connect`); raises `Unavailable` or
        `Refused` with what exactly is wrong and what to do about it.
        """
        ...


class Poller(Source, Protocol):
    """A source that asks instead of being told, and can be made to ask now."""

    async def poll(self, ground: Ground) -> str:
        """One round over all its scopes; what a person should know about it, or an empty text.

        Raises `Unavailable` or `Refused` where a scope could not be polled, or its answer was not
        whole; the other scopes have had their turn then, unless credentials were denied.
        """
        ...


# --- the journal -----------------------------------------------------------------------------


class Journal(Protocol):
    """The ordered, durable log of events. Opened by its implementation's own constructor.

    Every verb raises `JournalUnavailable` where the storage fails, and works again by itself when
    the storage does.
    """

    async def append(self, entries: Sequence[Entry]) -> Sequence[Outcome]:
        """Commit and sync events, refusals, the state of order lines, and what polls make known
        (`Entry.watch`), all or nothing.

        An outcome for each entry, in order. An event whose id the journal holds is a duplicate,
        and changes nothing. Concurrent calls share a commit; sequence numbers follow call order.
        """
        ...

    async def read(
        self, after: int, *, limit: int, max_bytes: int = 16_777_216, source: str | None = None
    ) -> Sequence[Record]:
        """Committed events with a sequence above `after`, in order; at least one if there is one.

        Gaps in the sequence are possible; an event never appears later below a sequence already
        read. `source` keeps those of one configured source.
        """
        ...

    async def positions(self) -> Positions:
        """Both ends of the journal and the cursor of every sink it knows."""
        ...

    async def enroll(self, sinks: Mapping[str, bool]) -> Mapping[str, int]:
        """Make sure each named sink has a cursor and return them all.

        True: a sink that is new starts at the oldest event; False: at the present head.
        """
        ...

    async def advance(self, sink: str, seq: int, refused: Mapping[int, str]) -> None:
        """Durably move a sink's cursor to `seq`; in the same commit park what it `refused`.

        `refused` maps sequence numbers to reasons.
        """
        ...

    async def quarantined(
        self, id_prefix: str = "", *, limit: int = 1000, after: int = 0, bodies: bool = True
    ) -> Sequence[Quarantined]:
        """Refused payloads behind the position `after`, oldest first; with a prefix those whose id
        starts with it. Without `bodies` they are left out: together they can be large.
        """
        ...

    async def parked(
        self,
        sink: str | None = None,
        *,
        limit: int = 1000,
        after: tuple[int, str] = (0, ""),
        bodies: bool = True,
    ) -> Sequence[Parked]:
        """Events that a sink refused for good, in the order of sequence number and sink, behind
        such a pair. Without `bodies` their records' are left out: together they can be large.
        """
        ...

    async def backorders(
        self, *, source: str | None = None, ended: bool = False, limit: int = 1000
    ) -> Sequence[Backorder]:
        """Order lines now on backorder, longest first; with `ended` the ended ones too."""
        ...

    async def watched(self, source: str) -> Watched:
        """All that is known of a scope's lines, ended ones too; `source` is the event attribute."""
        ...

    async def told(self, source: str, subjects: Sequence[str]) -> Mapping[str, bytes]:
        """The last event of these lines, by subject, as `Record.body`. Of a line that is open and
        watched it is there whatever was pruned.
        """
        ...

    async def scopes(self) -> Sequence[ScopeCount]:
        """Every scope that was ever polled, and in which views it has open lines."""
        ...

    async def prune(self, before: datetime, sinks: Sequence[str]) -> int:
        """Remove events recorded before a moment that every named sink has passed, and has no
        replay of before it; how many.

        A parked event stays until a person decides, and the last event of an open line that is
        watched as long as that; order lines that ended before go too. Works in small steps: appends
        go on meanwhile.
        """
        ...

    async def probe(self) -> None:
        """Prove that the journal can be written and synced now, or raise."""
        ...


# --- sinks -----------------------------------------------------------------------------------


class Sink(Protocol):
    """Where events go. Built from its name and its options; building connects nothing.

    Used as an asynchronous context manager for as long as the daemon runs. Entering may open
    files, but a peer that is down is no failure: it shows as `Unavailable` from `deliver`.
    """

    name: str

    async def __aenter__(self) -> Self:
        """Get ready; raise `Unusable` only where no amount of waiting helps."""
        ...

    async def __aexit__(self, *exc: object) -> None:
        """Let go of everything within a few seconds."""
        ...

    async def deliver(self, batch: Sequence[Record]) -> Mapping[int, str]:
        """Hand over events in order; return when the receiver has them durably.

        A batch holds each event once. Those that are offered again because a person asked for it
        (`Record.replay`) come in batches of their own, and are sent though they were before.

        Returns the events it refuses for good, sequence number to reason; every other event of
        the batch is delivered. Raises `Unavailable(reason, retry_after=…, delivered=n)` where it
        got no further than the first n (fewer than all); the rest is offered again. An event that
        was refused counts as got through only once it is in what this returns, so n never goes
        beyond a refused one. Anything else that it raises (`Refused` too: it does not say which
        event), or returns, is a mistake in the sink, which then counts as down. Is never called
        twice at once.
        Cancelling it is allowed and means that the batch is offered again.
        """
        ...

    async def check(self) -> Sequence[str]:
        """Reach the receiver without sending anything; as `Source.check`."""
        ...
