"""Workshop: what persons have done to what went wrong, on a journal that is open for writing.

Rules
1. A payload leaves quarantine in the commit that adds its events. What is refused again stays, with
   its new reasons; retried by two persons at once it counts once.
2. A retry reads the bytes as they are, with the schemas, the code and the privacy settings of now,
   and as if they had come when they first came: ids and facts are those they should have been.
3. What a polled upstream said is not told late: each poll asks what is true now, and says so.
4. What is wanted of a sink is written down first, and only then is the sink's pump told.
"""

import asyncio
from collections.abc import Callable, Sequence

from consumer.errors import Refused, Unavailable, Unusable
from consumer.model import Entry, Message, Outcome, Quarantined, Replay
from consumer.repair import Range, RepairableJournal, Retried
from consumer.settings import IntakeSettings, PrivacySettings
from consumer.telemetry import Log
from consumer.understanding import entry_within, refused_whole, stumbled
from consumer.validation import Schemas

# Numbers that an error names at the most.
_SHOWN = 5


class Workshop:
    """Implements `repair.Repairs`.

    `ordered` is called with a sink's name after something was written down that concerns it,
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
        log: Log,
    ) -> None:
        self._journal = journal
        self._schemas = schemas
        self._privacy = privacy
        self._intake = intake
        self._ordered = ordered
        self._committed = committed
        self._log = log

    # --- quarantine --------------------------------------------------------------------------

    async def retry_quarantined(self, ids: Sequence[str]) -> Sequence[Retried]:
        """See `repair.Repairs`."""
        results = [await self._retry(id_) for id_ in ids]
        if any(each.events for each in results):
            self._committed()
        for each in results:
            self._log.retried(id=each.id, result=each.result, events=each.events)
        return results

    async def _retry(self, id_: str) -> Retried:
        payload = await self._find(id_)
        if payload is None:
            return Retried(id=id_, result="unknown")
        if payload.system != "radial":
            return Retried(id=id_, result="polled")
        entry = await asyncio.to_thread(self._understand, payload)
        outcomes = await self._readmit(id_, entry)
        if id_ not in outcomes:
            return Retried(id=id_, result="unknown")
        outcome = outcomes[id_]
        return Retried(
            id=id_,
            result="refused" if outcome.quarantined else "accepted",
            events=outcome.accepted,
            duplicates=outcome.duplicates,
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

    async def _readmit(self, id_: str, entry: Entry) -> dict[str, Outcome]:
        try:
            return dict(await self._journal.readmit({id_: entry}))
        except (Unavailable, Unusable, Refused):
            raise
        except Exception as error:  # noqa: BLE001 - what the journal cannot keep stays where it is
            self._bug(error)
            refused = refused_whole(entry.message, stumbled(error), entry.kind)
        return dict(await self._journal.readmit({id_: refused}))

    def _bug(self, error: Exception) -> None:
        self._log.bug(where="workshop", error=error)

    async def discard_quarantined(self, ids: Sequence[str]) -> int:
        """See `repair.Repairs`."""
        for id_ in ids:
            found = await self._journal.quarantined(id_, limit=1, bodies=False)
            if not found or found[0].id != id_:
                raise Refused(f"nothing with the id {id_} is in quarantine")
        gone = await self._journal.discard_quarantined(ids)
        self._log.discarded(what="quarantine", ids=list(gone))
        return len(gone)

    # --- parked events -----------------------------------------------------------------------

    async def retry_parked(self, sink: str, seqs: Sequence[int] | None) -> int:
        """See `repair.Repairs`; `Refused` where none of these events is parked."""
        marked = await self._journal.retry_parked(sink, seqs)
        if seqs and not marked:
            raise Refused(_not_parked(sink, seqs))
        self._log.ordered(sink=sink, order="retry", events=marked)
        self._ordered(sink)
        return marked

    async def discard_parked(self, sink: str, seqs: Sequence[int] | None) -> int:
        """See `repair.Repairs`; `Refused` where none of these events is parked."""
        gone = await self._journal.discard_parked(sink, seqs)
        if seqs and not gone:
            raise Refused(_not_parked(sink, seqs))
        self._log.discarded(what=f"parked.{sink}", events=gone)
        self._ordered(sink)
        return gone

    # --- sinks -------------------------------------------------------------------------------

    async def pause(self, sink: str) -> None:
        """See `repair.Repairs`."""
        await self._journal.pause(sink, paused=True)
        self._log.ordered(sink=sink, order="pause")
        self._ordered(sink)

    async def resume(self, sink: str) -> None:
        """See `repair.Repairs`."""
        await self._journal.pause(sink, paused=False)
        self._log.ordered(sink=sink, order="resume")
        self._ordered(sink)

    async def replay(self, sink: str, wanted: Range) -> Replay:
        """See `repair.Repairs`."""
        replay = await self._journal.replay(sink, wanted)
        self._log.ordered(sink=sink, order="replay", start=replay.start, end=replay.end)
        self._ordered(sink)
        return replay

    async def end_replay(self, sink: str) -> Replay | None:
        """See `repair.Repairs`."""
        ended = await self._journal.end_replay(sink)
        if ended:
            self._log.ordered(sink=sink, order="end replay", done=ended.done, end=ended.end)
            self._ordered(sink)
        return ended


def _not_parked(sink: str, seqs: Sequence[int]) -> str:
    shown = ", ".join(map(str, seqs[:_SHOWN])) + (", …" if len(seqs) > _SHOWN else "")
    return f"sink {sink} has none of these events parked: {shown}"
