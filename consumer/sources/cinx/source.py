"""CINX: the source. Which organisations, says `subscriptions`; `organisation` looks at one, and
`check` tries it all out.
"""

import asyncio
from collections.abc import Sequence
from functools import partial

from consumer.errors import Denied, JournalUnavailable, Refused, Unavailable
from consumer.model import Scope
from consumer.polling import keep_polling
from consumer.polling.scopes import Rounds
from consumer.polling.upstream import view_of
from consumer.ports import Ground
from consumer.sources.cinx.api import Api
from consumer.sources.cinx.check import check
from consumer.sources.cinx.options import CinxOptions, event_source
from consumer.sources.cinx.organisation import Look
from consumer.sources.cinx.subscriptions import Organisation, Subscriptions
from consumer.survey import Tally


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
        self._api = Api(options)
        self._subscriptions = Subscriptions(options)
        # The requests for one organisation are at once, organisations are one after the other.
        self._rounds = Rounds[Organisation](at_once=1)
        self._looks: dict[Organisation, Look] = {}

    async def run(self, ground: Ground) -> None:
        """Poll on schedule until `stop`, as `Source.run` promises."""
        async with self._api:
            await keep_polling(
                self._options,
                partial(self._round, ground),
                stopping=self._stopping,
                status=ground.status,
            )

    def stop(self) -> None:
        """Give up the round under way, and begin no other."""
        self._stopping.set()

    async def poll(self, ground: Ground) -> str:
        """One round, now; see `ports.Poller`."""
        async with self._api:
            return await self._round(ground)

    # --- a round -------------------------------------------------------------------------------

    async def _round(self, ground: Ground) -> str:
        api, subscriptions = self._api, self._subscriptions
        api.begin()
        try:
            if not subscriptions.has_token:
                await subscriptions.look_up(api, ground.surveys)
            organisations = subscriptions.organisations()
            await ground.surveys.watching(
                self.name, [event_source(each.name) for each in organisations]
            )
            note = await self._rounds.poll(organisations, partial(self._poll, ground))
            if self._rounds.denied:
                subscriptions.doubt()
        except Unavailable as error:
            subscriptions.notes(ground)
            if not isinstance(error, Denied):
                raise
            subscriptions.doubt()
            raise subscriptions.explained(error) from None
        except Refused:
            await self._notes(ground)
            raise
        notes = await self._notes(ground)
        return "; ".join(each for each in (*notes, note) if each)

    async def _notes(self, ground: Ground) -> Sequence[str]:
        """What there is to say of subscriptions, once the credentials are known to be good."""
        if self._subscriptions.has_token and not self._api.is_locked_out:
            await self._subscriptions.look_up(self._api, ground.surveys)
        return self._subscriptions.notes(ground)

    async def _poll(self, ground: Ground, organisation: Organisation) -> str:
        look = self._looks.get(organisation)
        if look is None:
            look = self._looks[organisation] = Look(self._api, self._options, organisation)
        async with ground.surveys.survey(self._scope(organisation)) as survey:
            try:
                tally = await look.take(survey)
            except JournalUnavailable:
                raise
            except (Unavailable, Refused) as error:
                raise self._subscriptions.named(organisation, error) from None
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

    async def check(self) -> Sequence[str]:
        """Look the subscriptions up, and read the beginning of every organisation's list."""
        return await check(self._options)


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
