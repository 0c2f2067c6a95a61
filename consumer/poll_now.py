"""Polling one source without a daemon, on the daemon's own journal: what `poll` does.

The journal is opened for writing, so this and a running daemon keep each other out; what it tells
is told to the sinks by the next daemon that opens the journal.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import cast

from msgspec import Struct

from consumer import plugins
from consumer.app import load_schemas
from consumer.config import journal_path
from consumer.errors import JournalInUse, Refused, Unavailable, Unusable
from consumer.intake import Intake
from consumer.journal.sqlite import SqliteJournal
from consumer.listener import Listener
from consumer.model import Record
from consumer.polling import PollOptions
from consumer.ports import Ground, Journal, Poller
from consumer.settings import Settings
from consumer.surveyor import Surveyor
from consumer.telemetry import Log, Metrics
from consumer.validation import Schemas

# Events that are read from the journal at a time.
_PAGE = 500


class Silence:
    """A status that nobody asks for: what a round says is what `poll` returns or raises."""

    def up(self, note: str = "") -> None:
        """See `ports.Status`."""

    def down(self, reason: str) -> None:
        """See `ports.Status`."""

    def note(self, note: str) -> None:
        """See `ports.Status`."""


class Round(Struct, frozen=True):
    """What one round found: events in their order, and what a person should know besides.

    The events are read from the journal as they are asked for, once, and before the next round.
    `trouble` is what the round failed of, if it did; what it told before that counts all the same.
    """

    events: AsyncIterator[Record]
    note: str = ""
    trouble: Unavailable | Refused | None = None


def poll_options(settings: Settings, name: str) -> PollOptions:
    """What is configured for the polled source `name`; Unusable where there is no such source."""
    polled = {each.name: each for each in settings.sources if isinstance(each, PollOptions)}
    if name not in polled:
        told = any(each.name == name for each in settings.sources)
        reason = f"{name} is told of back-orders and never asks" if told else f"no source {name}"
        known = f"Sources that poll: {', '.join(polled)}" if polled else "No source here polls"
        raise Unusable(reason, known)
    return polled[name]


def ground_for(journal: Journal, schemas: Schemas, settings: Settings) -> Ground:
    """What a polled source stands on where there is no daemon: its events go to the journal."""
    metrics, log = Metrics(), Log()
    intake = Intake(
        journal,
        schemas,
        settings=settings.intake,
        privacy=settings.privacy,
        metrics=metrics,
        log=log,
        committed=lambda: None,
    )
    surveys = Surveyor(
        journal, commit=intake.commit, privacy=settings.privacy, metrics=metrics, log=log
    )
    listener = Listener(settings.webhooks)  # never opened: a poller registers no path
    return Ground(intake=intake, status=Silence(), webhooks=listener, surveys=surveys)


@asynccontextmanager
async def polling(settings: Settings, name: str) -> AsyncIterator[Callable[[], Awaitable[Round]]]:
    """Open the journal; what is yielded polls once and tells what came of it.

    Raises `Unusable` where there is no such source or a daemon has the journal; a round raises
    `JournalUnavailable` where the journal cannot be read.
    """
    options = poll_options(settings, name)
    source = cast(Poller, plugins.sources()[options.type](options))
    schemas = await asyncio.to_thread(load_schemas, settings)
    async with _opened(SqliteJournal(journal_path(settings.journal.url))) as journal:
        ground = ground_for(journal, schemas, settings)

        async def once() -> Round:
            before = (await journal.positions()).head
            note, trouble = "", None
            try:
                note = await source.poll(ground)
            except (Unavailable, Refused) as error:
                trouble = error
            return Round(_after(journal, before), note, trouble)

        yield once


@asynccontextmanager
async def _opened(journal: SqliteJournal) -> AsyncIterator[SqliteJournal]:
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(journal)
        except JournalInUse as error:
            hint = "That daemon polls by itself: `events --follow` shows what changes"
            raise JournalInUse(error.reason, hint) from None
        yield journal


async def _after(journal: Journal, seq: int) -> AsyncIterator[Record]:
    while page := await journal.read(seq, limit=_PAGE):
        for record in page:
            yield record
        seq = page[-1].seq
