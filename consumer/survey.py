"""The port between a poller and the journal: one look at what an upstream shows at present.

A poller fetches and a survey understands: rows go in as pages, and what is new in what they say of
order lines is committed as events. `consumer.surveyor` implements it.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date
from typing import Protocol

from msgspec import Struct

from consumer.model import Scope


class Page(Struct, frozen=True, kw_only=True):
    """Rows as an upstream sent them: a whole answer, or one page of it.

    `content` is the JSON array of the rows, byte for byte; `body` the answer that it stood in, for
    the quarantine.
    """

    content: bytes
    body: bytes


class Fresh(Struct, frozen=True, kw_only=True):
    """A row that says something else than what was told of its line, or is new.

    `key` is the upstream's own (for CINX the `cinx_guid`), `subject` the line's in the event.
    """

    subject: str
    key: str
    content: bytes
    digest: bytes


class Reading(Struct, frozen=True, kw_only=True):
    """What one page held. `keys` are those of its rows, in its order; `fresh` are to be told.

    `digest` tells pages with the same rows in the same order.
    """

    digest: bytes
    keys: Sequence[str]
    fresh: Sequence[Fresh]


class Tally(Struct, frozen=True, kw_only=True):
    """What became of one survey, in lines.

    `seen` lines are there. `held` ones are missing, and not believed to be over until another
    complete survey agrees; `unconfirmed` ones were among `missing`, but nobody said that they are
    over: they are asked for again next time. `incomplete` is why nothing was cleared for not being
    there (a detail may have said all the same that a line is over); None: the survey was complete.
    """

    seen: int = 0
    opened: int = 0
    updated: int = 0
    cleared: int = 0
    held: int = 0
    unconfirmed: int = 0
    incomplete: str | None = None


class Survey(Protocol):
    """One look at one scope: pages in, events out, and at the end what is not there any more.

    Events of lines that are new or changed are committed while it goes on, each together with the
    state of its line. What is missing counts only at the end, and only where nothing was broken.
    """

    async def see(self, page: Page) -> Reading:
        """Compare rows with what was told. What cannot be read is quarantined, logged and counted,
        and makes the survey incomplete; the other rows of the page count all the same.
        """
        ...

    def see_again(self, digest: bytes) -> Reading | None:
        """The page of this digest as the survey before it saw it (HTTP 304); None: fetch it.

        While lines are held that wait for a second survey nothing is answered: a cache must not be
        the second witness.
        """
        ...

    async def tell(self, fresh: Sequence[Fresh], details: Mapping[str, bytes | None] = {}) -> None:
        """Commit what these rows say. `details`, by key: a detail row as JSON beside the list's;
        None: it could not be had now, so it is asked for again next time. A detail that cannot be
        read is quarantined and reported as `lacking` does, and counts as one that could not be had.

        Of several rows of one line that were seen the last one counts, even where it is not fresh.

        Raises `JournalUnavailable`.
        """
        ...

    async def broken(self, reason: str, body: bytes | None = None) -> None:
        """An answer was broken: one log line and a metric; its `body`, if any, is quarantined.

        The survey is incomplete then. `reason` carries neither secret nor personal data.
        """
        ...

    async def lacking(self, reason: str, body: bytes | None = None) -> None:
        """A detail was broken: as `broken`, but the list stays whole."""
        ...

    def missing(self) -> Sequence[tuple[str, str]]:
        """(subject, key) of lines that were told and are not there any more, if all has been seen.

        Empty where the survey is incomplete; without those that are held.
        """
        ...

    async def finish(self, ended: Mapping[str, bytes | None]) -> Tally:
        """Commit the end: `ended` are the subjects of `missing` that are really over, with their
        last detail row where there is one. Those of `missing` left out stay open.

        Raises `JournalUnavailable`.
        """
        ...


class Surveys(Protocol):
    """Where pollers bring what they see."""

    def survey(self, scope: Scope) -> AbstractAsyncContextManager[Survey]:
        """A look at one scope. One at a time for each `scope.source`: a second one waits."""
        ...

    async def watching(self, origin: str, sources: Collection[str]) -> None:
        """Which scopes (event sources) the source `origin` polls from now on.

        Lines of others that it polled once stay as they are; that is logged and counted.
        """
        ...

    def failed(self, origin: str, reason: str) -> None:
        """An answer that is about no scope was broken: one log line and a metric. It is not kept:
        such answers are about credentials. `reason` as in `Survey.broken`.
        """
        ...

    def subscribed(
        self, origin: str, ends: Mapping[str, date | None], *, warn: Collection[str]
    ) -> None:
        """Until when the subscriptions last that `origin` polls with, by organisation: all of them,
        in place of what was told before. For the metrics; those of `warn` for the log too, once a
        day.
        """
        ...
