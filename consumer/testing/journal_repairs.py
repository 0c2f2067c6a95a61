"""What a person can have done to a `MemoryJournal`: the verbs of `repair.RepairableJournal`."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from consumer.journal.orders import (
    not_in_quarantine,
    not_parked,
    nothing_to_replay,
    replaying_already,
    resolve,
    unknown_sink,
)
from consumer.journal.retrials import retrials
from consumer.model import (
    Entry,
    Outcome,
    Parked,
    Quarantined,
    Record,
    Refusal,
    Replay,
    utc_now,
)
from consumer.repair import Orders, Range


class MemoryRepairs:
    """The part of `MemoryJournal` that repairs; what it repairs is that one's."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._cursors: dict[str, int] = {}
        self._parked: dict[tuple[int, str], Parked] = {}
        self._quarantine: dict[str, Quarantined] = {}
        self._quarantine_head = 0
        self._paused: dict[str, datetime] = {}
        self._replays: dict[str, Replay] = {}

    # --- quarantine --------------------------------------------------------------------------

    async def readmit(self, entries: Mapping[str, Entry]) -> Mapping[str, Outcome]:
        """See `repair.RepairableJournal`."""
        self._check()
        tried = retrials({id: each for id, each in entries.items() if id in self._quarantine})
        outcomes = self._append_all([each.rest for each in tried], late=True)
        for each in tried:
            for refusal in each.refusals:
                self._refuse_again(self._quarantine[each.id], refusal)
        for each in tried:
            if not each.stays:
                del self._quarantine[each.id]
        return {
            each.id: each.outcome(outcome) for each, outcome in zip(tried, outcomes, strict=True)
        }

    def _refuse_again(self, whole: Quarantined, refusal: Refusal) -> None:
        known = self._quarantine.get(refusal.id)
        if known:
            self._quarantine[refusal.id] = replace(known, problems=refusal.problems)
            return
        self._quarantine_head += 1
        self._quarantine[refusal.id] = replace(
            whole,
            position=self._quarantine_head,
            id=refusal.id,
            times=1,
            problems=refusal.problems,
            size=len(refusal.body),
            body=refusal.body,
        )

    async def discard_quarantined(self, ids: Sequence[str]) -> int:
        """See `repair.RepairableJournal`."""
        self._check()
        if missing := [id for id in ids if id not in self._quarantine]:
            raise not_in_quarantine(missing)
        return len([self._quarantine.pop(id) for id in set(ids)])

    # --- sinks -------------------------------------------------------------------------------

    async def pause(self, sink: str, *, paused: bool) -> None:
        """See `repair.RepairableJournal`."""
        self._known(sink)
        if paused:
            self._paused.setdefault(sink, utc_now())
        else:
            self._paused.pop(sink, None)

    async def replay(self, sink: str, wanted: Range) -> Replay:
        """See `repair.RepairableJournal`."""
        passed = self._known(sink)
        if running := self._replay(sink):
            raise replaying_already(sink, running)
        planned = resolve(
            sink,
            wanted,
            passed=passed,
            oldest=self._records[0].seq if self._records else 0,
            begin=self._begin(wanted),
            now=utc_now(),
        )
        if not any(_in(planned, record) for record in self._records):
            raise nothing_to_replay(sink, passed, wanted.source)
        self._replays[sink] = planned
        return planned

    def _begin(self, wanted: Range) -> int | None:
        since = wanted.since
        if since is None:
            return wanted.start
        return next((record.seq for record in self._records if record.recorded >= since), None)

    async def end_replay(self, sink: str) -> Replay | None:
        """See `repair.RepairableJournal`."""
        self._known(sink)
        return self._replays.pop(sink) if self._replay(sink) else None

    def _replay(self, sink: str) -> Replay | None:
        """The replay that a sink has under way."""
        replay = self._replays.get(sink)
        return None if replay is None or replay.over else replay

    async def retry_parked(self, sink: str, seqs: Sequence[int] | None) -> int:
        """See `repair.RepairableJournal`."""
        self._known(sink)
        found = [row for row in self._choose(sink, seqs) if row.record]
        for row in found:
            self._parked[row.seq, sink] = replace(row, retrying=True)
        return len(found)

    async def discard_parked(self, sink: str, seqs: Sequence[int] | None) -> int:
        """See `repair.RepairableJournal`."""
        self._known(sink)
        found = self._choose(sink, seqs)
        for row in found:
            del self._parked[row.seq, sink]
        return len(found)

    def _choose(self, sink: str, seqs: Sequence[int] | None) -> Sequence[Parked]:
        rows = self._parked_of(sink)
        if seqs is None:
            return rows
        chosen = {row.seq: row for row in rows if row.seq in seqs}
        if missing := [seq for seq in seqs if seq not in chosen]:
            raise not_parked(sink, missing)
        return list(chosen.values())

    def _parked_of(self, sink: str) -> Sequence[Parked]:
        return [self._parked[key] for key in sorted(self._parked) if key[1] == sink]

    # --- the pump's side ---------------------------------------------------------------------

    async def orders(self, sink: str) -> Orders:
        """See `repair.RepairableJournal`."""
        self._known(sink)
        return Orders(
            paused=self._paused.get(sink),
            replay=self._replay(sink),
            retrying=sum(row.retrying for row in self._parked_of(sink)),
        )

    async def retrying(self, sink: str, *, limit: int, max_bytes: int) -> Sequence[Parked]:
        """See `repair.RepairableJournal`."""
        self._known(sink)
        page: list[Parked] = []
        size = 0
        for row in self._parked_of(sink):
            if not row.retrying or row.record is None:
                continue
            size += len(row.record.body)
            if len(page) == limit or (page and size > max_bytes):
                break
            page.append(row)
        return page

    async def redelivered(
        self,
        sink: str,
        delivered: Sequence[int],
        refused: Mapping[int, str],
        *,
        replayed: Replay | None = None,
    ) -> None:
        """See `repair.RepairableJournal`."""
        self._known(sink)
        for seq in delivered:
            self._parked.pop((seq, sink), None)
        if replayed is None:
            left = {seq: why for seq, why in refused.items() if (seq, sink) in self._parked}
            self._park(sink, left)
            return
        self._park(sink, refused)
        running = self._replay(sink)
        if running and replace(running, done=replayed.done) == replayed:
            self._replays[sink] = replayed

    # --- what the journal is asked for -------------------------------------------------------

    def _known(self, sink: str) -> int:
        """The cursor of a sink; raises `Refused` where it has none."""
        self._check()
        if sink not in self._cursors:
            raise unknown_sink(sink, self._cursors)
        return self._cursors[sink]

    def _extend_replay(self, sink: str, seq: int) -> None:
        running = self._replay(sink)
        if running and running.end == self._cursors.get(sink):
            self._replays[sink] = replace(running, end=max(seq, running.end))

    def _park(self, sink: str, refused: Mapping[int, str]) -> None:
        for seq, reason in refused.items():
            self._parked[seq, sink] = Parked(
                sink=sink, seq=seq, reason=reason, parked=utc_now(), record=self._record(seq)
            )

    def _record(self, seq: int) -> Record | None:
        raise NotImplementedError

    def _append_all(self, entries: Sequence[Entry], *, late: bool = False) -> Sequence[Outcome]:
        raise NotImplementedError

    def _check(self) -> None:
        raise NotImplementedError


def _in(replay: Replay, record: Record) -> bool:
    return replay.start <= record.seq <= replay.end and replay.source in (None, record.origin)
