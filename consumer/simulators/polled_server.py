"""What the simulated web services behind pollers have in common: listening, counting, misbehaving.

Rules
- Each answer is made at the time of the request, from what the world is then; nothing is kept from
  one request to the next but the world and the switches.
- Faults of the transport happen here, whatever the answer holds; those of its rows are the
  business of the service.
- 127.0.0.1 only, and no state is shared between servers.
"""

import asyncio
import base64
import errno
import hashlib
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Self

from aiohttp import hdrs, web
from msgspec import Struct

from consumer.errors import Unusable
from consumer.simulators.faults import Faults, Kind

_HOST = "127.0.0.1"
_REMEMBERED = 2000
_SECONDS_TO_FINISH = 0.2
_CHUNK = b" " * (64 << 10)
_HTML = b"<!DOCTYPE html><html><body><h1>It works!</h1></body></html>\n"


class Answer(Struct, frozen=True, kw_only=True):
    """What a service says to one request. `same` is what its validator is made of: None, the body.

    No validator is sent where `same` is empty.
    """

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = {}
    same: bytes | None = None


class Asked(Struct, frozen=True, kw_only=True):
    """One request: its kind, the parameters of its query, the validator it knew."""

    kind: Kind
    query: Mapping[str, str]
    validator: str | None = None


class PolledServer:
    """A web service on a port of its own; an asynchronous context manager.

    `requests` counts what was asked by kind, `asked` has the newest of it, oldest first, and
    `connections` counts who came. A body in `verbatim` is served instead of every good answer of
    its kind. With `etag` good answers have validators, and are not sent again where they are known.
    """

    def __init__(self, faults: Faults | None = None, *, port: int = 0, etag: bool = False) -> None:
        self.faults = Faults() if faults is None else faults
        self.etag = etag
        self.requests: Counter[Kind] = Counter()
        self.asked: deque[Asked] = deque(maxlen=_REMEMBERED)
        self.verbatim: dict[Kind, bytes] = {}
        self._port = port
        self._peers: set[object] = set()
        self._runner: web.AppRunner | None = None

    @property
    def connections(self) -> int:
        """How many connections requests have come by."""
        return len(self._peers)

    @property
    def url(self) -> str:
        """Where it listens, as `base_url` has it; from the start on."""
        return f"http://{_HOST}:{self._port}"

    async def __aenter__(self) -> Self:
        app = web.Application()
        self._add_routes(app.router)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SECONDS_TO_FINISH)
        await runner.setup()
        try:
            await web.TCPSite(runner, _HOST, self._port).start()
        except OSError as error:
            await runner.cleanup()
            raise _cannot_listen(error, self._port) from error
        self._runner = runner
        self._port = runner.addresses[0][1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    # --- for the services --------------------------------------------------------------------

    def _add_routes(self, router: web.UrlDispatcher) -> None:
        """Tell which path is whose."""
        raise NotImplementedError

    def _problem(self, status: int, message: str) -> Answer:
        """An error as this service words it."""
        raise NotImplementedError

    async def _serve(
        self, request: web.Request, kind: Kind, answer: Callable[[], Answer]
    ) -> web.StreamResponse:
        """Count a request and answer it, or do what the faults want."""
        self.requests[kind] += 1
        known = request.headers.get(hdrs.IF_NONE_MATCH)
        self.asked.append(Asked(kind=kind, query=dict(request.query), validator=known))
        if request.transport is not None:
            self._peers.add(request.transport.get_extra_info("peername"))
        if self.faults.strikes("slow", kind) is not None:
            await asyncio.sleep(self.faults.delay)
        if status := self.faults.strikes("status", kind):
            return _plain(self._wrong(int(status)))
        return await self._send(request, kind, answer())

    def _wrong(self, status: int) -> Answer:
        """The error of a service that fails for no reason of ours."""
        problem = self._problem(status, HTTPStatus(status).phrase)
        if status != HTTPStatus.TOO_MANY_REQUESTS:
            return problem
        wait = {"Retry-After": str(self.faults.retry_after)}
        return Answer(
            body=problem.body, status=status, content_type=problem.content_type, headers=wait
        )

    async def _send(self, request: web.Request, kind: Kind, answer: Answer) -> web.StreamResponse:
        if answer.status != HTTPStatus.OK:
            return _plain(answer)
        if kind in self.verbatim:
            answer = Answer(body=self.verbatim[kind], content_type=answer.content_type)
        headers = dict(answer.headers)
        if self.etag and answer.same != b"":
            headers[hdrs.ETAG] = _validator(answer)
            if request.headers.get(hdrs.IF_NONE_MATCH) == headers[hdrs.ETAG]:
                return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
        if self.faults.strikes("not_json", kind) is not None:
            return web.Response(body=_HTML, content_type="text/html")
        if self.faults.strikes("huge", kind) is not None:
            return await _pour(request, answer, self.faults.huge)
        if how := self.faults.strikes("cut", kind):
            half = answer.body[: len(answer.body) // 2]
            if how != "json":
                return await _break_off(request, answer, half, headers, chunked=how == "chunked")
            answer = Answer(body=half, content_type=answer.content_type)
        return web.Response(body=answer.body, content_type=answer.content_type, headers=headers)


def credentials(request: web.Request) -> tuple[str, str] | None:
    """User and password of a request, where it has any that can be read."""
    scheme, _, rest = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(rest, validate=True).decode().partition(":")
    except ValueError:
        return None
    return user, password


def _plain(answer: Answer) -> web.Response:
    return web.Response(
        status=answer.status,
        body=answer.body,
        content_type=answer.content_type,
        headers=dict(answer.headers),
    )


def _validator(answer: Answer) -> str:
    said = answer.body if answer.same is None else answer.same
    return f'"{hashlib.blake2b(said, digest_size=12).hexdigest()}"'


async def _pour(request: web.Request, answer: Answer, size: int) -> web.StreamResponse:
    """A body that goes on and on: blanks behind the beginning of the answer."""
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: answer.content_type})
    with suppress(ConnectionError):  # whoever reads may well have enough of it
        await response.prepare(request)
        await response.write(answer.body[: len(answer.body) // 2])
        for _ in range(size // len(_CHUNK)):
            await response.write(_CHUNK)
    return response


async def _break_off(
    request: web.Request, answer: Answer, part: bytes, headers: Mapping[str, str], *, chunked: bool
) -> web.StreamResponse:
    """A body whose connection ends before the body does."""
    response = web.StreamResponse(headers={**headers, hdrs.CONTENT_TYPE: answer.content_type})
    if not chunked:
        response.content_length = len(answer.body)
    with suppress(ConnectionError):
        await response.prepare(request)
        await response.write(part)
    if request.transport is not None:
        request.transport.close()
    return response


def _cannot_listen(error: OSError, port: int) -> Unusable:
    if error.errno == errno.EADDRINUSE:
        return Unusable(f"port {port} of {_HOST} is in use", "Choose another, or 0 for a free one")
    return Unusable(f"cannot listen on port {port} of {_HOST}: {error.strerror}")
