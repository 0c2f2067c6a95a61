"""The details of one organisation's back-orders, and what they prove.

Rules
1. A detail that cannot be had holds up nothing. After a few failures in a row no more are asked for
   in this look, of listed lines and of missing ones apart: details that fail for ever must not keep
   a line from being cleared. Those that failed last time come last. Where details are denied none
   is asked for any more in this look; where CINX asks for time, none before that moment, not in
   later looks either.
2. A line is over when its detail says so (`dates.cleared`), or when there is no detail of it any
   more, *and* a witness shows that details work: one of a line that is listed came with its row, in
   the same look. An API that answers every question with "nothing" has no witness.
3. Where nothing is listed nobody can be a witness: then a 404 in so many words counts, and an
   answer without rows does not.
"""

import asyncio
import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from time import monotonic
from typing import TypeVar

from consumer.errors import Denied, Refused, Unavailable, Unreadable
from consumer.normalisation.cinx_envelope import Absent
from consumer.normalisation.polled import POLLED
from consumer.polling.together import together
from consumer.retry import LONGEST_REQUESTED_WAIT
from consumer.sources.cinx.api import Api
from consumer.survey import Survey
from consumer.values import Secret

# So many details that fail one after the other, and no more are asked for in this look.
_PATIENCE = 5

# So many calls wait for their turn, at the most.
_AT_ONCE = 500

_NO_PROOF = (
    "CINX's detail: no row came for a line that is listed either; the {0} lines that are missing"
    " and have no detail stay open"
)
_NO_WITNESS = (
    "CINX's detail: answers without a row, and nothing is listed that would show whether details"
    " work; the {0} lines that are missing and have such a detail stay open"
)

T = TypeVar("T")


class Details:
    """The details that one look after the other asks for.

    `lacking` is why some could not be had in the newest look; empty where they could.
    """

    def __init__(self, api: Api, token: Secret, concurrency: int) -> None:
        self._api = api
        self._token = token
        self._turn = asyncio.Semaphore(concurrency)
        self._not_before = 0.0  # by the monotonic clock
        self._why_not = ""
        self._failures = 0
        self._given_up = False
        self._work = False
        self._failing: set[str] = set()
        self.lacking = ""

    def begin(self) -> None:
        """A new look: what failed in the one before is tried again, unless CINX asked for time."""
        self._failures, self._given_up, self._work, self.lacking = 0, False, False, ""

    def give_up(self) -> None:
        """Ask for no more in this look: they would be denied."""
        self._given_up = True

    async def of_listed(self, survey: Survey, keys: Sequence[str]) -> Mapping[str, bytes | None]:
        """The details of lines that are listed, by key; None where there is none to be had now."""
        found: dict[str, bytes | None] = {}
        for some in _parts(sorted(keys, key=self._failing.__contains__)):
            for key, detail in zip(some, await self._of(survey, some), strict=True):
                found[key] = detail if isinstance(detail, bytes) else None
                self._work = self._work or isinstance(detail, bytes)
        return found

    async def of_missing(
        self, survey: Survey, missing: Sequence[tuple[str, str]], listed: Sequence[str]
    ) -> Mapping[str, bytes | None]:
        """Which of the lines (subject, key) are over, each with its last detail if it has one.

        `listed` are keys that the list has now, one at the least where it has any.
        """
        self._failures = 0
        over: dict[str, bytes | None] = {}
        absent: dict[str, Absent] = {}
        for some in _parts(missing):
            details = await self._of(survey, [key for _, key in some])
            for (subject, _), detail in zip(some, details, strict=True):
                if isinstance(detail, Absent):
                    absent[subject] = detail
                elif detail and POLLED["cinx"].over(detail):
                    over[subject] = detail
        if absent:
            over |= dict.fromkeys(await self._believed(survey, absent, listed))
        return over

    async def _believed(
        self, survey: Survey, absent: Mapping[str, Absent], listed: Sequence[str]
    ) -> Collection[str]:
        """Of the lines without a detail those that are over; rules 2 and 3."""
        if listed and await self._are_working(survey, listed):
            return absent.keys()
        said = {s for s, how in absent.items() if how is Absent.NOT_FOUND and not listed}
        if doubtful := len(absent) - len(said):
            await survey.lacking((_NO_PROOF if listed else _NO_WITNESS).format(doubtful))
        return said

    async def _are_working(self, survey: Survey, listed: Sequence[str]) -> bool:
        if not self._work:
            witness = random.choice(listed)  # noqa: S311 - another one in every look, no secret
            await self.of_listed(survey, [witness])
        return self._work

    async def _of(self, survey: Survey, keys: Sequence[str]) -> Sequence[bytes | Absent | None]:
        return await together(self._ask(survey, key) for key in keys)

    async def _ask(self, survey: Survey, key: str) -> bytes | Absent | None:
        """A detail, or how CINX says that it has none; None where it cannot be had now."""
        async with self._turn:
            if self._is_enough:
                return None
            if monotonic() < self._not_before:
                self.lacking = self._why_not
                return None
            try:
                detail = await self._api.back_order(self._token, key)
            except (Unavailable, Refused) as error:
                # Of calls that were under way when enough had failed, one has told it.
                one_of_many = self._is_enough
                self._fail(error)
                self._failing.add(key)
                if not one_of_many:
                    await survey.lacking(error.reason, body_of(error))
                return None
            self._failing.discard(key)
            if not self._is_enough:
                self._failures = 0
            return detail

    @property
    def _is_enough(self) -> bool:
        return self._given_up or self._failures >= _PATIENCE

    def _fail(self, error: Unavailable | Refused) -> None:
        """Rule 1."""
        self.lacking = error.reason
        self._failures += 1
        asked = error.retry_after if isinstance(error, Unavailable) else None
        if asked:
            moment = monotonic() + min(asked, LONGEST_REQUESTED_WAIT)
            self._not_before, self._why_not = max(self._not_before, moment), error.reason
        if asked or isinstance(error, Denied):
            self.give_up()


def body_of(error: Unavailable | Refused) -> bytes | None:
    """What came instead of an answer, for the quarantine."""
    return error.body if isinstance(error, Unreadable) else None


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for first in range(0, len(items), _AT_ONCE):
        yield items[first : first + _AT_ONCE]
