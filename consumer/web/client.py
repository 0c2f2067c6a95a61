"""GET requests that are bounded in every way, and tried again where that helps.

Rules
1. What aiohttp raises ends here. Of a request nothing is ever told: its URL may hold a secret. The
   caller's words for the call (`what`) stand in its place, and no exception is chained to ours.
2. A redirect is never followed: credentials go to the configured host and to no other. No proxy of
   the environment is used, and no cookie is kept.
3. An answer counts when it is whole. The length that was announced must have come, and no more
   than `max_body` bytes of it, after decompression, are ever held. (An answer without a length or
   chunks that is cut short cannot be told from one that is not; its JSON has no end then.)
4. `Unavailable` is tried again, `attempts` times in all, with growing and random waits. A wait that
   the server asks for (Retry-After) is kept, where it is short; a long one is the caller's to plan.
   `Denied` is never tried again: that locks accounts. (Where a connection is closed before there
   is any answer aiohttp asks once more by itself: a kept one may just have been at its end.)
5. `timeout` is for one attempt, from the moment it has one of the `concurrency` places.
"""

import asyncio
import random
import time
from collections.abc import Mapping
from http import HTTPStatus
from typing import Self
from urllib.parse import quote, urlencode

import aiohttp
import stamina
from msgspec import Struct
from multidict import CIMultiDict
from yarl import URL

from consumer.errors import ConsumerError, Denied, Refused, Unavailable
from consumer.retry import Backoff
from consumer.values import Secret, redacted
from consumer.web.answers import Answer, Validators, rejection, wanted
from consumer.web.tls import Tls, context
from consumer.web.trouble import discard, failure, retry_after

# A server that asks for more seconds than this postpones the whole round instead.
_LONGEST_WAIT = 30.0

_HEADERS: Mapping[str, str] = {
    "User-Agent": "backorder-consumer",
    "Accept-Encoding": "gzip, deflate",
}

# Unless told otherwise stamina logs and counts every retry by itself, with what it was called with.
# What fails for good is told by whoever asked; what a retry mended is nobody's business.
stamina.instrumentation.set_on_retry_hooks(())

_UNREACHED = (aiohttp.ClientConnectorError, aiohttp.ClientSSLError)


class _Call(Struct, frozen=True):
    """One question, ready to be sent; never shown."""

    what: str
    url: str
    headers: Mapping[str, str]
    validators: Validators | None
    missing_ok: bool


class Client:
    """A pool of connections that are kept open; used as an asynchronous context manager.

    `concurrency`: requests under way at the most. `timeout`: seconds for one attempt. `attempts`:
    for one call, in all. `max_body`: bytes of an answer, decompressed. `headers` go with every
    request. `owner` is told where the TLS files are no good: "source cinx". `backoff`: how the
    waits grow.

    Names of headers have no case: of several of one name the last one is sent, those of a call
    before those of the client, and both before what every request has.
    """

    def __init__(
        self,
        *,
        concurrency: int,
        timeout: float,
        attempts: int,
        max_body: int,
        tls: Tls = Tls(),  # noqa: B008 - a frozen value
        headers: Mapping[str, Secret | str] = {},
        owner: str = "a source",
        backoff: Backoff = Backoff(initial=0.5, most=15.0),  # noqa: B008 - likewise
    ) -> None:
        self._concurrency = concurrency
        self._timeout = timeout
        self._max_body = max_body
        self._tls = tls
        self._headers = _merged(_HEADERS, headers)
        self._owner = owner
        self._turns = asyncio.Semaphore(concurrency)
        self._retrying = stamina.AsyncRetryingCaller(
            attempts=attempts,
            timeout=None,
            wait_initial=backoff.initial,
            wait_max=backoff.most,
            wait_jitter=backoff.initial,
        ).on(_again)

    async def __aenter__(self) -> Self:
        tls = context(self._tls, self._owner) if self._tls != Tls() else True
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._concurrency, ssl=tls),
            timeout=aiohttp.ClientTimeout(total=self._timeout),
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._session.close()

    async def get(
        self,
        url: str,
        *,
        what: str,
        query: Mapping[str, str] = {},
        headers: Mapping[str, Secret | str] = {},
        validators: Validators | None = None,
        missing_ok: bool = False,
    ) -> Answer:
        """Ask for `url` (percent-encoded, sent as it is) with `query` (not encoded yet).

        `what` names the call in errors, with neither secrets nor personal data: "the list of
        back-orders". With `validators` the answer may be a 304, with `missing_ok` a 404. Raises
        `Denied`, `Unavailable` (after all attempts) or `Refused`.
        """
        asked = f"{url}{'&' if '?' in url else '?'}{urlencode(query, quote_via=quote)}"
        conditions = validators.conditions if validators else {}
        call = _Call(
            what=what,
            url=asked if query else url,
            headers=_merged(headers, conditions),
            validators=validators if conditions else None,
            missing_ok=missing_ok,
        )
        return await self._retrying(self._attempt, call)

    async def _attempt(self, call: _Call) -> Answer:
        """Ask once. Errors are raised where no exception of aiohttp is under way (rule 1)."""
        error: ConsumerError
        try:
            async with (
                self._turns,
                self._session.get(
                    URL(call.url, encoded=True), headers=call.headers, allow_redirects=False
                ) as response,
            ):
                return await self._read(call, response)
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError):
            error = _unaskable(call.what)
        except (aiohttp.ClientError, OSError) as cause:
            # Where nobody is reached it matters whom; everything else was said by somebody.
            whom = f"{redacted(call.url)}: " if isinstance(cause, _UNREACHED) else ""
            error = Unavailable(f"{call.what}: {whom}{failure(cause)}")
        except ValueError:  # a host that no resolver takes, a header that cannot be sent
            error = _unaskable(call.what)
        raise error

    async def _read(self, call: _Call, response: aiohttp.ClientResponse) -> Answer:
        status, conditional = response.status, call.validators is not None
        if not wanted(status, conditional=conditional, missing_ok=call.missing_ok):
            await discard(response)
            wait = retry_after(response.headers.get("Retry-After"), time.time())
            raise rejection(call.what, status, wait)
        fresh = Validators.of(response.headers)
        return Answer(
            status=status,
            body=await self._body(call.what, response),
            media_type=response.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
            validators=fresh or call.validators if status == HTTPStatus.NOT_MODIFIED else fresh,
        )

    async def _body(self, what: str, response: aiohttp.ClientResponse) -> bytes:
        """The whole body. aiohttp decompresses in small steps, and waits while nobody reads."""
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self._max_body:
                response.close()
                raise Refused(
                    f"{what}: the answer is larger than max_body, {self._max_body:,} bytes"
                )
        return bytes(body)


def _again(error: Exception) -> bool | float:
    """Whether to try again after an error, or after how many seconds, if the server said so."""
    if isinstance(error, Denied) or not isinstance(error, Unavailable):
        return False
    if not error.retry_after:
        return True
    # Never earlier than asked for, and not everybody at the same moment.
    spread = random.random()  # noqa: S311 - jitter, not a secret
    return error.retry_after <= _LONGEST_WAIT and error.retry_after + spread


def _merged(*several: Mapping[str, Secret | str]) -> CIMultiDict[str]:
    """Each header once, whatever the case of its name; the last one counts."""
    merged: CIMultiDict[str] = CIMultiDict()
    for headers in several:
        for name, value in headers.items():
            merged[name] = value.reveal() if isinstance(value, Secret) else value
    return merged


def _unaskable(what: str) -> Refused:
    return Refused(f"{what}: this cannot be asked over HTTP; check the address and the headers")
