"""The surveyor: hands out surveys, one at a time for a scope, and knows which scopes are polled."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, date, datetime, time
from time import monotonic

from msgspec import Struct

from consumer.model import Scope, utc_now
from consumer.ports import Journal
from consumer.settings import PrivacySettings
from consumer.survey import Survey
from consumer.surveyor.keeping import Means
from consumer.surveyor.looking import ScopeSurvey
from consumer.surveyor.memory import Commit, Memory
from consumer.telemetry import Log, Metrics


class _Size(Struct, frozen=True):
    """How many lines of a scope are open, and how many of them are held; `origin` polls it."""

    origin: str
    open: int
    held: int


class Surveyor:
    """Implements `survey.Surveys`. `commit` keeps entries in `journal`: all of them, or it raises
    `JournalUnavailable`.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        commit: Commit,
        privacy: PrivacySettings,
        metrics: Metrics,
        log: Log,
    ) -> None:
        self._means = Means(
            journal=journal, commit=commit, privacy=privacy, metrics=metrics, log=log
        )
        self._memories: dict[str, Memory] = {}
        self._sizes: dict[str, _Size] = {}
        self._configured: Collection[str] | None = None
        self._announced: Collection[str] = ()
        self._watching: dict[str, frozenset[str]] = {}
        self._unwatched: dict[str, int] = {}  # open lines, by origin
        self._said: set[str] = set()
        self._warned: dict[tuple[str, str], date] = {}

    # --- surveys -----------------------------------------------------------------------------

    @asynccontextmanager
    async def survey(self, scope: Scope) -> AsyncIterator[Survey]:
        """See `survey.Surveys`; raises `JournalUnavailable` where nothing can be known."""
        memory = self._memories.setdefault(scope.source, Memory())
        async with memory.turn:
            begun = monotonic()
            survey, wait = None, True
            try:
                lines = await memory.recall(self._means.journal, scope.source)
                survey = ScopeSurvey(scope, memory, lines, self._means)
                yield survey
            except asyncio.CancelledError:
                wait = False
                raise
            finally:
                try:
                    if survey is not None:
                        await survey.leave(wait=wait)
                finally:
                    self._account(scope, memory, survey, monotonic() - begun)

    def _account(
        self, scope: Scope, memory: Memory, survey: ScopeSurvey | None, seconds: float
    ) -> None:
        if survey is None or not survey.finished:
            self._means.metrics.polls.labels(scope.origin, "failed").inc()
        if memory.lines is not None:
            size = _Size(scope.origin, memory.lines.open, len(memory.lines.doubted))
            self._sizes[scope.source] = size
        self._means.metrics.poll_seconds.labels(scope.origin).observe(seconds)
        self._measure(scope.origin)

    def _measure(self, origin: str) -> None:
        sizes = [size for size in self._sizes.values() if size.origin == origin]
        metrics = self._means.metrics
        metrics.watched_lines.labels(origin).set(sum(size.open for size in sizes))
        metrics.held_lines.labels(origin).set(sum(size.held for size in sizes))

    # --- what is polled ----------------------------------------------------------------------

    async def watching(self, origin: str, sources: Collection[str]) -> None:
        """See `survey.Surveys`; raises `JournalUnavailable`."""
        if self._watching.get(origin) == frozenset(sources):
            return
        await self._look_for_unwatched({**self._watching, origin: frozenset(sources)})
        for source in self._watching.get(origin, frozenset()).difference(sources):
            self._sizes.pop(source, None)
            memory = self._memories.get(source)
            if memory is not None and memory.is_idle:
                del self._memories[source]
        self._watching[origin] = frozenset(sources)
        self._measure(origin)

    async def tell_unwatched(
        self, configured: Collection[str], polled: Collection[str] = ()
    ) -> None:
        """Log and count the open lines whose source is not among the `configured` ones any more.

        To be called once, at the start. `polled` are the scopes that the configured sources will
        poll, as far as that is known: a source that was only renamed leaves none behind.
        """
        self._configured, self._announced = frozenset(configured), frozenset(polled)
        await self._look_for_unwatched(self._watching)

    async def _look_for_unwatched(self, watching: dict[str, frozenset[str]]) -> None:
        watched = set(self._announced).union(*watching.values())
        open_lines: Counter[tuple[str, str]] = Counter()
        for scope in await self._means.journal.scopes():
            left = self._configured is not None and scope.origin not in self._configured
            if scope.source not in watched and (left or scope.origin in watching):
                open_lines[scope.origin, scope.source] += scope.open
        by_origin = dict.fromkeys(self._unwatched, 0)
        for (origin, source), lines in open_lines.items():
            by_origin[origin] = by_origin.get(origin, 0) + lines
            if lines and source not in self._said:
                self._said.add(source)
                self._means.log.unwatched(source=origin, scope=source, lines=lines)
        for origin, lines in by_origin.items():
            self._means.metrics.unwatched_lines.labels(origin).set(lines)
        self._unwatched = by_origin

    def failed(self, origin: str, reason: str) -> None:
        """See `survey.Surveys`."""
        self._means.metrics.broken_answers.labels(origin).inc()
        self._means.log.poll_broken(source=origin, scope="", reason=reason)

    # --- subscriptions -----------------------------------------------------------------------

    def subscribed(
        self, origin: str, ends: Mapping[str, date | None], *, warn: Collection[str]
    ) -> None:
        """See `survey.Surveys`."""
        gauge = self._means.metrics.subscription_end
        if known := [end for end in ends.values() if end is not None]:
            first = datetime.combine(min(known), time.min, UTC)
            gauge.labels(origin).set(first.timestamp())
        else:
            with suppress(KeyError):  # it was never told
                gauge.remove(origin)
        today = utc_now().date()
        for organisation in warn:
            if self._warned.get((origin, organisation)) != today:
                self._warned[origin, organisation] = today
                end = ends.get(organisation)
                said = end.isoformat() if end else "not known"
                self._means.log.subscription_ends(
                    source=origin, organisation=organisation, date=said
                )
