"""The end of a survey: what is missing in it, what of that is over, and what is held.

Until here a survey has found out what is there (`looking`); only now that counts which was not.
"""

from collections.abc import Mapping, Sequence
from functools import partial

from msgspec import Struct, field

from consumer.errors import Refused
from consumer.event import Event, timestamp
from consumer.model import Known, Scope, utc_now
from consumer.snapshot import Verdict, judge
from consumer.survey import Tally
from consumer.surveyor.keeping import EVENTS, STATES, Keeper, Means, parts
from consumer.surveyor.memory import Memory, Seen
from consumer.surveyor.telling import AGAIN, Teller
from consumer.surveyor.turns import Rows


class Found(Struct):
    """What a survey has found so far.

    `seen` has the digest of each line's row, the last one that was seen. `opened` are lines that
    were not open before this survey, `moved` those that say nothing new and were in another view.
    `incomplete` is why nothing can be said of lines that were not seen.
    """

    seen: dict[str, bytes] = field(default_factory=dict)
    opened: set[str] = field(default_factory=set)
    moved: dict[str, Known] = field(default_factory=dict)
    pages: dict[bytes, Seen] = field(default_factory=dict)
    incomplete: str | None = None


class Ending:
    """The end of one survey."""

    def __init__(
        self, scope: Scope, memory: Memory, keeper: Keeper, teller: Teller, means: Means
    ) -> None:
        self._scope = scope
        self._memory = memory
        self._lines = keeper.lines
        self._keeper = keeper
        self._teller = teller
        self._means = means

    def verdict(self, found: Found) -> Verdict:
        """What a complete survey may clear; nothing where this one is not."""
        if found.incomplete is not None or not found.pages:
            return Verdict()
        view = self._scope.view
        open_lines, missing = 0, []
        for subject, line in self._lines.known.items():
            if line.ended or subject in found.opened:
                continue  # the open lines of before are what counts
            if line.view == view or subject in found.moved:
                open_lines += 1
                if subject not in found.seen:
                    missing.append(subject)
        share, count = self._scope.hold_share, self._scope.hold_count
        return judge(open_lines, missing, self._lines.held, share=share, count=count)

    async def finish(self, found: Found, ended: Mapping[str, bytes | None]) -> Tally:
        """See `survey.Survey.finish`."""
        if not found.pages and found.incomplete is None:
            found.incomplete = "nothing was read"
        verdict = self.verdict(found)
        over = [subject for subject in verdict.clear if subject in ended]
        held, unconfirmed = self._held(found, verdict, over)
        states = found.moved | self._gone(found, verdict)
        for some in parts(states.items(), STATES):
            await self._keeper.keep(lines=dict(some))
        for subjects in parts(over, EVENTS):
            await self._clear(subjects, ended)
        if held != self._lines.kept:
            await self._keeper.keep(held=held)
        await self._keeper.keep_name()
        self._memory.settle(self._lines, held, unconfirmed)
        self._memory.pages = found.pages
        told = self._keeper.told
        tally = Tally(
            seen=len(found.seen),
            opened=told["backorder.opened"],
            updated=told["backorder.updated"],
            cleared=told["backorder.cleared"],
            held=len(self._lines.doubted),
            unconfirmed=len(verdict.clear) - len(over),
            incomplete=found.incomplete,
        )
        self._tell_of(tally, verdict)
        return tally

    def _gone(self, found: Found, verdict: Verdict) -> dict[str, Known]:
        """Lines that a detail ended, and whose row is not listed any more: the same row, once it is
        back, opens them again. An answer that is not believed says nothing of them either.
        """
        if found.incomplete is not None or verdict.hold:
            return {}
        view, lines = self._scope.view, self._lines
        lines.forget([subject for subject in lines.passing if subject not in found.seen])
        return {
            subject: Known(AGAIN, line.revision, view, ended=True)
            for subject, line in lines.known.items()
            if line.ended
            and line.digest != AGAIN
            and line.view == view
            and subject not in found.seen
        }

    def _held(
        self, found: Found, verdict: Verdict, over: Sequence[str]
    ) -> tuple[frozenset[str], frozenset[str]]:
        """What is held from now on, and which of that nobody confirms."""
        if found.incomplete is not None:
            held = frozenset(each for each in self._lines.held if each not in found.seen)
            return held, self._lines.unconfirmed & held
        # What two surveys agree on, and nobody confirms, stays held: it would be asked for again
        # in every second one only.
        unconfirmed = verdict.agreed.difference(over)
        return verdict.hold | unconfirmed, unconfirmed

    async def _clear(self, subjects: Sequence[str], ended: Mapping[str, bytes | None]) -> None:
        bodies = await self._keeper.last_told(subjects)
        now = timestamp(utc_now())
        events: list[Event] = []
        lines: dict[str, Known] = {}
        turns = Rows()
        for subject in subjects:
            line = self._lines.known[subject]
            body, detail = bodies.get(subject), ended[subject]
            work = partial(self._teller.cleared, subject, line, body, detail, now)
            try:
                events.append(await turns.run(len(body or b"") + len(detail or b""), work))
            except Refused as error:  # what is kept of it, not what came: it stays open
                self._means.report(self._scope, error.reason)
                continue
            lines[subject] = Known(AGAIN, line.revision + 1, self._scope.view, ended=True)
        await self._keeper.keep(events, lines)

    def _tell_of(self, tally: Tally, verdict: Verdict) -> None:
        scope, metrics, log = self._scope, self._means.metrics, self._means.log
        outcome = "incomplete" if tally.incomplete else "held" if tally.held else "complete"
        metrics.polls.labels(scope.origin, outcome).inc()
        if not tally.incomplete:
            metrics.last_complete.labels(scope.origin).set_to_current_time()
        if verdict.hold:
            log.poll_held(
                source=scope.origin,
                scope=scope.source,
                missing=len(verdict.hold),
                lines=self._lines.open,
            )
        if tally.opened or tally.updated or tally.cleared:
            log.poll_done(
                source=scope.origin,
                scope=scope.source,
                opened=tally.opened,
                updated=tally.updated,
                cleared=tally.cleared,
                seen=tally.seen,
            )
