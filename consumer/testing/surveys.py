"""Surveys for tests of sources that poll, ours and those of plug-in authors.

surveys = RecordingSurveys()
await source.poll(ground(intake, status, surveys=surveys))
[event] = await surveys.events()
"""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date

import msgspec

from consumer.event import Event
from consumer.model import Scope
from consumer.ports import Journal
from consumer.settings import PrivacySettings
from consumer.survey import Fresh, Page, Reading, Survey, Tally
from consumer.surveyor import Surveyor
from consumer.telemetry import Log, Metrics
from consumer.testing.journal import MemoryJournal

_ALL = 1_000_000


class RecordingSurveys:
    """`survey.Surveys` over a journal, in memory unless one is given, that remembers what it hears.

    `pages` are those that were seen, `tallies` the ends of surveys, `broken` and `lacking` the
    reasons, `watched` the scopes by source, `subscriptions` (origin, organisation, end, warned).
    """

    def __init__(
        self, journal: Journal | None = None, privacy: PrivacySettings | None = None
    ) -> None:
        self.journal = journal or MemoryJournal()
        self.metrics = Metrics()
        self.pages: list[Page] = []
        self.tallies: list[Tally] = []
        self.broken: list[str] = []
        self.lacking: list[str] = []
        self.watched: dict[str, frozenset[str]] = {}
        self.subscriptions: list[tuple[str, str, date | None, bool]] = []
        self._surveyor = Surveyor(
            self.journal,
            commit=self.journal.append,
            privacy=privacy or PrivacySettings(),
            metrics=self.metrics,
            log=Log(),
        )

    async def events(self) -> Sequence[Event]:
        """Every event so far, in order."""
        records = await self.journal.read(0, limit=_ALL, max_bytes=1 << 40)
        return [msgspec.json.decode(record.body, type=Event) for record in records]

    @asynccontextmanager
    async def survey(self, scope: Scope) -> AsyncIterator[Survey]:
        """See `survey.Surveys`."""
        async with self._surveyor.survey(scope) as survey:
            yield _Recorded(survey, self)

    async def watching(self, origin: str, sources: Collection[str]) -> None:
        """See `survey.Surveys`."""
        self.watched[origin] = frozenset(sources)
        await self._surveyor.watching(origin, sources)

    def failed(self, origin: str, reason: str) -> None:
        """See `survey.Surveys`."""
        self._surveyor.failed(origin, reason)

    def subscribed(
        self, origin: str, ends: Mapping[str, date | None], *, warn: Collection[str]
    ) -> None:
        """See `survey.Surveys`."""
        self.subscriptions.extend((origin, name, end, name in warn) for name, end in ends.items())
        self._surveyor.subscribed(origin, ends, warn=warn)


class _Recorded:
    """A survey that is listened to."""

    def __init__(self, survey: Survey, recording: RecordingSurveys) -> None:
        self._survey = survey
        self._recording = recording

    async def see(self, page: Page) -> Reading:
        self._recording.pages.append(page)
        return await self._survey.see(page)

    def see_again(self, digest: bytes) -> Reading | None:
        return self._survey.see_again(digest)

    async def tell(self, fresh: Sequence[Fresh], details: Mapping[str, bytes | None] = {}) -> None:
        await self._survey.tell(fresh, details)

    async def broken(self, reason: str, body: bytes | None = None) -> None:
        self._recording.broken.append(reason)
        await self._survey.broken(reason, body)

    async def lacking(self, reason: str, body: bytes | None = None) -> None:
        self._recording.lacking.append(reason)
        await self._survey.lacking(reason, body)

    def missing(self) -> Sequence[tuple[str, str]]:
        return self._survey.missing()

    async def finish(self, ended: Mapping[str, bytes | None]) -> Tally:
        tally = await self._survey.finish(ended)
        self._recording.tallies.append(tally)
        return tally
