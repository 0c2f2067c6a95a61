"""CINX's API: the calls, how they prove who asks, and what may be said about them.

The API token stands in the path of every call. So nothing here, and nothing that is raised from
here, ever tells a URL: calls go by their names.

Source: the CINX API documentation; the paths below `{base_url}/{version}`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from consumer.errors import ConsumerError, Denied, Refused, Unavailable, Unreadable
from consumer.normalisation.cinx_account import (
    Subscriptions,
    read_bearer,
    read_subs,
    read_template,
)
from consumer.normalisation.cinx_envelope import Absent, Listing, read_detail, read_list
from consumer.normalisation.cinx_token import masked
from consumer.polling.upstream import basic
from consumer.sources.cinx.options import CinxOptions
from consumer.survey import Page
from consumer.values import Secret
from consumer.web import Answer, Client, Validators

T = TypeVar("T")

# Seconds for an answer that only warnings depend on.
_BRIEFLY = 5.0


class ListPage(Struct, frozen=True):
    """A page of the list; `listing` is None where it is the one that the validators stand for."""

    listing: Listing | None
    validators: Validators | None


class Api:
    """The calls of one source, over one pool of connections, from one `async with` to its end.

    Raises of every call: `Denied`, `Unavailable`, `Refused`, and `Unreadable` where an answer makes
    no sense. A bearer token that was had for user name and password, and is not taken any more, is
    renewed before that is told, once a round. What a login fails of, everybody is told who needs
    one in this round: many a server locks the account after a few failures.
    """

    def __init__(
        self, options: CinxOptions, *, timeout: float | None = None, attempts: int | None = None
    ) -> None:
        self._options = options
        self._base = f"{options.base_url.rstrip('/')}/{quote(options.version, safe='')}"
        self._bearer = _bearer(options.bearer_token) if len(options.bearer_token) else None
        self._renewed = False
        self._no_login: Unavailable | Refused | None = None
        self._logging_in = asyncio.Lock()
        self._timeout: float = timeout or options.timeout
        self._client = self._new_client(self._timeout, attempts or options.attempts)

    def _new_client(self, timeout: float, attempts: int) -> Client:
        options = self._options
        return Client(
            concurrency=options.concurrency,
            timeout=timeout,
            attempts=attempts,
            max_body=options.max_body,
            tls=options.tls,
            headers={"Accept": f"application/{options.format}", **options.headers},
            owner=f"source {options.name}",
        )

    def begin(self) -> None:
        """A new round: a login that failed in the one before may be tried again."""
        self._renewed, self._no_login = False, None

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    @property
    def is_locked_out(self) -> bool:
        """Whether user name and password were not accepted in this round, so that nothing else is
        to be asked for with them.
        """
        return isinstance(self._no_login, Denied)

    # --- the calls ---------------------------------------------------------------------------

    async def back_orders(
        self, token: Secret, *, offset: int, limit: int, validators: Validators | None = None
    ) -> ListPage:
        """One page of the list, read as far as its rows; the token in them is masked."""

        def read(answer: Answer) -> ListPage:
            if answer.status == HTTPStatus.NOT_MODIFIED:
                return ListPage(None, answer.validators)
            listing = read_list(answer.body, answer.media_type)
            content = masked(listing.page.content, token)
            page = Page(content=content, body=masked(answer.body, token))
            return ListPage(replace(listing, page=page), answer.validators)

        paging = {self._options.offset_parameter: str(offset), "limit": str(limit)}
        query = self._options.filters | paging
        return await self._ask(
            "list", token, "/back-orders", read, query=query, validators=validators
        )

    async def back_order(self, token: Secret, guid: str) -> bytes | Absent:
        """The detail of one back-order, its row as JSON; or how CINX says that it has none."""

        def read(answer: Answer) -> bytes | Absent:
            if answer.status == HTTPStatus.NOT_FOUND:
                return Absent.NOT_FOUND
            row = read_detail(answer.body, answer.media_type, guid)
            return row if isinstance(row, Absent) else masked(row, token)

        path = f"/back-order/{quote(guid, safe='')}"
        return await self._ask("detail", token, path, read, missing_ok=True)

    async def template(self, token: Secret) -> Mapping[str, object]:
        """What a back-order's update may hold; the token in it is masked."""

        def read(answer: Answer) -> Mapping[str, object]:
            return read_template(answer.body, answer.media_type, token)

        return await self._ask("update template", token, "/template/back-order", read)

    async def subscriptions(self, *, briefly: bool = False) -> Subscriptions:
        """What user name and password open: a token for each organisation.

        `briefly`: in one attempt, and not for long.
        """
        if not briefly:
            return await self._subscriptions(self._client)
        async with self._new_client(min(self._timeout, _BRIEFLY), 1) as client:
            return await self._subscriptions(client)

    async def _subscriptions(self, client: Client) -> Subscriptions:
        what = "list of subscriptions"
        headers = {"Authorization": self._basic()}
        answer = await client.get(
            f"{self._base}/subs", what=_told(what), query=self._format(), headers=headers
        )
        with _reading(what, answer):
            return read_subs(answer.body, answer.media_type)

    # --- how -----------------------------------------------------------------------------------

    async def _ask(
        self,
        what: str,
        token: Secret,
        path: str,
        read: Callable[[Answer], T],
        *,
        query: Mapping[str, str] = {},
        validators: Validators | None = None,
        missing_ok: bool = False,
    ) -> T:
        """Ask for what stands below a token, and read the answer."""
        url = f"{self._base}/sub/{quote(token.reveal(), safe='')}{path}"

        async def ask(authorization: Secret) -> T:
            answer = await self._client.get(
                url,
                what=_told(what),
                query=self._format() | dict(query),
                headers={"Authorization": authorization},
                validators=validators,
                missing_ok=missing_ok,
            )
            with _reading(what, answer, token):
                return read(answer)

        if self._options.authentication == "basic":
            return await ask(self._basic())
        return await self._with_bearer(ask)

    async def _with_bearer(self, ask: Callable[[Secret], Awaitable[T]]) -> T:
        bearer = await self._log_in()
        try:
            return await ask(bearer)
        except Denied:
            if len(self._options.bearer_token):  # there is no other one to be had
                raise
            another = await self._log_in(instead_of=bearer)
            if another == bearer:
                raise
        return await ask(another)

    async def _log_in(self, *, instead_of: Secret | None = None) -> Secret:
        """A bearer token, as the header has it: the one that is known, or another one if it may be.

        Raises what the first login of this round failed of, if it did.
        """
        async with self._logging_in:
            if self._no_login is not None:
                raise _once_more(self._no_login)
            renew = self._bearer == instead_of and not self._renewed
            if self._bearer is None or renew:
                try:
                    bearer = _bearer(await self._generate())
                except (Unavailable, Refused) as error:
                    self._no_login = error
                    raise
                self._renewed = self._bearer is not None
                self._bearer = bearer
            return self._bearer

    async def _generate(self) -> Secret:
        what = "bearer token"
        headers: dict[str, Secret | str] = {
            "Authorization": self._basic(),
            "Partner-Id": "oauth-api",
        }
        answer = await self._client.get(
            f"{self._base}/auth/token/generate", what=_told(what), headers=headers
        )
        with _reading(what, answer):
            return read_bearer(answer.body, answer.media_type)

    def _basic(self) -> Secret:
        return basic(self._options.username, self._options.password)

    def _format(self) -> dict[str, str]:
        return {} if self._options.format == "json" else {"format": self._options.format}


def _bearer(token: Secret) -> Secret:
    return Secret(f"Bearer {token.reveal()}")


def _told(what: str) -> str:
    return f"CINX's {what}"


def _once_more(error: Unavailable | Refused) -> ConsumerError:
    """The same failure, for somebody else; without the body, which is told once."""
    if isinstance(error, Unavailable):
        return type(error)(error.reason, retry_after=error.retry_after)
    return Refused(error.reason)


@contextmanager
def _reading(what: str, answer: Answer, token: Secret = Secret("")) -> Iterator[None]:  # noqa: B008 - a constant
    """Say of which call an answer was that could not be read, or that said no in its envelope."""
    try:
        yield
    except Denied as error:
        raise Denied(f"{_told(what)}: {error.reason}", retry_after=error.retry_after) from None
    except Unavailable as error:
        raise Unavailable(f"{_told(what)}: {error.reason}", retry_after=error.retry_after) from None
    except Refused as error:
        body = masked(answer.body, token)
        raise Unreadable(f"{_told(what)}: {error.reason}", body) from None
