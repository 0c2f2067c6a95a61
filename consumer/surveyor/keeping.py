"""What a survey takes from the journal and gives to it; rule 1 of `consumer.surveyor`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import TypeVar

from msgspec import Struct

from consumer.errors import JournalUnavailable
from consumer.event import Event
from consumer.model import Entry, Known, Message, Refusal, Scope, Watch, utc_now
from consumer.ports import Journal
from consumer.settings import PrivacySettings
from consumer.survey import Fresh
from consumer.surveyor.memory import Commit, Lines, Memory
from consumer.telemetry import Log, Metrics

# What one commit takes: events, bytes of the rows that they tell, states without an event.
EVENTS = 500
STATES = 5000
_BYTES = 4 << 20

T = TypeVar("T")


class Means(Struct, frozen=True, kw_only=True):
    """What every survey works with."""

    journal: Journal
    commit: Commit
    privacy: PrivacySettings
    metrics: Metrics
    log: Log

    def report(self, scope: Scope, reason: str, times: int = 1) -> str:
        """Tell in log and metrics of something broken, and how often; in so many words."""
        if times > 1:
            reason = f"{reason} (and {times - 1} more rows)"
        self.metrics.broken_answers.labels(scope.origin).inc()
        self.log.poll_broken(source=scope.origin, scope=scope.source, reason=reason)
        return reason


class Keeper:
    """Commits for one survey. `lines` is what is known of its scope, `told` counts event types.

    Every verb raises `JournalUnavailable`. After a commit that may or may not be through there is
    no other: what is known of the lines is not certain any more.
    """

    def __init__(self, scope: Scope, memory: Memory, lines: Lines, means: Means) -> None:
        self._scope = scope
        self._memory = memory
        self._means = means
        self.lines = lines
        self.told: Counter[str] = Counter()

    async def last_told(self, subjects: Sequence[str]) -> Mapping[str, bytes]:
        """The last events of those of these lines that are open."""
        known = self.lines.known
        open_ = [each for each in subjects if (line := known.get(each)) and not line.ended]
        return await self._means.journal.told(self._scope.source, open_) if open_ else {}

    async def keep(
        self,
        events: Sequence[Event] = (),
        lines: Mapping[str, Known] = {},
        held: frozenset[str] | None = None,
    ) -> None:
        """Commit events together with what is known of their lines and of others, if anything."""
        if events or lines or held is not None:
            await self._keep(events, lines, held)

    async def keep_name(self) -> None:
        """Commit whose scope it is, where it was another source's until now."""
        if self.lines.origin not in (None, self._scope.origin):
            await self._keep((), {}, None)

    async def _keep(
        self, events: Sequence[Event], lines: Mapping[str, Known], held: frozenset[str] | None
    ) -> None:
        if self._memory.lines is not self.lines:
            raise JournalUnavailable("what an earlier commit of this poll did is not known")
        entry = self._entry(events, lines, held)
        outcome = await self._memory.commit(self._means.commit, entry)
        if outcome.accepted + outcome.duplicates != len(events):
            self._memory.lines = None
            raise JournalUnavailable("the journal did not keep what this poll says")
        self.lines.learn(lines)
        self.lines.origin = self._scope.origin
        self.told.update(event.type for event in events)

    async def keep_held(self, *, wait: bool) -> None:
        """Commit what is held, at the end of a survey that did not finish, if that can be done.

        No other commit depends on it: an earlier one may have failed. Otherwise it is done at the
        end of the next survey.
        """
        lines = self.lines
        entry = self._entry((), {}, lines.held)
        if not wait:
            self._memory.begin(self._means.commit, entry)
            return
        with suppress(JournalUnavailable):
            await self._memory.commit(self._means.commit, entry)
            lines.kept = lines.held

    async def set_aside(self, refusals: Sequence[Refusal]) -> None:
        """Put into quarantine what could not be read."""
        entry = Entry(message=self._message(), refusals=tuple(refusals))
        await self._memory.commit(self._means.commit, entry)

    def _entry(
        self, events: Sequence[Event], lines: Mapping[str, Known], held: frozenset[str] | None
    ) -> Entry:
        watch = Watch(source=self._scope.source, view=self._scope.view, lines=lines, held=held)
        return Entry(message=self._message(), events=tuple(events), watch=watch)

    def _message(self) -> Message:
        """Where it came from; an entry needs no more of a message, and rows are in no event."""
        scope = self._scope
        return Message(
            body=b"",
            source=scope.origin,
            system=scope.system,
            received=utc_now(),
            origin=scope.source,
        )


def batches(
    rows: Iterable[Fresh], details: Mapping[str, bytes | None]
) -> Iterator[Sequence[Fresh]]:
    """The rows in parts that one commit can take."""
    batch: list[Fresh] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += len(row.content) + len(details.get(row.key) or b"")
        if len(batch) >= EVENTS or size >= _BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def parts(values: Iterable[T], size: int) -> Iterator[Sequence[T]]:
    """The values in parts of `size`."""
    rest = iter(values)
    while part := list(islice(rest, size)):
        yield part
