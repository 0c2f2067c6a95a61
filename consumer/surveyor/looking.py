"""One survey: pages in, events out while it goes on, and at the end what is missing."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from consumer.errors import Refused
from consumer.event import Event, timestamp
from consumer.model import Known, Problem, Refusal, Scope, utc_now
from consumer.snapshot import Sighting, Verdict, judge, natural, occurrences
from consumer.survey import Fresh, Page, Reading, Tally
from consumer.surveyor.keeping import EVENTS, STATES, Keeper, Means, batches, parts
from consumer.surveyor.memory import Lines, Memory, Seen
from consumer.surveyor.telling import AGAIN, Teller, digest_of

# Systems whose natural keys may stand several times in one answer. Elsewhere the key is an id: the
# same one twice is one line, whose row moved from one page to another.
_KEYS_REPEAT = frozenset({"mvet"})

# Bytes of a page above which it is read on a thread, and rows after which others get their turn.
_ON_THE_LOOP = 256 << 10
_GLANCES = 2000
_NORMALISED = 100

# Of a page full of broken rows so many are set aside.
_SET_ASIDE = 100

T = TypeVar("T")


class ScopeSurvey:
    """Implements `survey.Survey`; whoever made it holds the scope's turn."""

    def __init__(self, scope: Scope, memory: Memory, lines: Lines, means: Means) -> None:
        self._scope = scope
        self._memory = memory
        self._lines = lines
        self._keeper = Keeper(scope, memory, lines, means)
        self._means = means
        self._teller = Teller(scope, lines.floor, means.privacy, means.log)
        self._seen: set[str] = set()
        self._pages: dict[bytes, Seen] = {}
        self._moved: dict[str, Known] = {}  # unchanged, and in another view until now
        self._incomplete: str | None = None
        self.finished = False

    # --- pages in ----------------------------------------------------------------------------

    async def see(self, page: Page) -> Reading:
        """See `survey.Survey`."""
        large = len(page.content) > _ON_THE_LOOP
        digest = await _run(large, digest_of, page.content)
        if again := self._recall(digest):
            return again
        try:
            rows, problems = await _run(large, self._teller.rows, page.content)
        except Refused as error:
            await self.broken(error.reason, page.body)
            return Reading(digest=digest, keys=(), fresh=())
        if problems:
            self._break(str(problems[0]), len(problems))
            refusal = Refusal(body=page.body, problems=tuple(problems[:_SET_ASIDE]))
            await self._keeper.set_aside([refusal])
        subjects = self._subjects(rows)
        keys = [row.key for row in rows]
        self._seen.update(subjects)
        if not problems:
            self._pages[digest] = Seen(keys, subjects, [row.digest for row in rows])
        return Reading(digest=digest, keys=keys, fresh=await self._fresh(rows, subjects))

    def see_again(self, digest: bytes) -> Reading | None:
        """See `survey.Survey`."""
        return None if self._lines.held else self._recall(digest)

    def _recall(self, digest: bytes) -> Reading | None:
        """A page with these rows, if all that it says is known."""
        page = self._pages.get(digest) or self._memory.pages.get(digest)
        if page is None or not page.settled(self._lines.known, self._scope.view):
            return None
        self._seen.update(page.subjects)
        self._pages[digest] = page
        return Reading(digest=digest, keys=page.keys, fresh=())

    def _subjects(self, rows: Sequence[Sighting]) -> Sequence[str]:
        if self._scope.system in _KEYS_REPEAT:
            return occurrences(rows, self._lines.known, self._lines.siblings)
        return [row.key for row in rows]

    async def _fresh(self, rows: Sequence[Sighting], subjects: Sequence[str]) -> Sequence[Fresh]:
        """The rows that are to be told. Of the others those seen in another view are noted."""
        known, view = self._lines.known, self._scope.view
        fresh = []
        for number, (row, subject) in enumerate(zip(rows, subjects, strict=True), 1):
            line = known.get(subject)
            if line is None or line.digest != row.digest:
                fresh.append(
                    Fresh(subject=subject, key=row.key, content=row.content, digest=row.digest)
                )
            elif line.view != view:
                self._moved[subject] = Known(line.digest, line.revision, view, line.ended)
            if number % _GLANCES == 0:
                await asyncio.sleep(0)
        return fresh

    # --- events out --------------------------------------------------------------------------

    async def tell(self, fresh: Sequence[Fresh], details: Mapping[str, bytes | None] = {}) -> None:
        """See `survey.Survey`."""
        refused: list[Refusal] = []
        once = {row.subject: row for row in fresh}  # of one line the last word counts
        for batch in batches(once.values(), details):
            refused += await self._tell(batch, details)
        if refused:
            self._break(str(refused[0].problems[0]), len(refused))
            await self._keeper.set_aside(refused[:_SET_ASIDE])

    async def _tell(
        self, batch: Sequence[Fresh], details: Mapping[str, bytes | None]
    ) -> Sequence[Refusal]:
        """Commit what these rows say; those that say nothing sensible come back."""
        known = self._lines.known
        bodies = await self._keeper.last_told([row.subject for row in batch])
        now = timestamp(utc_now())
        events: list[Event] = []
        lasting: dict[str, Known] = {}
        passing: dict[str, Known] = {}
        refused = []
        for number, row in enumerate(batch, 1):
            self._seen.add(row.subject)
            line = known.get(row.subject)
            try:
                told = self._teller.tell(row, line, bodies.get(row.subject), details, now)
            except Refused as error:
                problem = Problem(reason=error.reason)
                refused.append(Refusal(body=row.content, problems=(problem,)))
                continue
            if told is not None and told.known != line:
                (lasting if told.lasting else passing)[row.subject] = told.known
                self._moved.pop(row.subject, None)
                if told.event is not None:
                    events.append(told.event)
            if number % _NORMALISED == 0:
                await asyncio.sleep(0)
        await self._keeper.keep(events, lasting)
        self._lines.learn(passing)
        return refused

    # --- what is broken ----------------------------------------------------------------------

    async def broken(self, reason: str, body: bytes | None = None) -> None:
        """See `survey.Survey`."""
        self._break(reason)
        await self._set_aside_whole(reason, body)

    async def lacking(self, reason: str, body: bytes | None = None) -> None:
        """See `survey.Survey`."""
        self._report(reason)
        await self._set_aside_whole(reason, body)

    def _break(self, reason: str, times: int = 1) -> None:
        if times > 1:
            reason = f"{reason} (and {times - 1} more rows)"
        self._incomplete = self._incomplete or reason
        self._report(reason)

    def _report(self, reason: str) -> None:
        scope = self._scope
        self._means.metrics.broken_answers.labels(scope.origin).inc()
        self._means.log.poll_broken(source=scope.origin, scope=scope.source, reason=reason)

    async def _set_aside_whole(self, reason: str, body: bytes | None) -> None:
        if body:
            await self._keeper.set_aside([Refusal(body=body, problems=(Problem(reason=reason),))])

    # --- the end -----------------------------------------------------------------------------

    def missing(self) -> Sequence[tuple[str, str]]:
        """See `survey.Survey`."""
        repeat = self._scope.system in _KEYS_REPEAT
        missing = self._verdict().clear
        return [(subject, natural(subject) if repeat else subject) for subject in missing]

    def _verdict(self) -> Verdict:
        """What a complete survey may clear; nothing where this one is not."""
        if self._incomplete is not None or not self._pages:
            return Verdict()
        view = self._scope.view
        open_lines, missing = 0, []
        for subject, line in self._lines.known.items():
            if not line.ended and (line.view == view or subject in self._moved):
                open_lines += 1
                if subject not in self._seen:
                    missing.append(subject)
        open_lines -= self._keeper.told["backorder.opened"]  # those of before it are what counts
        share, count = self._scope.hold_share, self._scope.hold_count
        return judge(open_lines, missing, self._lines.held, share=share, count=count)

    async def finish(self, ended: Mapping[str, bytes | None]) -> Tally:
        """See `survey.Survey`."""
        if not self._pages and self._incomplete is None:
            self._incomplete = "nothing was read"
        verdict = self._verdict()
        over = [subject for subject in verdict.clear if subject in ended]
        held = self._held(verdict, over)
        states = self._moved | self._gone()
        for some in parts(states.items(), STATES):
            await self._keeper.keep(lines=dict(some))
        for subjects in parts(over, EVENTS):
            await self._clear(subjects, ended)
        if held != self._lines.held:
            await self._keeper.keep(held=held)
        self._memory.pages = self._pages
        self.finished = True
        told = self._keeper.told
        tally = Tally(
            seen=len(self._seen),
            opened=told["backorder.opened"],
            updated=told["backorder.updated"],
            cleared=told["backorder.cleared"],
            held=len(held),
            unconfirmed=len(verdict.clear) - len(over),
            incomplete=self._incomplete,
        )
        self._tell_of(tally, verdict)
        return tally

    def _gone(self) -> dict[str, Known]:
        """Lines that a detail ended, and whose row is not listed any more: the same row, once it is
        back, opens them again.
        """
        if self._incomplete is not None:
            return {}
        view, seen = self._scope.view, self._seen
        return {
            subject: Known(AGAIN, line.revision, view, ended=True)
            for subject, line in self._lines.known.items()
            if line.ended and line.digest != AGAIN and line.view == view and subject not in seen
        }

    def _held(self, verdict: Verdict, over: Sequence[str]) -> frozenset[str]:
        """What is held from now on."""
        if self._incomplete is not None:
            return self._lines.held - self._seen
        # What two surveys agree on, and nobody confirms, stays held: it would be asked for again
        # in every second one only.
        return verdict.hold | verdict.agreed.difference(over)

    async def _clear(self, subjects: Sequence[str], ended: Mapping[str, bytes | None]) -> None:
        bodies = await self._keeper.last_told(subjects)
        now = timestamp(utc_now())
        events: list[Event] = []
        lines: dict[str, Known] = {}
        for number, subject in enumerate(subjects, 1):
            line = self._lines.known[subject]
            body, detail = bodies.get(subject), ended[subject]
            try:
                events.append(self._teller.cleared(subject, line, body, detail, now))
            except Refused as error:  # what is kept of it, not what came: it stays open
                self._report(error.reason)
                continue
            lines[subject] = Known(AGAIN, line.revision + 1, self._scope.view, ended=True)
            if number % _NORMALISED == 0:
                await asyncio.sleep(0)
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


async def _run(away: bool, work: Callable[[bytes], T], content: bytes) -> T:  # noqa: FBT001 - private
    return await asyncio.to_thread(work, content) if away else work(content)
