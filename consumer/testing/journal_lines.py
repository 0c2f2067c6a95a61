"""The state of order lines as `MemoryJournal` keeps it: of all of them, and of those polled."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime

from msgspec.structs import replace

from consumer.event import Event
from consumer.journal.lines import ENDS, line_state
from consumer.journal.moments import from_micros
from consumer.model import Backorder, Known, Record, ScopeCount, Watch, Watched

Key = tuple[str, str]
"""Of a line: the source and the subject of its events."""


class Lines:
    """Order lines by key, what polls know of them, and the scopes they are polled in."""

    def __init__(self) -> None:
        self._states: dict[Key, Backorder] = {}
        self._known: dict[Key, Known] = {}
        self._scopes: dict[str, Watched] = {}  # without their lines

    def carry(self, record: Record, event: Event, settled: int | None) -> None:
        """A line moves on to its next event.

        `settled`: a state told up to this event gives way to a later fact only; None: to any.
        """
        state, key, now = line_state(event), (event.source, event.subject), record.recorded
        before = self._states.get(key)
        if before and settled is not None:
            fact, known = from_micros(state.updated), before.updated
            if fact < known or (fact == known and before.seq <= settled):
                return
        ends = event.type == ENDS
        comes_back = before is not None and before.ended is not None and not ends
        self._states[key] = Backorder(
            source=event.source,
            subject=event.subject,
            origin=record.origin,
            type=event.type,
            order=state.order,
            line=state.line,
            item=state.item,
            description=state.description,
            quantity=state.quantity,
            delay=state.delay,
            expected=state.expected,
            since=now if before is None or comes_back else before.since,
            updated=from_micros(state.updated),
            ended=((before and before.ended) or now) if ends else None,
            seq=record.seq,
        )

    def watch(self, watch: Watch, origin: str) -> None:
        """A poll makes known what it knows, after the events of its entry."""
        for subject, known in watch.lines.items():
            if (watch.source, subject) in self._states:
                self._known[watch.source, subject] = known
        scope = self._scopes.get(watch.source, Watched())
        held = scope.held if watch.held is None else watch.held
        if scope.origin not in (None, origin):
            self._rename(watch.source, origin)
        self._scopes[watch.source] = replace(scope, held=held, origin=origin)

    def _rename(self, source: str, origin: str) -> None:
        for key in self._known:
            if key[0] == source:
                self._states[key] = replace(self._states[key], origin=origin)

    def states(self) -> Collection[Backorder]:
        """Every line."""
        return self._states.values()

    def seq(self, key: Key) -> int | None:
        """The last event of a line; None: there is no such line."""
        state = self._states.get(key)
        return state.seq if state else None

    def last_of_open(self) -> set[int]:
        """The last event of each open line that is polled."""
        return {self._states[key].seq for key in self._open()}

    def watched(self, source: str) -> Watched:
        """All that is known of a scope."""
        lines = {
            key[1]: replace(known, ended=self._states[key].ended is not None)
            for key, known in self._known.items()
            if key[0] == source
        }
        return replace(self._scopes.get(source, Watched()), lines=lines)

    def scopes(self) -> Sequence[ScopeCount]:
        """Every scope that was ever polled, and in which views it has open lines."""
        views = Counter((source, self._known[source, name].view) for source, name in self._open())
        idle = self._scopes.keys() - {source for source, _ in views}
        counts = {(source, ""): 0 for source in idle} | views
        return [
            ScopeCount(
                source=source, origin=self._scopes[source].origin or "", view=view, open=count
            )
            for (source, view), count in sorted(counts.items())
        ]

    def forget(self, before: datetime) -> None:
        """Drop the lines that ended before; none of a scope begins anew with what they had."""
        for key, state in list(self._states.items()):
            if state.ended is not None and state.ended < before:
                del self._states[key]
                self._raise_floor(key[0], self._known.pop(key, None))

    def _raise_floor(self, source: str, gone: Known | None) -> None:
        if gone:
            scope = self._scopes[source]
            self._scopes[source] = replace(scope, floor=max(scope.floor, gone.revision + 1))

    def _open(self) -> Sequence[Key]:
        return [key for key in self._known if self._states[key].ended is None]
