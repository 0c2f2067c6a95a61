"""MVET: the veterinary wholesale's back-order inquiry, polled customer by customer.

Rules
1. One answer is the whole state of one customer: no pages, no cursor. A customer is a scope.
2. Anything but a complete answer clears nothing: another status, a body that is cut, no array, a
   line without its key or for another account. An empty array is an answer, and is held back where
   there were lines before (`hold`).
3. What lines say, and which are new, changed or gone, is the survey's business; here answers are
   fetched.

Source: `GET {base}/run/ecommerce/wsapi/boinquiry?customer=0002789`, plain HTTP on a private
network, no authentication documented.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from functools import partial
from http import HTTPStatus
from time import monotonic
from typing import Annotated
from urllib.parse import quote

from msgspec import Meta, Struct

from consumer.errors import Denied, JournalUnavailable, Refused, Unavailable
from consumer.model import Scope
from consumer.normalisation.polled import POLLED
from consumer.polling import PollOptions, keep_polling
from consumer.polling.scopes import Rounds
from consumer.polling.upstream import basic, check_base_url, check_basic, view_of
from consumer.ports import Ground
from consumer.survey import Page, Reading, Survey
from consumer.values import Secret
from consumer.web import Answer, Client, Validators

_PATH = "/run/ecommerce/wsapi/boinquiry"

# Seconds that `check` waits for an answer, and in which it begins to ask: together less than the
# ten that a check has.
_PROBE = 5.0
_ASKING = 4.5

_CUSTOMER = r"^[0-9]{7}$"
_is_customer = re.compile(r"[0-9]{7}", re.ASCII).fullmatch

# The pattern is for editors; `MvetOptions` says what is wrong in words.
Customer = Annotated[
    str,
    Meta(
        description="7 digits, leading zeros included",
        examples=["0002789"],
        extra_json_schema={"pattern": _CUSTOMER},
    ),
]


class MvetOptions(PollOptions, frozen=True, kw_only=True):
    """`type = "mvet"`: polls MVET's back-order inquiry.

    `customers` are account numbers of 7 digits; leading zeros matter. `username` and `password` are
    sent as HTTP Basic where they are given, `headers` as they are. `concurrency` bounds how many
    customers are asked for at a time.
    """

    base_url: str
    customers: Annotated[tuple[Customer, ...], Meta(min_length=1)]
    username: str = ""
    password: Secret = Secret("")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_base_url(self.base_url)
        check_basic(self.username, self.password, self.headers)
        for customer in self.customers:
            if not _is_customer(customer):
                raise ValueError(
                    f"customers: {customer!r} is no customer number; write its 7 digits with"
                    ' leading zeros, such as "0002789"'
                )
        if len(set(self.customers)) < len(self.customers):
            raise ValueError("customers: the same customer is named twice")

    @property
    def scopes(self) -> Sequence[str]:
        """The event sources that this polls."""
        return [_source(customer) for customer in self.customers]

    @property
    def upstream(self) -> object:
        """Whom this asks; see `coherence.check_scopes`."""
        return self.base_url.rstrip("/")


class _Seen(Struct, frozen=True):
    """The answer that a customer's validators stand for."""

    validators: Validators
    digest: bytes


class Mvet:
    """The source."""

    Options = MvetOptions

    def __init__(self, options: MvetOptions) -> None:
        self.name = options.name
        self._options = options
        self._url = options.base_url.rstrip("/") + _PATH
        self._view = view_of(options.base_url.rstrip("/"))
        self._rounds = Rounds[str](at_once=options.concurrency)
        self._seen: dict[str, _Seen] = {}
        self._stopping = asyncio.Event()

    async def run(self, ground: Ground) -> None:
        """Poll on schedule until `stop`, as `Source.run` promises."""
        async with self._client() as client:
            await keep_polling(
                self._options,
                partial(self._round, client, ground),
                stopping=self._stopping,
                status=ground.status,
            )

    def stop(self) -> None:
        """Give up the round under way, and begin no other."""
        self._stopping.set()

    async def poll(self, ground: Ground) -> str:
        """One round, now; see `ports.Poller`."""
        async with self._client() as client:
            return await self._round(client, ground)

    async def check(self) -> Sequence[str]:
        """Ask for every customer once, and tell how many lines each has.

        Of very many customers, or slow answers, only as many as there is time for; that is told.
        """
        found: dict[str, str] = {}
        deadline = monotonic() + _ASKING

        async def ask(customer: str) -> str:
            if not found or monotonic() < deadline:
                found[customer] = await self._check(client, customer)
            return ""

        customers = self._options.customers
        async with self._client(timeout=min(self._options.timeout, _PROBE), attempts=1) as client:
            denied = await Rounds[str](at_once=self._options.concurrency).poll(customers, ask)
        if denied:
            raise Denied(denied)
        told = [found[customer] for customer in customers if customer in found]
        if len(told) < len(customers):
            told.append(f"{len(told)} of {len(customers)} customers asked; there was no more time")
        return told

    # --- a round -----------------------------------------------------------------------------

    async def _round(self, client: Client, ground: Ground) -> str:
        await ground.surveys.watching(self.name, self._options.scopes)
        return await self._rounds.poll(self._options.customers, partial(self._poll, client, ground))

    async def _poll(self, client: Client, ground: Ground, customer: str) -> str:
        async with ground.surveys.survey(self._scope(customer)) as survey:
            try:
                reading = await self._look(client, customer, survey)
            except JournalUnavailable:
                raise  # no answer of MVET's was broken
            except (Unavailable, Refused) as error:
                await survey.broken(error.reason)
                raise
            await survey.tell(reading.fresh)
            ended = dict.fromkeys(subject for subject, _ in survey.missing())
            tally = await survey.finish(ended)
        if tally.incomplete:
            raise Refused(f"{_what(customer)}: {tally.incomplete}")
        if tally.held:
            return (
                f"customer {customer}: {tally.held} lines are missing at once;"
                " held until a second complete answer agrees"
            )
        return ""

    async def _look(self, client: Client, customer: str, survey: Survey) -> Reading:
        seen = self._seen.pop(customer, None)  # for good, where that is what is not liked
        answer = await self._get(client, customer, seen.validators if seen else None)
        if answer.status == HTTPStatus.NOT_MODIFIED and seen:
            if reading := survey.see_again(seen.digest):
                self._seen[customer] = seen
                return reading
            answer = await self._get(client, customer)
        reading = await survey.see(Page(content=answer.body, body=answer.body))
        if answer.validators:
            self._seen[customer] = _Seen(answer.validators, reading.digest)
        return reading

    async def _get(
        self, client: Client, customer: str, validators: Validators | None = None
    ) -> Answer:
        return await client.get(
            self._url,
            what=_what(customer),
            query={"customer": customer},
            validators=validators,
        )

    # --- its parts ---------------------------------------------------------------------------

    def _client(self, *, timeout: float | None = None, attempts: int | None = None) -> Client:
        options = self._options
        return Client(
            concurrency=options.concurrency,
            timeout=timeout or options.timeout,
            attempts=attempts or options.attempts,
            max_body=options.max_body,
            tls=options.tls,
            headers=self._headers(),
            owner=f"source {self.name}",
        )

    def _headers(self) -> Mapping[str, Secret | str]:
        options = self._options
        headers: dict[str, Secret | str] = {"Accept": "application/json", **options.headers}
        if options.username:
            headers["Authorization"] = basic(options.username, options.password)
        return headers

    def _scope(self, customer: str) -> Scope:
        hold = self._options.hold
        return Scope(
            source=_source(customer),
            origin=self.name,
            system="mvet",
            view=self._view,
            hold_share=hold.share,
            hold_count=hold.count,
        )

    async def _check(self, client: Client, customer: str) -> str:
        answer = await self._get(client, customer)
        try:
            rows, problems = POLLED["mvet"].rows(answer.body, customer)
        except Refused as error:
            raise Refused(f"{_what(customer)}: {error.reason}") from None
        if problems:
            raise Refused(f"{_what(customer)}: {problems[0]}; check customers")
        if not rows:
            return (
                f"customer {customer}: nothing on backorder"
                " (a customer number that MVET does not know may look the same)"
            )
        return f"customer {customer}: {len(rows)} lines on backorder"


def _source(customer: str) -> str:
    return f"/mvet/{quote(customer, safe='')}"


def _what(customer: str) -> str:
    return f"the inquiry for customer {customer}"
