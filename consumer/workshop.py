"""Workshop: what persons have done to what went wrong, on a journal that is open for writing.

Rules
1. A payload leaves quarantine in the commit that adds its events. What is refused again stays, with
   its new reasons; retried by two persons at once it counts once.
2. A retry reads the bytes as they are, with the schemas, the code and the privacy settings of now,
   and as if they had come when they first came: ids and facts are those they should have been. Of a
   list's broken event only the event was kept: what stood beside it in the list is not in its
   `extra` then.
3. What a polled upstream said is not told late: each poll asks what is true now, and says so.
4. What is wanted of a sink is written down first, and only then is the sink's pump told.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Literal

from consumer.errors import Refused, Unavailable, Unusable
from consumer.model import Entry, Message, Outcome, Quarantined, Replay
from consumer.repair import Range, RepairableJournal, Retried
from consumer.settings import IntakeSettings, PrivacySettings
from consumer.telemetry import Log, Metrics
from consumer.telemetry.commits import Commits
from consumer.understanding import entry_within, refused_whole, stumbled
from consumer.validation import Schemas

Result = Literal["accepted", "refused", "divided", "unknown", "polled"]

# Sequence numbers that a log line names at the most.
_SHOWN = 100


class Workshop:
    """Implements `repair.Repairs`.

    `sinks` are those that somebody runs, now or when the daemon is started again; None: that is not
    known. `ordered` is called with a sink's name after something was written down that concerns it,
    `committed` after a retry that added events.
    """

    def __init__(
        self,
        journal: RepairableJournal,
        schemas: Schemas,
        *,
        privacy: PrivacySettings,
        intake: IntakeSettings,
        ordered: Callable[[str], None] = lambda _: None,
        committed: Callable[[], None] = lambda: None,
        sinks: Collection[str] | None = None,
        metrics: Metrics | None = None,
        log: Log,
    ) -> None:
        self._journal = journal
        self._schemas = schemas
        self._privacy = privacy
        self._intake = intake
        self._ordered = ordered
        self._committed = committed
        self._sinks = sinks
        self._commits = Commits(metrics or Metrics(), log)  # at rest nobody scrapes any
        self._log = log

    # --- quarantine --------------------------------------------------------------------------

    async def retry_quarantined(self, ids: Sequence[str]) -> Sequence[Retried]:
        """See `repair.Repairs`."""
        return [await self._retry(id_) for id_ in ids]

    async def _retry(self, id_: str) -> Retried:
        """Try one; it is told of as soon as it is done, since the next one may fail."""
        payload = await self._find(id_)
        if payload is None:
            return Retried(id=id_, result="unknown")
        if payload.system != "radial":
            return Retried(id=id_, result="polled")
        entry = await asyncio.to_thread(self._understand, payload)
        entry, outcome = await self._readmit(id_, entry)
        if outcome is None:  # somebody was quicker
            return Retried(id=id_, result="unknown")
        if self._commits.readmitted(entry, outcome, id_):
            self._committed()
        refused = [refusal.id for refusal in entry.refusals]
        result: Result = "refused" if id_ in refused else "divided" if refused else "accepted"
        self._log.retried(id=id_, result=result, events=outcome.accepted)
        return Retried(
            id=id_,
            result=result,
            events=outcome.accepted,
            duplicates=outcome.duplicates,
            parts=tuple(refused) if result == "divided" else (),
            problems=outcome.problems,
        )

    async def _find(self, id_: str) -> Quarantined | None:
        found = await self._journal.quarantined(id_, limit=2)
        return next((payload for payload in found if payload.id == id_), None)

    def _understand(self, payload: Quarantined) -> Entry:
        message = Message(
            body=payload.body,
            source=payload.source,
            system="radial",
            received=payload.first_seen,
            origin=payload.origin,
            on_test="quarantine",  # somebody wanted it kept; it goes when somebody discards it
            on_other_type="quarantine",
            attributes=payload.attributes,
        )
        return entry_within(
            message,
            self._schemas,
            privacy=self._privacy,
            most=self._intake.max_message,
            on_bug=self._bug,
        )

    async def _readmit(self, id_: str, entry: Entry) -> tuple[Entry, Outcome | None]:
        """What the journal kept, and its outcome; None where the payload is gone by now."""
        try:
            return entry, (await self._journal.readmit({id_: entry})).get(id_)
        except (Unavailable, Unusable, Refused):
            raise
        except Exception as error:  # noqa: BLE001 - what the journal cannot keep stays where it is
            self._bug(error)
            refused = refused_whole(entry.message, stumbled(error), entry.kind)
        return refused, (await self._journal.readmit({id_: refused})).get(id_)

    def _bug(self, error: Exception) -> None:
        self._log.bug(where="workshop", error=error)

    async def discard_quarantined(self, ids: Sequence[str]) -> int:
        """See `repair.Repairs`."""
        gone = await self._journal.discard_quarantined(ids)
        self._log.discarded(what="quarantine", ids=list(ids))
        return gone

    # --- parked events -----------------------------------------------------------------------

    async def retry_parked(self, sink: str, seqs: Sequence[int] | None) -> int:
        """See `repair.Repairs`."""
        self._require(sink)
        marked = await self._journal.retry_parked(sink, seqs)
        if marked:
            self._order(sink, "retry", events=marked, **_named(seqs))
        return marked

    async def discard_parked(self, sink: str, seqs: Sequence[int] | None) -> int:
        """See `repair.Repairs`."""
        gone = await self._journal.discard_parked(sink, seqs)
        if gone:
            self._log.discarded(what=f"parked.{sink}", events=gone, **_named(seqs))
            self._ordered(sink)
        return gone

    # --- sinks -------------------------------------------------------------------------------

    async def pause(self, sink: str) -> None:
        """See `repair.Repairs`."""
        self._require(sink)
        await self._journal.pause(sink, paused=True)
        self._order(sink, "pause")

    async def resume(self, sink: str) -> None:
        """See `repair.Repairs`."""
        self._require(sink)
        await self._journal.pause(sink, paused=False)
        self._order(sink, "resume")

    async def replay(self, sink: str, wanted: Range) -> Replay:
        """See `repair.Repairs`."""
        self._require(sink)
        replay = await self._journal.replay(sink, wanted)
        self._order(sink, "replay", start=replay.start, end=replay.end)
        return replay

    async def end_replay(self, sink: str) -> Replay | None:
        """See `repair.Repairs`."""
        ended = await self._journal.end_replay(sink)
        if ended:
            self._order(sink, "end replay", done=ended.done, end=ended.end)
        return ended

    def _require(self, sink: str) -> None:
        """Refuse what nobody would carry out. The journal knows sinks of former configurations."""
        if self._sinks is None or sink in self._sinks:
            return
        known = ", ".join(sorted(self._sinks)) or "none"
        raise Refused(f"no sink {sink} is configured, so nobody would do it; there are: {known}")

    def _order(self, sink: str, order: str, **what: object) -> None:
        """Something was written down for a sink's pump: tell of it, and tell the pump."""
        self._log.ordered(sink=sink, order=order, **what)
        self._ordered(sink)


def _named(seqs: Sequence[int] | None) -> dict[str, object]:
    """Sequence numbers for a log line, the first of them; none where all were meant."""
    return {} if seqs is None else {"seqs": list(seqs[:_SHOWN])}
