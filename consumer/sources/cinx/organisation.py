"""One look at one organisation: every page of its list, the details worth fetching, and the end.

Rules
1. Pages are read until the list is proven whole (`consumer.polling.paging`). Where rows moved
   meanwhile it is read again, a few times; what was seen counts either way, what is missing only
   after a reading that was whole.
2. A detail is asked for where a row is new or changed (`detail = "changed"`). Where it cannot be
   had the row is told without, and looked at again next time (`details`).
3. A line that is missing is over only when details prove it (`details`). That it is missing from
   the list is a hint, whatever the list proves: a row that jumps twice can escape any paging.
4. Pages that have not changed are not sent again, in the first reading. A validator may stand for
   the rows alone, and the total beside them be an old one: where a reading is not whole, the next
   one asks for everything.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from consumer.errors import Denied, JournalUnavailable, Refused, Unavailable
from consumer.polling import Paging
from consumer.polling.together import together
from consumer.sources.cinx.api import Api, ListPage
from consumer.sources.cinx.details import Details, body_of
from consumer.sources.cinx.options import CinxOptions
from consumer.sources.cinx.subscriptions import Organisation
from consumer.survey import Fresh, Reading, Survey, Tally
from consumer.web import Validators

# How often a list whose rows move is read before the look counts as incomplete.
_READINGS = 3

# So many rows are told together, at the most.
_AT_ONCE = 500


class _Known(Struct, frozen=True):
    """The page that an offset's validators stand for."""

    validators: Validators
    digest: bytes
    total: int | None


class _Seen(NamedTuple):
    """A page, how many rows it had, and how many the list says it has."""

    reading: Reading
    rows: int
    total: int | None

    @property
    def is_broken(self) -> bool:
        """Whether there were rows that could not be read; the survey has been told."""
        return self.rows != len(self.reading.keys)


class Look:
    """Looks at one organisation, one after the other; remembers validators between them."""

    def __init__(self, api: Api, options: CinxOptions, organisation: Organisation) -> None:
        self._api = api
        self._options = options
        self._token = organisation.token
        self._known: dict[int, _Known] = {}
        self._listed: Sequence[str] = ()  # some keys of the newest reading
        self._details = Details(api, organisation.token, options.concurrency)

    @property
    def lacking(self) -> str:
        """Why details could not be had in the newest look; empty where they could."""
        return self._details.lacking

    async def take(self, survey: Survey) -> Tally:
        """A whole look. Raises `Denied`, `Unavailable` and `Refused` where the list cannot be read,
        after the survey was told.
        """
        self._details.begin()
        try:
            problem = await self._read_list(survey)
        except JournalUnavailable:
            raise  # no answer of CINX's was broken
        except (Unavailable, Refused) as error:
            await survey.broken(error.reason, body_of(error))
            raise
        if problem:
            await survey.broken(problem)
        missing = survey.missing()
        ended = await self._details.of_missing(survey, missing, self._listed) if missing else {}
        return await survey.finish(ended)

    # --- the list ----------------------------------------------------------------------------

    async def _read_list(self, survey: Survey) -> str | None:
        """Read the list until it is whole; why it is not, if it never was.

        Rows that cannot be read are none of that: the survey has been told, and to read them again
        does not mend it.
        """
        problem = None
        for _ in range(_READINGS):
            fresh: dict[str, Fresh] = {}
            try:
                problem = await self._read_once(survey, fresh)
            except JournalUnavailable:
                raise
            except (Unavailable, Refused) as error:
                if isinstance(error, Denied):  # details would be denied as well
                    self._details.give_up()
                await self._tell(survey, fresh)  # what was seen until then counts
                raise
            await self._tell(survey, fresh)
            if problem is None:
                break
            self._known.clear()  # rule 4
        return problem

    async def _read_once(self, survey: Survey, fresh: dict[str, Fresh]) -> str | None:
        """Read the list to its end; what keeps it from being whole, if anything does.

        A commit costs more than a row: what is new or changed is gathered in `fresh`, by key, and
        told whenever it is worth one. The rest is left there.
        """
        paging, broken, self._listed = Paging(self._options.page_size), False, ()
        while requests := paging.next(self._options.concurrency):
            for offset, seen in await self._read_pages(survey, requests, fresh):
                paging.take(offset, seen.reading.keys, seen.total, rows=seen.rows)
                broken = broken or seen.is_broken
            if len(fresh) >= _AT_ONCE:
                await self._tell(survey, fresh)
        return None if broken else paging.problem

    async def _read_pages(
        self, survey: Survey, requests: Sequence[tuple[int, int]], fresh: dict[str, Fresh]
    ) -> Sequence[tuple[int, _Seen]]:
        """Pages, (offset, limit), read at once; then what one of them failed of: of several that
        which asks for the longest wait.
        """
        pages = await together(self._try(*request) for request in requests)
        found = []
        for (offset, limit), page in zip(requests, pages, strict=True):
            if isinstance(page, ListPage):
                seen = await self._see(survey, offset, limit, page)
                fresh.update((row.key, row) for row in seen.reading.fresh)
                found.append((offset, seen))
                self._listed = seen.reading.keys or self._listed
        if failed := [page for page in pages if not isinstance(page, ListPage)]:
            raise max(failed, key=_wait_of)
        return found

    async def _try(self, offset: int, limit: int) -> ListPage | Unavailable | Refused:
        try:
            return await self._fetch(offset, limit, self._known.get(offset))
        except Denied:
            raise
        except (Unavailable, Refused) as error:
            self._known.pop(offset, None)  # it may be the validators that were not liked
            return error

    async def _fetch(self, offset: int, limit: int, known: _Known | None = None) -> ListPage:
        return await self._api.back_orders(
            self._token,
            offset=offset,
            limit=limit,
            validators=known.validators if known else None,
        )

    async def _see(self, survey: Survey, offset: int, limit: int, page: ListPage) -> _Seen:
        known = self._known.pop(offset, None)
        if page.listing is None:
            if known and (reading := survey.see_again(known.digest)):
                self._known[offset] = known
                return _Seen(reading, len(reading.keys), known.total)
            page = await self._fetch(offset, limit)
        listing = page.listing
        if listing is None:  # the client lets no such answer through
            raise Refused("CINX's list: says that nothing has changed, though it was not asked")
        reading = await survey.see(listing.page)
        if page.validators:
            self._known[offset] = _Known(page.validators, reading.digest, listing.total)
        return _Seen(reading, listing.count, listing.total)

    # --- details -------------------------------------------------------------------------------

    async def _tell(self, survey: Survey, fresh: dict[str, Fresh]) -> None:
        """Tell what was gathered, with details where they are wanted, and forget it."""
        rows = list(fresh.values())
        fresh.clear()
        for first in range(0, len(rows), _AT_ONCE):
            some = rows[first : first + _AT_ONCE]
            details: Mapping[str, bytes | None] = {}
            if self._options.detail == "changed":
                details = await self._details.of_listed(survey, [row.key for row in some])
            await survey.tell(some, details)


def _wait_of(error: Unavailable | Refused) -> float:
    """Seconds that an answer asks to wait."""
    return (error.retry_after or 0.0) if isinstance(error, Unavailable) else 0.0
