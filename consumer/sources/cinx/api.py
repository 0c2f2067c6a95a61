"""CINX's API: the calls, how they prove who asks, and what may be said about them.

The API token stands in the path of every call. So nothing here, and nothing that is raised from
here, ever tells a URL: calls go by their names.

Source: the CINX API documentation; the paths below `{base_url}/{version}`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from consumer.errors import Denied, Refused, Unavailable, Unreadable
from consumer.normalisation.cinx_envelope import (
    Listing,
    Subscription,
    read_bearer,
    read_detail,
    read_list,
    read_subs,
    read_template,
)
from consumer.polling.upstream import basic
from consumer.sources.cinx.options import CinxOptions
from consumer.values import Secret
from consumer.web import Answer, Client, Validators

T = TypeVar("T")

# What is shorter is no token that could be told from other text.
_SHORTEST_TOKEN = 8
_MASK = "…".encode()


class ListPage(Struct, frozen=True):
    """A page of the list; `listing` is None where it is the one that the validators stand for."""

    listing: Listing | None
    validators: Validators | None


class Api:
    """The calls of one source, over one pool of connections.

    Raises of every call: `Denied`, `Unavailable`, `Refused`, and `Unreadable` where an answer makes
    no sense. A bearer token that was had for user name and password, and is not taken any more, is
    renewed once before that is told.
    """

    def __init__(
        self, options: CinxOptions, *, timeout: float | None = None, attempts: int | None = None
    ) -> None:
        self._options = options
        self._base = f"{options.base_url.rstrip('/')}/{quote(options.version, safe='')}"
        self._bearer = _bearer(options.bearer_token) if len(options.bearer_token) else None
        self._logging_in = asyncio.Lock()
        self._client = Client(
            concurrency=options.concurrency,
            timeout=timeout or options.timeout,
            attempts=attempts or options.attempts,
            max_body=options.max_body,
            tls=options.tls,
            headers={"Accept": f"application/{options.format}", **options.headers},
            owner=f"source {options.name}",
        )

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

    # --- the calls ---------------------------------------------------------------------------

    async def back_orders(
        self, token: Secret, *, offset: int, limit: int, validators: Validators | None = None
    ) -> ListPage:
        """One page of the list, read as far as its rows."""

        def read(answer: Answer) -> ListPage:
            if answer.status == HTTPStatus.NOT_MODIFIED:
                return ListPage(None, answer.validators)
            listing = read_list(answer.body, answer.media_type)
            page = replace(listing.page, body=_masked(answer.body, token))
            return ListPage(replace(listing, page=page), answer.validators)

        paging = {self._options.offset_parameter: str(offset), "limit": str(limit)}
        query = self._options.filters | paging
        return await self._ask(
            "list", token, "/back-orders", read, query=query, validators=validators
        )

    async def back_order(self, token: Secret, guid: str) -> bytes | None:
        """The detail of one back-order, its row as JSON; None where there is none any more."""

        def read(answer: Answer) -> bytes | None:
            if answer.status == HTTPStatus.NOT_FOUND:
                return None
            return read_detail(answer.body, answer.media_type, guid)

        path = f"/back-order/{quote(guid, safe='')}"
        return await self._ask("detail", token, path, read, missing_ok=True)

    async def template(self, token: Secret) -> Mapping[str, object]:
        """What a back-order's update may hold; the token in it is masked."""

        def read(answer: Answer) -> Mapping[str, object]:
            return read_template(answer.body, answer.media_type, token)

        return await self._ask("update template", token, "/template/back-order", read)

    async def subscriptions(self) -> Sequence[Subscription]:
        """What user name and password open: a token for each organisation."""
        what = "list of subscriptions"
        headers = {"Authorization": self._basic()}
        answer = await self._client.get(
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
        bearer = await self._log_in(instead_of=None)
        try:
            return await ask(bearer)
        except Denied:
            if len(self._options.bearer_token):  # there is no other one to be had
                raise
        return await ask(await self._log_in(instead_of=bearer))

    async def _log_in(self, *, instead_of: Secret | None) -> Secret:
        """A bearer token, as the header has it: the one that is known, or another one."""
        async with self._logging_in:
            if self._bearer is None or self._bearer == instead_of:
                self._bearer = _bearer(await self._generate())
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


def _masked(body: bytes, token: Secret) -> bytes:
    """An answer as the quarantine may have it: CINX repeats in it what was asked for."""
    for form in (token.reveal(), quote(token.reveal(), safe="")):
        if len(form) >= _SHORTEST_TOKEN:
            body = body.replace(form.encode(), _MASK)
    return body


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
        body = _masked(answer.body, token)
        raise Unreadable(f"{_told(what)}: {error.reason}", body) from None
