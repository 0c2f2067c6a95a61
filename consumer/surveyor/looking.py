"""One survey: pages in, events out while it goes on; `ending` is what comes then."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

from consumer.errors import Refused
from consumer.event import Event, timestamp
from consumer.model import Known, Problem, Refusal, Scope, utc_now
from consumer.snapshot import Sighting, natural, occurrences
from consumer.survey import Fresh, Page, Reading, Tally
from consumer.surveyor.ending import Ending, Found
from consumer.surveyor.keeping import Keeper, Means, batches
from consumer.surveyor.memory import Lines, Memory, Seen
from consumer.surveyor.telling import Case, Teller, Told, digest_of
from consumer.surveyor.turns import PAGE_ON_THE_LOOP, Rows, run

# Systems whose natural keys may stand several times in one answer. Elsewhere the key is an id: the
# same one twice is one line, whose row moved from one page to another.
_KEYS_REPEAT = frozenset({"mvet"})

# Rows that are compared until others get their turn.
_GLANCES = 2000

# Of a page full of broken rows so many are set aside.
_SET_ASIDE = 100


class ScopeSurvey:
    """Implements `survey.Survey`; whoever made it holds the scope's turn, and calls `leave`."""

    def __init__(self, scope: Scope, memory: Memory, lines: Lines, means: Means) -> None:
        self._scope = scope
        self._memory = memory
        self._lines = lines
        self._means = means
        self._keys_repeat = scope.system in _KEYS_REPEAT
        self._keeper = Keeper(scope, memory, lines, means)
        self._teller = Teller(scope, lines.floor, means.privacy, means.log)
        self._ending = Ending(scope, memory, self._keeper, self._teller, means)
        self._found = Found()
        self.finished = False

    # --- pages in ----------------------------------------------------------------------------

    async def see(self, page: Page) -> Reading:
        """See `survey.Survey`."""
        away = len(page.content) > PAGE_ON_THE_LOOP
        digest = await run(partial(digest_of, page.content), away=away)
        if again := self._recall(digest):
            return again
        try:
            rows, problems = await run(partial(self._teller.rows, page.content), away=away)
        except Refused as error:
            await self.broken(error.reason, page.body)
            return Reading(digest=digest, keys=(), fresh=())
        keys = [row.key for row in rows]
        rows, subjects = self._lines_of(rows)
        seen = Seen(keys, subjects, [row.digest for row in rows])
        self._saw(seen)
        if not problems:
            self._found.pages[digest] = seen
        else:
            self._break(str(problems[0]), len(problems))
            # The rows alone: what stands around them is another one in every answer.
            refusal = Refusal(body=page.content, problems=tuple(problems[:_SET_ASIDE]))
            await self._keeper.set_aside([refusal])
        return Reading(digest=digest, keys=keys, fresh=await self._fresh(rows, subjects))

    def see_again(self, digest: bytes) -> Reading | None:
        """See `survey.Survey`."""
        return None if self._lines.doubted else self._recall(digest)

    def _recall(self, digest: bytes) -> Reading | None:
        """A page with these rows, if all that it says is known."""
        page = self._found.pages.get(digest) or self._memory.pages.get(digest)
        if page is None or not page.settled(self._lines.known, self._scope.view):
            return None
        self._saw(page)
        self._found.pages[digest] = page
        return Reading(digest=digest, keys=page.keys, fresh=())

    def _saw(self, page: Seen) -> None:
        self._found.seen.update(zip(page.subjects, page.digests, strict=True))

    def _lines_of(self, rows: Sequence[Sighting]) -> tuple[Sequence[Sighting], Sequence[str]]:
        """The rows that count, and the subjects of their lines."""
        if self._keys_repeat:
            return rows, occurrences(rows, self._lines.known, self._lines.siblings)
        last = {row.key: row for row in rows}
        return list(last.values()), list(last)

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
                self._found.moved[subject] = Known(line.digest, line.revision, view, line.ended)
            if number % _GLANCES == 0:
                await asyncio.sleep(0)
        return fresh

    # --- events out --------------------------------------------------------------------------

    async def tell(self, fresh: Sequence[Fresh], details: Mapping[str, bytes | None] = {}) -> None:
        """See `survey.Survey`."""
        refused: list[Refusal] = []
        flawed: list[Refusal] = []
        seen = self._found.seen
        # Of one line the last word counts, be it new or not.
        once = {
            row.subject: row
            for row in fresh
            if seen.setdefault(row.subject, row.digest) == row.digest
        }
        for batch in batches(once.values(), details):
            await self._tell(batch, details, refused, flawed)
        if refused:
            self._break(str(refused[0].problems[0]), len(refused))
        if flawed:
            self._means.report(self._scope, str(flawed[0].problems[0]), len(flawed))
        if refused or flawed:
            await self._keeper.set_aside([*refused[:_SET_ASIDE], *flawed[:_SET_ASIDE]])

    async def _tell(
        self,
        batch: Sequence[Fresh],
        details: Mapping[str, bytes | None],
        refused: list[Refusal],
        flawed: list[Refusal],
    ) -> None:
        """Commit what these rows say; `refused` and `flawed` take rows and details that say nothing
        sensible.
        """
        known = self._lines.known
        bodies = await self._keeper.last_told([row.subject for row in batch])
        now = timestamp(utc_now())
        turns = Rows()
        news: dict[str, Told] = {}
        for row in batch:
            detail = details.get(row.key) or b""
            case = Case(row, known.get(row.subject), bodies.get(row.subject), now)
            size = len(row.content) + len(detail) + len(case.body or b"")
            try:
                told = await turns.run(size, partial(self._teller.tell, case, details))
            except Refused as error:
                refused.append(_refusal(row.content, error.reason))
                continue
            if told.flaw is not None:
                flawed.append(_refusal(detail, told.flaw))
            if told.known != case.known:
                news[row.subject] = told
        await self._keep(news)

    async def _keep(self, news: Mapping[str, Told]) -> None:
        """Commit what is new, and remember what the journal has no place for."""
        events: list[Event] = []
        lasting: dict[str, Known] = {}
        passing: dict[str, Known] = {}
        for subject, told in news.items():
            self._found.moved.pop(subject, None)
            if told.event is not None:
                events.append(told.event)
                if told.event.type == "backorder.opened":
                    self._found.opened.add(subject)
            if told.known is not None:
                untold = subject not in self._lines.known or subject in self._lines.passing
                (passing if told.event is None and untold else lasting)[subject] = told.known
        await self._keeper.keep(events, lasting)
        self._lines.note(passing)

    # --- what is broken ----------------------------------------------------------------------

    async def broken(self, reason: str, body: bytes | None = None) -> None:
        """See `survey.Survey`."""
        self._break(reason)
        await self._set_aside_whole(reason, body)

    async def lacking(self, reason: str, body: bytes | None = None) -> None:
        """See `survey.Survey`."""
        self._means.report(self._scope, reason)
        await self._set_aside_whole(reason, body)

    def _break(self, reason: str, times: int = 1) -> None:
        said = self._means.report(self._scope, reason, times)
        self._found.incomplete = self._found.incomplete or said

    async def _set_aside_whole(self, reason: str, body: bytes | None) -> None:
        if body:
            await self._keeper.set_aside([_refusal(body, reason)])

    # --- the end -----------------------------------------------------------------------------

    def missing(self) -> Sequence[tuple[str, str]]:
        """See `survey.Survey`."""
        missing = self._ending.verdict(self._found).clear
        return [(each, natural(each) if self._keys_repeat else each) for each in missing]

    async def finish(self, ended: Mapping[str, bytes | None]) -> Tally:
        """See `survey.Survey`."""
        tally = await self._ending.finish(self._found, ended)
        self.finished = True
        return tally

    async def leave(self, *, wait: bool) -> None:
        """What was seen is there, whatever way the survey ends: nothing of it is held any more.

        To `wait` for the commit that says so is for those who have the time.
        """
        if not self.finished and self._memory.believe(self._lines, self._found.seen):
            await self._keeper.keep_held(wait=wait)


def _refusal(body: bytes, reason: str) -> Refusal:
    return Refusal(body=body, problems=(Problem(reason=reason),))
