"""Trying a configuration out: who is let in, and whether lists can be read page by page.

Nothing is told and nothing is kept. All of it has to fit the time that a check has; what does not
is named.
"""

import asyncio
from collections.abc import Sequence
from time import monotonic

from consumer.errors import ConsumerError, Denied, Refused, Unavailable
from consumer.normalisation.cinx_envelope import Listing
from consumer.normalisation.polled import POLLED
from consumer.polling import Paging
from consumer.polling.scopes import Rounds
from consumer.sources.cinx.api import Api
from consumer.sources.cinx.options import CinxOptions, event_source
from consumer.sources.cinx.subscriptions import Organisation, Subscriptions

# Seconds for each answer, and for all of them together.
_PROBE = 4.0
_ALL = 8.5

_OTHER = {"offset": "start", "start": "offset"}


async def check(options: CinxOptions) -> Sequence[str]:
    """What there is to say of subscriptions and lists.

    Raises `Denied`, `Unavailable` and `Refused` where something would keep the source from polling.
    """
    deadline = monotonic() + _ALL
    subscriptions = Subscriptions(options)
    async with Api(options, timeout=min(options.timeout, _PROBE), attempts=1) as api:
        try:
            await subscriptions.look_up(api)
            organisations = subscriptions.organisations()
            lists = await _Lists(api, options, subscriptions).read(
                organisations, deadline - monotonic()
            )
        except Denied as error:
            raise subscriptions.explained(error) from None
    if wrong := (*subscriptions.mistakes(), *subscriptions.ended()):
        raise Refused("; ".join(wrong))
    return [*subscriptions.told(), *lists]


class _Lists:
    """The beginnings of the lists of some organisations."""

    def __init__(self, api: Api, options: CinxOptions, subscriptions: Subscriptions) -> None:
        self._api = api
        self._options = options
        self._subscriptions = subscriptions
        self._said: dict[Organisation, str] = {}
        self._failed: list[ConsumerError] = []

    async def read(self, organisations: Sequence[Organisation], seconds: float) -> Sequence[str]:
        """A line for each that was read, and one about those for which there was no time."""
        rounds = Rounds[Organisation](at_once=self._options.concurrency)
        try:
            async with asyncio.timeout(seconds):
                await rounds.poll(organisations, self._one)
        except TimeoutError:
            pass  # what came until then counts
        if self._failed:
            raise self._failed[0]
        if not self._said:
            raise Unavailable("no list of back-orders came within the time that a check has")
        late = [each.name for each in organisations if each not in self._said]
        said = [self._said[each] for each in organisations if each in self._said]
        return [*said, f"there was no time left to ask for {', '.join(late)}"] if late else said

    async def _one(self, organisation: Organisation) -> str:
        try:
            self._said[organisation] = await self._read(organisation)
        except (Unavailable, Refused) as error:
            named = self._subscriptions.named(organisation, error)
            self._failed.append(named)
            raise named from None
        return ""

    async def _read(self, organisation: Organisation) -> str:
        """The first two pages, as far as there are two: the second begins where the first ends."""
        name, paging = organisation.name, Paging(self._options.page_size)
        account = event_source(name).split("/", 2)[2]
        begins: list[str] = []
        first: Listing | None = None
        while len(begins) < 2 and (pages := paging.next()):  # noqa: PLR2004 - two pages overlap
            [(offset, limit)] = pages
            listing = await self._page(organisation, offset, limit)
            keys = _keys(account, listing)
            paging.take(offset, keys, listing.total, rows=listing.count)
            begins.append(keys[0] if keys else "")
            first = first or listing
        if first is None:
            raise Refused("CINX's list: nothing was read")
        if begins[1:] == begins[:1]:
            parameter = self._options.offset_parameter
            raise Refused(
                "CINX's list: the first page comes again where the next one is asked for, as if the"
                f' parameter "{parameter}" were not known; try offset_parameter ='
                f' "{_OTHER[parameter]}"'
            )
        if paging.problem:
            raise Refused(f"CINX's list: the first pages do not fit together: {paging.problem}")
        if first.total is not None:
            return f"{name}: {first.total} lines on backorder"
        return f"{name}: {first.count} lines on the first page of back-orders"

    async def _page(self, organisation: Organisation, offset: int, limit: int) -> Listing:
        page = await self._api.back_orders(organisation.token, offset=offset, limit=limit)
        if page.listing is None:  # the client lets no such answer through
            raise Refused("CINX's list: says that nothing has changed, though it was not asked")
        return page.listing


def _keys(account: str, listing: Listing) -> Sequence[str]:
    """The keys of a page's rows; raises `Refused` where rows cannot be read, saying why."""
    rows, problems = POLLED["cinx"].rows(listing.page.content, account)
    wrong = [str(problem) for problem in problems]
    for row in rows:
        try:
            POLLED["cinx"].line(row.content, account=account)
        except Refused as error:
            wrong.append(error.reason)
    if wrong:
        more = f" (and {len(wrong) - 1} more rows)" if len(wrong) > 1 else ""
        raise Refused(f"CINX's list: {wrong[0]}{more}")
    return [row.key for row in rows]
