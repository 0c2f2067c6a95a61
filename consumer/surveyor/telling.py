"""A row, and what is known of its line, as what it makes known: an event, a state, or nothing.

Whatever is wrong with what an upstream sent, and whatever our own code stumbles over, comes out of
here as `Refused`.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from consumer.errors import Refused
from consumer.event import Data, Event, Line, Moment, Order, Quantity
from consumer.model import Known, Problem, Scope
from consumer.normalisation.polled import POLLED
from consumer.privacy import protect
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


class Told(Struct, frozen=True):
    """What a row makes known. `lasting`: it is for the journal, which knows told lines only."""

    event: Event | None
    known: Known
    lasting: bool = True


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
        self._protect = partial(protect, settings=privacy)
        self._log = log

    def rows(self, content: bytes) -> tuple[Sequence[Sighting], Sequence[Problem]]:
        """The rows of a page, and what is wrong with others of it; runs on any thread."""
        with self._stumbling():
            rows, problems = self._polled.rows(content, self._account)
            return [Sighting(key, row, digest_of(row)) for key, row in rows], problems

    def tell(
        self,
        row: Fresh,
        known: Known | None,
        body: bytes | None,
        details: Mapping[str, bytes | None],
        time: Moment,
    ) -> Told | None:
        """What a row makes known; None where that has to wait for its detail.

        `body` is the last event of a line that is open, `details` as in `Survey.tell`.
        """
        with self._stumbling():
            detail = details.get(row.key)
            lacking = detail is None and row.key in details
            if detail is not None and self._polled.over(detail):
                return self._over(row, known, body, detail, time)
            if lacking and known is not None and known.ended and known.digest != AGAIN:
                return None  # a detail said that the line is over: only a detail takes that back
            data = self._polled.line(row.content, account=self._account, detail=detail)
            digest = AGAIN if lacking else row.digest
            revision = self._floor if known is None else known.revision + 1
            about = self._about(row.subject, revision, time)
            if known is None or known.ended:
                event = opened(about, data, self._protect)
                return Told(event, Known(digest, revision, self._scope.view))
            before = self._before(body)
            keep = partial(self._carried, before) if lacking and before else self._protect
            changed = updated(about, data, before, keep)
            revision = revision if changed else known.revision
            return Told(changed, Known(digest, revision, self._scope.view))

    def _carried(self, before: Data, event: Event) -> Event:
        """The event as it is kept, with what earlier details said; they are kept already."""
        event = self._protect(event)
        data = self._polled.carry(event.data, before)
        return self._protect(replace(event, data=data))  # it may be kept better than it was then

    def _over(
        self, row: Fresh, known: Known | None, body: bytes | None, detail: bytes, time: Moment
    ) -> Told:
        """The list still shows what is over: it is over, and this very row opens it no more."""
        if known is None or known.ended:  # nobody was told that it was open
            revision = self._floor - 1 if known is None else known.revision
            known = Known(row.digest, revision, self._scope.view, ended=True)
            return Told(None, known, lasting=False)
        event = self.cleared(row.subject, known, body, detail, time)
        return Told(event, Known(row.digest, known.revision + 1, self._scope.view, ended=True))

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
        return None if body is None else _bodies.decode(body).data

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
