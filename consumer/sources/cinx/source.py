"""CINX: the source. Which organisations, says `subscriptions`; `organisation` looks at one."""

import asyncio
from collections.abc import Sequence
from functools import partial

from consumer.errors import Denied, Refused, Unavailable
from consumer.model import Scope
from consumer.polling import keep_polling
from consumer.polling.scopes import Rounds
from consumer.polling.upstream import view_of
from consumer.ports import Ground
from consumer.sources.cinx.api import Api
from consumer.sources.cinx.options import CinxOptions, event_source
from consumer.sources.cinx.organisation import Look
from consumer.sources.cinx.subscriptions import Organisation, Subscriptions
from consumer.survey import Tally

# Seconds that `check` waits for each of its answers.
_PROBE = 4.0


class Cinx:
    """The source."""

    Options = CinxOptions

    def __init__(self, options: CinxOptions) -> None:
        self.name = options.name
        self._options = options
        self._view = view_of(
            options.base_url.rstrip("/"),
            options.version,
            *(f"{name}={value}" for name, value in sorted(options.filters.items())),
        )
        self._stopping = asyncio.Event()
        self._subscriptions = Subscriptions(options)
        # The requests for one organisation are at once, organisations are one after the other.
        self._rounds = Rounds[Organisation](at_once=1)
        self._looks: dict[Organisation, Look] = {}

    async def run(self, ground: Ground) -> None:
        """Poll on schedule until `stop`, as `Source.run` promises."""
        async with Api(self._options) as api:
            await keep_polling(
                self._options,
                partial(self._round, api, ground),
                stopping=self._stopping,
                status=ground.status,
            )

    def stop(self) -> None:
        """Give up the round under way, and begin no other."""
        self._stopping.set()

    async def poll(self, ground: Ground) -> str:
        """One round, now; see `ports.Poller`."""
        async with Api(self._options) as api:
            self._looks.clear()  # each has its connections
            return await self._round(api, ground)

    # --- a round -------------------------------------------------------------------------------

    async def _round(self, api: Api, ground: Ground) -> str:
        subscriptions = self._subscriptions
        try:
            if not subscriptions.has_token:
                await subscriptions.look_up(api)
            organisations = subscriptions.organisations()
            await ground.surveys.watching(
                self.name, [event_source(each.name) for each in organisations]
            )
            note = await self._rounds.poll(organisations, partial(self._poll, api, ground))
        except Unavailable as error:
            subscriptions.notes(ground)
            if not isinstance(error, Denied):
                raise
            subscriptions.doubt()
            raise subscriptions.explained(error) from None
        except Refused:
            await self._notes(api, ground)
            raise
        notes = await self._notes(api, ground)
        return "; ".join(each for each in (*notes, note) if each)

    async def _notes(self, api: Api, ground: Ground) -> Sequence[str]:
        """What there is to say of subscriptions, once the credentials are known to be good."""
        if self._subscriptions.has_token:
            await self._subscriptions.look_up(api)
        return self._subscriptions.notes(ground)

    async def _poll(self, api: Api, ground: Ground, organisation: Organisation) -> str:
        look = self._looks.get(organisation)
        if look is None:
            look = self._looks[organisation] = Look(api, self._options, organisation)
        async with ground.surveys.survey(self._scope(organisation)) as survey:
            tally = await look.take(survey)
        if tally.incomplete:
            raise Refused(f"{organisation.name}: {tally.incomplete}")
        return _note(organisation, tally, look.lacking)

    def _scope(self, organisation: Organisation) -> Scope:
        hold = self._options.hold
        return Scope(
            source=event_source(organisation.name),
            origin=self.name,
            system="cinx",
            view=self._view,
            hold_share=hold.share,
            hold_count=hold.count,
        )

    # --- check ---------------------------------------------------------------------------------

    async def check(self) -> Sequence[str]:
        """Look the subscriptions up, and ask every organisation's list for its first rows."""
        subscriptions = Subscriptions(self._options)
        timeout = min(self._options.timeout, _PROBE)
        async with Api(self._options, timeout=timeout, attempts=1) as api:
            try:
                await subscriptions.look_up(api)
                organisations = subscriptions.organisations()
                counts = [await self._check(api, each) for each in organisations]
            except Denied as error:
                raise subscriptions.explained(error) from None
        if wrong := (*subscriptions.mistakes(), *subscriptions.ended()):
            raise Refused("; ".join(wrong))
        return [*subscriptions.told(), *counts]

    async def _check(self, api: Api, organisation: Organisation) -> str:
        page = await api.back_orders(organisation.token, offset=0, limit=self._options.page_size)
        total = page.listing.total if page.listing else None
        if total is not None:
            return f"{organisation.name}: {total} lines on backorder"
        count = page.listing.count if page.listing else 0
        return f"{organisation.name}: {count} lines on the first page of back-orders"


def _note(organisation: Organisation, tally: Tally, lacking: str) -> str:
    said = []
    if tally.held:
        said.append(
            f"{tally.held} lines are missing at once; held until a second complete answer agrees"
        )
    if tally.unconfirmed:
        said.append(
            f"{tally.unconfirmed} lines are missing from the list, but their details do not say"
            " that they are over"
        )
    if lacking:
        said.append(f"some details cannot be had now ({lacking})")
    return f"{organisation.name}: {' and '.join(said)}" if said else ""
