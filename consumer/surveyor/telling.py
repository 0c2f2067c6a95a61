"""A row, and what is known of its line, as what it makes known: an event, a state, or nothing.

Whatever is wrong with what an upstream sent, and whatever our own code stumbles over, comes out of
here as `Refused`.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from consumer.errors import Refused
from consumer.event import Change, Data, Event, Line, Moment, Order, Quantity
from consumer.model import Known, Problem, Scope
from consumer.normalisation.polled import POLLED
from consumer.privacy import are_comparable, protect, protected
from consumer.settings import PrivacySettings
from consumer.snapshot import About, Sighting, cleared, opened, updated
from consumer.survey import Fresh
from consumer.telemetry import Log

_DIGEST = 16  # bytes; nobody gains anything by a collision, which could only hide a change

AGAIN = b""
"""The digest of no row: whatever the row says, it is looked at again."""


def digest_of(content: bytes) -> bytes:
    """What tells one row, or one page, from another."""
    return hashlib.sha256(content).digest()[:_DIGEST]


class Case(NamedTuple):
    """A row to tell, what is known of its line, its last event if it is open, and the moment."""

    row: Fresh
    known: Known | None
    body: bytes | None
    time: Moment


class Told(Struct, frozen=True):
    """What a row makes known: an event, if it says anything new, and the line's state after it.

    `flaw` is why its detail cannot be read, if so; then it is told as if there had been none.
    """

    event: Event | None
    known: Known | None
    flaw: str | None = None


class _Body(Struct):
    data: Data


_bodies = msgspec.json.Decoder(_Body)


class Teller:
    """Reads the rows of one scope. `floor` is the revision that a new line begins with."""

    def __init__(self, scope: Scope, floor: int, privacy: PrivacySettings, log: Log) -> None:
        self._scope = scope
        self._floor = floor
        self._polled = POLLED[scope.system]
        self._account = scope.source.split("/", 2)[2]
        self._privacy = privacy
        self._protect = partial(protect, settings=privacy)
        self._log = log

    def rows(self, content: bytes) -> tuple[Sequence[Sighting], Sequence[Problem]]:
        """The rows of a page, and what is wrong with others of it; runs on any thread."""
        with self._stumbling():
            rows, problems = self._polled.rows(content, self._account)
            return [Sighting(key, row, digest_of(row)) for key, row in rows], problems

    def tell(self, case: Case, details: Mapping[str, bytes | None]) -> Told:
        """What a row makes known; `details` as in `Survey.tell`. Runs on any thread."""
        detail = details.get(case.row.key)
        if detail is None:
            return self._tell(case, None, lacking=case.row.key in details)
        try:
            return self._tell(case, detail)
        except Refused as error:
            # If it is the row that is broken, it is refused once more.
            return replace(self._tell(case, None, lacking=True), flaw=error.reason)

    def _tell(self, case: Case, detail: bytes | None, *, lacking: bool = False) -> Told:
        """With its detail, or without; `lacking`: it was asked for, and could not be had."""
        row, known, body, time = case
        with self._stumbling():
            if detail is not None and self._polled.over(detail):
                return self._over(case, detail)
            if lacking and known is not None and known.ended and known.digest != AGAIN:
                # A detail said that the line is over: only a detail takes that back.
                return Told(None, known)
            data = self._polled.line(row.content, account=self._account, detail=detail)
            digest = AGAIN if lacking else row.digest
            revision = self._floor if known is None else known.revision + 1
            about = self._about(row.subject, revision, time)
            if known is None or known.ended:
                event = opened(about, data, self._protect)
                return Told(event, Known(digest, revision, self._scope.view))
            changed = self._updated(about, data, self._before(body), alone=detail is None)
            revision = revision if changed else known.revision
            return Told(changed, Known(digest, revision, self._scope.view))

    def _updated(
        self, about: About, data: Data, before: Data | None, *, alone: bool
    ) -> Event | None:
        """What is new in a row, which came `alone` or with its detail.

        Where it cannot be told what changed in the parties, that they differ is nothing new.
        """
        keep = partial(self._carried, before) if before is not None and alone else self._protect
        event = updated(about, data, before, keep)
        if event is None or before is None or are_comparable(before.parties, event.data.parties):
            return event
        changes = tuple(change for change in event.data.changes or () if not _is_of_parties(change))
        return replace(event, data=replace(event.data, changes=changes)) if changes else None

    def _carried(self, before: Data, event: Event) -> Event:
        """The event as it is kept, with what earlier details said."""
        event = self._protect(event)
        return replace(event, data=self._polled.carry(event.data, before))

    def _over(self, case: Case, detail: bytes) -> Told:
        """The list still shows what is over: it is over, and this very row opens it no more."""
        row, known, view = case.row, case.known, self._scope.view
        if known is None:  # nobody was told that it was open
            return Told(None, Known(row.digest, self._floor - 1, view, ended=True))
        if known.ended:
            return Told(None, Known(row.digest, known.revision, view, ended=True))
        event = self.cleared(row.subject, known, case.body, detail, case.time)
        return Told(event, Known(row.digest, known.revision + 1, view, ended=True))

    def cleared(
        self, subject: str, known: Known, body: bytes | None, detail: bytes | None, time: Moment
    ) -> Event:
        """The end of a line; `body` is its last event, `detail` its last detail row if any."""
        with self._stumbling():
            about = self._about(subject, known.revision + 1, time)
            before = self._before(body) or Data(order=Order(), line=Line(), quantity=Quantity())
            return cleared(about, before, self._since(detail), self._protect)

    def _since(self, detail: bytes | None) -> Moment | None:
        """Since when a detail says that its line is over. It reads as a row that says more."""
        try:
            with self._stumbling():
                if detail is None or not self._polled.over(detail):
                    return None
                said = self._polled.line(detail, account=self._account, detail=detail)
                return said.dates.cleared
        except Refused:
            return None  # that it is over is known all the same

    def _before(self, body: bytes | None) -> Data | None:
        """What the last event said, as it would be kept now: two settings cannot be compared."""
        return None if body is None else protected(_bodies.decode(body).data, self._privacy)

    def _about(self, subject: str, revision: int, time: Moment) -> About:
        return About(source=self._scope.source, subject=subject, time=time, revision=revision)

    @contextmanager
    def _stumbling(self) -> Iterator[None]:
        try:
            yield
        except Refused:
            raise
        except Exception as error:  # noqa: BLE001 - rule 3: a bug of ours breaks one answer
            self._log.bug(where="surveyor", error=error)
            raise Refused(f"this program failed on it ({type(error).__name__})") from None


def _is_of_parties(change: Change) -> bool:
    return change.field.startswith("parties.")
