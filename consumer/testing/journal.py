"""A journal in memory, and the suite that checks the promises of `ports.Journal` on any journal.

`MemoryJournal` keeps every promise but durability: for tests, and for those who write a source or
a sink. `JournalSuite` stands in `consumer.testing.journal_suite`.
"""

import bisect
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Self

from msgspec.structs import replace

from consumer.errors import JournalUnavailable
from consumer.event import Event
from consumer.journal.lines import ENDS, line_state
from consumer.journal.moments import from_micros
from consumer.model import (
    Backorder,
    Cursor,
    Entry,
    Message,
    Outcome,
    Parked,
    Positions,
    Quarantined,
    Record,
    Refusal,
    utc_now,
)
from consumer.testing.journal_suite import JournalSuite

__all__ = ["JournalSuite", "MemoryJournal"]


class MemoryJournal:
    """`ports.Journal` in memory.

    Set `failure` to a reason and every verb raises `JournalUnavailable` with it, as a journal on a
    full disk would; set it to None and it works again.
    """

    def __init__(self) -> None:
        self.failure: str | None = None
        self._records: list[Record] = []
        self._ids: set[str] = set()
        self._head = 0
        self._cursors: dict[str, int] = {}
        self._parked: dict[tuple[int, str], Parked] = {}
        self._quarantine: dict[str, Quarantined] = {}
        self._lines: dict[tuple[str, str], Backorder] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Everything is kept: entered again, it goes on."""

    async def append(self, entries: Sequence[Entry]) -> Sequence[Outcome]:
        """See `ports.Journal`."""
        self._check()
        bodies = [[event.encode() for event in entry.events] for entry in entries]
        now = utc_now()  # everything that can fail is behind us: all or nothing
        return [
            self._append(entry, encoded, now)
            for entry, encoded in zip(entries, bodies, strict=True)
        ]

    def _append(self, entry: Entry, bodies: Sequence[bytes], now: datetime) -> Outcome:
        accepted = 0
        for event, body in zip(entry.events, bodies, strict=True):
            if event.id not in self._ids:
                accepted += 1
                self._add(event, body, entry.message.source, now)
        for refusal in entry.refusals:
            self._refuse(refusal, entry.message, now)
        return Outcome(
            kind=entry.kind,
            accepted=accepted,
            duplicates=len(entry.events) - accepted,
            quarantined=len(entry.refusals),
            problems=tuple(problem for refusal in entry.refusals for problem in refusal.problems),
            unreadable=entry.unreadable,
        )

    def _add(self, event: Event, body: bytes, origin: str, now: datetime) -> None:
        self._head += 1
        self._ids.add(event.id)
        record = Record(
            seq=self._head,
            recorded=now,
            origin=origin,
            id=event.id,
            source=event.source,
            type=event.type,
            subject=event.subject,
            body=body,
        )
        self._records.append(record)
        self._carry(record, event)

    def _carry(self, record: Record, event: Event) -> None:
        state, key, now = line_state(event), (event.source, event.subject), record.recorded
        before = self._lines.get(key)
        ends = event.type == ENDS
        comes_back = before is not None and before.ended is not None and not ends
        self._lines[key] = Backorder(
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

    def _refuse(self, refusal: Refusal, message: Message, now: datetime) -> None:
        known = self._quarantine.get(refusal.id)
        if known:
            self._quarantine[refusal.id] = replace(
                known, times=known.times + 1, last_seen=now, problems=refusal.problems
            )
            return
        self._quarantine[refusal.id] = Quarantined(
            id=refusal.id,
            source=message.source,
            system=message.system,
            origin=message.origin,
            first_seen=now,
            last_seen=now,
            times=1,
            problems=refusal.problems,
            attributes=dict(message.attributes),
            body=refusal.body,
        )

    async def read(
        self, after: int, *, limit: int, max_bytes: int = 16_777_216, source: str | None = None
    ) -> Sequence[Record]:
        """See `ports.Journal`."""
        self._check()
        page: list[Record] = []
        size = 0
        for record in self._after(after):
            if source is not None and record.origin != source:
                continue
            size += len(record.body)
            if len(page) == limit or (page and size > max_bytes):
                break
            page.append(record)
        return page

    def _after(self, seq: int) -> Sequence[Record]:
        return self._records[bisect.bisect_right(self._records, seq, key=lambda r: r.seq) :]

    async def positions(self) -> Positions:
        """See `ports.Journal`."""
        self._check()
        return Positions(
            head=self._head,
            oldest=self._records[0].seq if self._records else 0,
            quarantined=len(self._quarantine),
            cursors=tuple(self._cursor(sink) for sink in sorted(self._cursors)),
        )

    def _cursor(self, sink: str) -> Cursor:
        pending = self._after(self._cursors[sink])
        return Cursor(
            sink=sink,
            seq=self._cursors[sink],
            pending=len(pending),
            oldest_pending=pending[0].recorded if pending else None,
            parked=sum(name == sink for _, name in self._parked),
        )

    async def enroll(self, sinks: Mapping[str, bool]) -> Mapping[str, int]:
        """See `ports.Journal`."""
        self._check()
        oldest = self._records[0].seq - 1 if self._records else self._head
        for sink, from_oldest in sinks.items():
            self._cursors.setdefault(sink, oldest if from_oldest else self._head)
        return {sink: self._cursors[sink] for sink in sinks}

    async def advance(self, sink: str, seq: int, refused: Mapping[int, str]) -> None:
        """See `ports.Journal`."""
        self._check()
        self._cursors[sink] = seq
        for number, reason in refused.items():
            record = next((r for r in self._after(number - 1)[:1] if r.seq == number), None)
            self._parked[number, sink] = Parked(
                sink=sink, seq=number, reason=reason, parked=utc_now(), record=record
            )

    async def quarantined(self, id_prefix: str = "", *, limit: int = 1000) -> Sequence[Quarantined]:
        """See `ports.Journal`."""
        self._check()
        return [row for row in self._quarantine.values() if row.id.startswith(id_prefix)][:limit]

    async def parked(self, sink: str | None = None, *, limit: int = 1000) -> Sequence[Parked]:
        """See `ports.Journal`."""
        self._check()
        rows = (self._parked[key] for key in sorted(self._parked))
        return [row for row in rows if sink is None or row.sink == sink][:limit]

    async def backorders(
        self, *, source: str | None = None, ended: bool = False, limit: int = 1000
    ) -> Sequence[Backorder]:
        """See `ports.Journal`."""
        self._check()
        lines = [
            line
            for line in self._lines.values()
            if (ended or line.ended is None) and (source is None or line.origin == source)
        ]
        return sorted(lines, key=lambda line: (line.since, line.seq))[:limit]

    async def prune(self, before: datetime, sinks: Sequence[str]) -> int:
        """See `ports.Journal`."""
        self._check()
        passed = min((self._cursors.get(sink, 0) for sink in sinks), default=self._head)
        parked = {seq for seq, _ in self._parked}
        kept = [
            record
            for record in self._records
            if record.recorded >= before or record.seq > passed or record.seq in parked
        ]
        removed = len(self._records) - len(kept)
        self._records = kept
        self._ids = {record.id for record in kept}
        self._lines = {
            key: line
            for key, line in self._lines.items()
            if line.ended is None or line.ended >= before
        }
        return removed

    async def probe(self) -> None:
        """See `ports.Journal`."""
        self._check()

    def _check(self) -> None:
        if self.failure:
            raise JournalUnavailable(self.failure)
