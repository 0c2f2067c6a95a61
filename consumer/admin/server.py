"""The admin listener: one way for every request.

A request passes in this order, and the first stop that it fails answers: may this one ask (401,
403), is there such a path (404), such a method (405), may another site have it done (403), is it
JSON (415), does the body arrive within its bounds (413) and in time (408), does it make sense
(400). Only then its handler sees it; what that cannot do is 409, what it cannot do now 503. The
probes are open: they begin at the second stop.
"""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Self

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from consumer.admin import gates
from consumer.admin.answers import Rejection, allowed, answered, problem
from consumer.admin.openapi import openapi_document
from consumer.admin.probes import Desk, Readiness
from consumer.admin.questions import read_body, read_path, read_query, split_path
from consumer.admin.routes import Resource, Route, find
from consumer.errors import Refused, Unavailable, Unusable
from consumer.repair import RepairableJournal, Repairs
from consumer.serving import Bounds, Door, OnError, arrived
from consumer.settings import AdminSettings
from consumer.values import join_listen, split_listen

# Nothing an operator sends here has a body worth more, in bytes.
_LARGEST_BODY = 1 << 16

# Seconds for a request's headers, for its body, for reading the answer, and between two requests.
_PATIENCE = 30.0

# What anybody opens here must not take the file descriptors that the intake needs.
_MOST_CONNECTIONS = 256
_MOST_HEADERS = 64

# Seconds that requests under way get when the listener closes.
_GRACE = 2.0

# Seconds after which what is unavailable is worth another try, where nobody says better.
_RETRY_AFTER = 5.0


class Admin:
    """Serves while it is entered; entering raises `Unusable` where the address cannot be used.

    `readiness` and `metrics` are asked at each request. `journal` is only read from; what changes
    something goes through `repairs`. `on_error` is told about every unexpected exception, of which
    the asker gets a bare 500. `patience`: seconds that whoever asks may take for each step.
    """

    def __init__(
        self,
        settings: AdminSettings,
        *,
        readiness: Callable[[], Awaitable[Readiness]],
        metrics: Callable[[], Awaitable[bytes]],
        journal: RepairableJournal,
        repairs: Repairs,
        on_error: OnError | None = None,
        patience: float = _PATIENCE,
    ) -> None:
        self._settings = settings
        self._desk = Desk(
            readiness=readiness,
            metrics=metrics,
            journal=journal,
            repairs=repairs,
            document=openapi_document(),
        )
        self._on_error = on_error or _tell_the_loop
        self._patience = patience
        self.address = settings.listen

    async def __aenter__(self) -> Self:
        bounds = Bounds(
            most_connections=_MOST_CONNECTIONS, patience=self._patience, most_headers=_MOST_HEADERS
        )
        self._server = web.Server(self._respond)
        self._door = Door(self._server, bounds, problem=problem, on_error=self._on_error)
        try:
            await self._door.open(*split_listen(self._settings.listen))
        except OSError as error:
            raise Unusable(
                f"[admin] listen = {self._settings.listen!r}: {error.strerror or error}",
                "Choose a free address, or stop what uses this one",
            ) from error
        self.address = join_listen(*self._door.address)
        return self

    async def __aexit__(self, *exc: object) -> None:
        # No new connections, and none that is idle; requests under way get their answer.
        await self._door.close()
        await self._door.clear(_GRACE)

    # --- one request -------------------------------------------------------------------------

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except Rejection as rejection:
            return problem(rejection.status, rejection.detail, headers=rejection.headers)
        except Refused as error:
            return problem(HTTPStatus.CONFLICT, error.reason)
        except Unavailable as error:
            after = _RETRY_AFTER if error.retry_after is None else error.retry_after
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, error.reason, retry_after=after)
        except Exception as error:  # noqa: BLE001 - no exception may reach whoever asks
            self._on_error(error)
            detail = "this failed unexpectedly here; nothing is wrong with the request"
            return problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        raw, _, query = request.raw_path.partition("?")
        resource = find(split_path(raw) or ())
        if not (resource and _is_open(resource)):
            gates.admit(self._settings, request.headers)
        if resource is None:
            raise Rejection(HTTPStatus.NOT_FOUND, "there is nothing here; see /api/v1/openapi.json")
        if request.method == "OPTIONS":
            return allowed(resource.allow)
        route = resource.find(request.method)
        if route is None:
            detail = "this cannot be done with it; Allow says what can"
            headers = {"Allow": resource.allow}
            raise Rejection(HTTPStatus.METHOD_NOT_ALLOWED, detail, headers)
        if request.method not in gates.SAFE_METHODS:
            gates.admit_change(request.headers)
        questions = await self._read(route, resource, query, request)
        answer = await route.handler(self._desk, **questions)
        return answered(answer, _status(answer))

    async def _read(
        self, route: Route, resource: Resource, query: str, request: web.BaseRequest
    ) -> dict[str, Any]:
        """What the handler is asked."""
        types, questions = route.types, dict[str, Any]()
        if "path" in types:
            questions["path"] = read_path(types["path"], resource.parts)
        if "query" in types:
            questions["query"] = read_query(types["query"], query)
        if "body" in types:
            gates.admit_json(request.headers)
            questions["body"] = read_body(types["body"], await self._receive(request))
        arrived(request)
        return questions

    async def _receive(self, request: web.BaseRequest) -> bytes:
        """The body, within its bounds and in time."""
        received = bytearray()
        try:
            async with asyncio.timeout(self._patience):
                await _invite(request)
                async for chunk in request.content.iter_any():
                    received += chunk
                    if len(received) > _LARGEST_BODY:
                        detail = f"the body is larger than {_LARGEST_BODY} bytes"
                        raise Rejection(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
        except TimeoutError as error:
            detail = f"the body did not arrive within {self._patience:g} seconds"
            raise Rejection(HTTPStatus.REQUEST_TIMEOUT, detail) from error
        except (web.RequestPayloadError, HttpProcessingError, ConnectionError) as error:
            detail = "the body ended early, or its framing is broken"
            raise Rejection(HTTPStatus.BAD_REQUEST, detail) from error
        return bytes(received)


def _is_open(resource: Resource) -> bool:
    return all(route.open for route in resource.routes.values())


def _status(answer: object) -> HTTPStatus:
    unready = isinstance(answer, Readiness) and not answer.ready
    return HTTPStatus.SERVICE_UNAVAILABLE if unready else HTTPStatus.OK


async def _invite(request: web.BaseRequest) -> None:
    """Answer `Expect: 100-continue`: the request has passed all that can be seen so far."""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.version >= (1, 1):
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # aiohttp must not think that the answer has begun


def _tell_the_loop(error: BaseException) -> None:
    """Where nobody else wants to know, the event loop's exception handler does."""
    asyncio.get_running_loop().call_exception_handler(
        {"message": "the admin listener failed", "exception": error}
    )
