"""Events as webhooks: CloudEvents over HTTP, signed by Standard Webhooks.

Rules
1. One event, one POST, one after the other: the receiver sees journal order. `concurrency` above 1
   gives that up within a batch, `batched` sends a whole batch as one POST.
2. What an answer means stands in one table, in `answers`.
3. A redirect is never followed: an event goes to the configured host and to no other. No proxy of
   the environment is used, and no cookie is kept.
4. Of an answer only the status and Retry-After are looked at. Its body may quote the event, so it
   is thrown away (`consumer.web.discard`), and of a long one only the beginning is read.
"""

import asyncio
import ssl
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Self
from urllib.parse import urlsplit

import aiohttp

from consumer.errors import Refused, Unavailable, Unusable
from consumer.model import Record
from consumer.sinks import through
from consumer.sinks.http.answers import Meaning, meaning
from consumer.sinks.http.options import HttpOptions, signing_key
from consumer.sinks.http.request import single, together
from consumer.values import redacted
from consumer.web import context, discard, failure, retry_after

# Seconds that `check` waits for a connection at the most.
_PROBE = 5.0

# Seconds until a receiver is asked again that wants no more webhooks (410).
_GONE_FOR = 3600.0


class Http:
    """The sink that POSTs to one URL, over a pool of connections that are kept open."""

    Options = HttpOptions

    def __init__(self, options: HttpOptions) -> None:
        self.name = options.name
        self._options = options
        self._shown = redacted(options.url.reveal())
        keys = (signing_key(secret) for secret in (options.secret, options.previous_secret))
        self._keys = [key for key in keys if key]
        self._width = 1 if options.batched else options.concurrency

    async def __aenter__(self) -> Self:
        options = self._options
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._width, ssl=self._context()),
            timeout=aiohttp.ClientTimeout(total=options.timeout),
            headers={name: header.reveal() for name, header in options.headers.items()},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._session.close()

    async def deliver(self, batch: Sequence[Record]) -> Mapping[int, str]:
        """POST every event; return when each has its answer.

        A refused batch of several events is halved and sent again, until the events that the
        receiver really refuses are found. An `Unavailable` counts as delivered only what stands
        before the first refused event: the refusal is told when the rest is offered again.
        """
        left: list[Sequence[Record]] = [[record] for record in reversed(batch)]
        if self._options.batched and batch:
            left = [batch]
        refused: dict[int, str] = {}
        done = 0
        while left:
            group = [left.pop() for _ in range(min(self._width, len(left)))]
            answers = await asyncio.gather(*map(self._post, group), return_exceptions=True)
            for part, answer in zip(group, answers, strict=True):
                if isinstance(answer, Unavailable):
                    answer.delivered = through(batch[:done], refused)
                if isinstance(answer, BaseException):
                    raise answer
                if answer and len(part) > 1:
                    half = len(part) // 2
                    left += [part[half:], part[:half]]
                    continue
                refused |= {record.seq: answer for record in part if answer}
                done += len(part)
        return refused

    async def check(self) -> Sequence[str]:
        """Open a connection, with TLS where the URL says so, and close it again."""
        parts = urlsplit(self._options.url.reveal())
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        try:
            tls = self._context() if secure else None
            async with asyncio.timeout(min(self._options.timeout, _PROBE)):
                _, writer = await asyncio.open_connection(parts.hostname, port, ssl=tls)
        except Unusable as error:
            raise Refused(str(error)) from error
        except OSError as error:
            raise Unavailable(f"{self._shown}: {failure(error)}") from error
        writer.transport.abort()
        how = "over TLS, its certificate verifies" if secure else "without TLS"
        return [f"{self._shown}: connected to port {port} {how}; no request was sent"]

    def _context(self) -> ssl.SSLContext:
        return context(self._options.tls, f"sink {self.name}")

    async def _post(self, part: Sequence[Record]) -> str | None:
        """Send one request; why the receiver refuses it, if it does."""
        build = together if self._options.batched else single
        body, headers = build(part, self._keys)
        url = self._options.url.reveal()
        try:
            async with self._session.post(
                url, data=body, headers=headers, allow_redirects=False
            ) as response:
                await discard(response)
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"{self._shown}: {failure(error)}") from error
        what, reason = meaning(response.status)
        if what is Meaning.LATER:
            wait = retry_after(response.headers.get("Retry-After"), time.time())
            if wait is None and response.status == HTTPStatus.GONE:
                wait = _GONE_FOR
            raise Unavailable(
                f"{self._shown}: HTTP {response.status}, it {reason}", retry_after=wait
            )
        return f"HTTP {response.status}" if what is Meaning.REFUSED else None
