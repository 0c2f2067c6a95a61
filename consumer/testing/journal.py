"""A journal in memory, and the suites that check the promises of journals on any of them.

`MemoryJournal` keeps every promise but durability: for tests, and for those who write a source or
a sink. `JournalSuite` (`ports.Journal`) stands in `consumer.testing.journal_suite`, and
`JournalRepairSuite` (`repair.RepairableJournal`) in `consumer.testing.journal_repair_suite`.
"""

import bisect
from collections.abc import Mapping, Sequence
from datetime import datetime
from secrets import token_hex
from typing import Self

import msgspec
from msgspec.structs import replace

from consumer.errors import JournalUnavailable
from consumer.event import Event
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
    ScopeCount,
    Watched,
    utc_now,
)
from consumer.testing.journal_lines import Lines
from consumer.testing.journal_repair_suite import JournalRepairSuite
from consumer.testing.journal_repairs import MemoryRepairs
from consumer.testing.journal_suite import JournalSuite

__all__ = ["JournalRepairSuite", "JournalSuite", "MemoryJournal"]


class MemoryJournal(MemoryRepairs):
    """`repair.RepairableJournal` in memory.

    Set `failure` to a reason and every verb raises `JournalUnavailable` with it, as a journal on a
    full disk would; set it to None and it works again.
    """

    def __init__(self) -> None:
        super().__init__()
        self.failure: str | None = None
        self._ids: set[str] = set()
        self._name = token_hex(16)
        self._head = 0
        self._lines = Lines()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Everything is kept: entered again, it goes on."""

    async def append(self, entries: Sequence[Entry]) -> Sequence[Outcome]:
        """See `ports.Journal`."""
        self._check()
        return self._append_all(entries)

    def _append_all(self, entries: Sequence[Entry], *, late: bool = False) -> Sequence[Outcome]:
        bodies = [[event.encode() for event in entry.events] for entry in entries]
        msgspec.json.encode([entry.watch for entry in entries])
        now = utc_now()  # everything that can fail is behind us: all or nothing
        settled = self._head if late else None
        return [
            self._append(entry, encoded, now, settled)
            for entry, encoded in zip(entries, bodies, strict=True)
        ]

    def _append(
        self, entry: Entry, bodies: Sequence[bytes], now: datetime, settled: int | None
    ) -> Outcome:
        accepted = 0
        for event, body in zip(entry.events, bodies, strict=True):
            if event.id not in self._ids:
                accepted += 1
                record = self._add(event, body, entry.message.source, now)
                self._lines.carry(record, event, settled)
        for refusal in entry.refusals:
            self._refuse(refusal, entry.message, now)
        if entry.watch:
            self._lines.watch(entry.watch, entry.message.source)
        return Outcome(
            kind=entry.kind,
            accepted=accepted,
            duplicates=len(entry.events) - accepted,
            quarantined=len(entry.refusals),
            problems=tuple(problem for refusal in entry.refusals for problem in refusal.problems),
            unreadable=entry.unreadable,
        )

    def _add(self, event: Event, body: bytes, origin: str, now: datetime) -> Record:
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
        return record

    def _refuse(self, refusal: Refusal, message: Message, now: datetime) -> None:
        known = self._quarantine.get(refusal.id)
        if known:
            self._quarantine[refusal.id] = replace(
                known, times=known.times + 1, last_seen=now, problems=refusal.problems
            )
            return
        self._quarantine_head += 1
        self._quarantine[refusal.id] = Quarantined(
            position=self._quarantine_head,
            id=refusal.id,
            source=message.source,
            system=message.system,
            origin=message.origin,
            first_seen=now,
            last_seen=now,
            times=1,
            problems=refusal.problems,
            attributes=dict(message.attributes),
            size=len(refusal.body),
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

    def _record(self, seq: int) -> Record | None:
        at = bisect.bisect_left(self._records, seq, key=lambda r: r.seq)
        return next((record for record in self._records[at : at + 1] if record.seq == seq), None)

    def _after(self, seq: int) -> Sequence[Record]:
        return self._records[bisect.bisect_right(self._records, seq, key=lambda r: r.seq) :]

    async def positions(self) -> Positions:
        """See `ports.Journal`."""
        self._check()
        return Positions(
            journal=self._name,
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
            paused=self._paused.get(sink),
            replay=self._replays.get(sink),
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
        self._extend_replay(sink, seq)
        self._cursors[sink] = seq
        self._park(sink, refused)

    async def quarantined(
        self, id_prefix: str = "", *, limit: int = 1000, after: int = 0, bodies: bool = True
    ) -> Sequence[Quarantined]:
        """See `ports.Journal`."""
        self._check()
        rows = [
            row if bodies else replace(row, body=b"")
            for row in self._quarantine.values()
            if row.position > after and row.id.startswith(id_prefix)
        ]
        return rows[:limit]

    async def parked(
        self,
        sink: str | None = None,
        *,
        limit: int = 1000,
        after: tuple[int, str] = (0, ""),
        bodies: bool = True,
    ) -> Sequence[Parked]:
        """See `ports.Journal`."""
        self._check()
        rows = (self._parked[key] for key in sorted(self._parked) if key > after)
        found = [row for row in rows if sink is None or row.sink == sink][:limit]
        return found if bodies else [_without_body(row) for row in found]

    async def backorders(
        self, *, source: str | None = None, ended: bool = False, limit: int = 1000
    ) -> Sequence[Backorder]:
        """See `ports.Journal`."""
        self._check()
        lines = [
            line
            for line in self._lines.states()
            if (ended or line.ended is None) and (source is None or line.origin == source)
        ]
        return sorted(lines, key=lambda line: (line.since, line.seq))[:limit]

    async def watched(self, source: str) -> Watched:
        """See `ports.Journal`."""
        self._check()
        return self._lines.watched(source)

    async def told(self, source: str, subjects: Sequence[str]) -> Mapping[str, bytes]:
        """See `ports.Journal`."""
        self._check()
        seqs = {subject: self._lines.seq((source, subject)) for subject in subjects}
        found = {subject: self._record(seq or 0) for subject, seq in seqs.items()}
        return {subject: record.body for subject, record in found.items() if record}

    async def scopes(self) -> Sequence[ScopeCount]:
        """See `ports.Journal`."""
        self._check()
        return self._lines.scopes()

    async def prune(self, before: datetime, sinks: Sequence[str]) -> int:
        """See `ports.Journal`."""
        self._check()
        passed = min(map(self._behind, sinks), default=self._head)
        stays = {seq for seq, _ in self._parked} | self._lines.last_of_open()
        kept = [
            record
            for record in self._records
            if record.recorded >= before or record.seq > passed or record.seq in stays
        ]
        removed = len(self._records) - len(kept)
        self._records = kept
        self._ids = {record.id for record in kept}
        self._lines.forget(before)
        return removed

    async def probe(self) -> None:
        """See `ports.Journal`."""
        self._check()

    def _behind(self, sink: str) -> int:
        """What a sink has passed, and the replay too that it has under way."""
        cursor, replay = self._cursors.get(sink, 0), self._replay(sink)
        return min(cursor, replay.done) if replay else cursor

    def _check(self) -> None:
        if self.failure:
            raise JournalUnavailable(self.failure)


def _without_body(row: Parked) -> Parked:
    return replace(row, record=row.record and replace(row.record, body=b""))
