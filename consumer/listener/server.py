"""The server: connections, routes, and one way for every request.

A request passes in this order, and the first stop that it fails answers: is the listener open
(503), is it HTTP/1 (505), who is asking (401), is there such a path (404), is it a POST (405), does
the body arrive whole (400, 501), within its bounds (413) and in time (408), is its signature right
(401), can it be decompressed (415, 400). Only then the source's handler sees it. What a media type
is worth is for the handler to say: it knows what it can read.

A sender that does not even finish its headers, or says nothing on an open connection, is cut off
after the same `timeout`. How many connections there may be is the business of the door.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Self

from aiohttp import HttpVersion10, HttpVersion11, web

from consumer.errors import Unusable
from consumer.event import valid_traceparent
from consumer.listener.answers import Rejection, rejected, response
from consumer.listener.auth import gate
from consumer.listener.body import Memory, inflate, receive, receive_at_once
from consumer.ports import Posted, Reply
from consumer.serving import Bounds, Door, OnError, arrived
from consumer.settings import TlsSettings, WebhooksSettings
from consumer.values import join_listen, split_listen

Handler = Callable[[Posted], Awaitable[Reply]]
OnAnswer = Callable[[int], None]

# Seconds for connections to say goodbye, after every request is done.
_GOODBYE = 0.25

# Seconds that requests under way get when the listener closes, where nobody says otherwise.
_GRACE = 5.0

_VERSIONS = (HttpVersion10, HttpVersion11)
_KEPT_HEADERS = ("Content-Type", "Content-Encoding", "User-Agent")
_LONGEST_KEPT = 200


class Listener:
    """The listener of `[webhooks]`; implements `ports.Webhooks`.

    Serves while it is entered as an asynchronous context manager; entering raises `Unusable` where
    the address or the certificates cannot be used. Routes may be added before and meanwhile.

    `on_error` is told about every unexpected exception of a handler, whose sender gets a bare 500;
    `on_answer` about the status of each answer, `on_cut_off` about each connection that was cut off
    to make room for another.
    `grace`: seconds that requests under way may take to finish when the listener closes.
    """

    def __init__(
        self,
        settings: WebhooksSettings,
        *,
        on_error: OnError | None = None,
        on_answer: OnAnswer = lambda _: None,
        on_cut_off: Callable[[], None] = lambda: None,
        grace: Callable[[], float] = lambda: _GRACE,
    ) -> None:
        self._settings = settings
        self._on_answer = on_answer
        self._on_cut_off = on_cut_off
        self._on_error = on_error or _tell_the_loop
        self._grace = grace
        self._gate = gate(settings.auth)
        self._memory = Memory(settings.max_body)
        self._routes: dict[str, Handler] = {}
        self._active: set[asyncio.Task[object]] = set()
        self._closing = False

    def route(self, path: str, handler: Handler) -> None:
        """Answer POSTs to `path`; ValueError where the path is taken."""
        if path in self._routes:
            raise ValueError(f"two sources want to answer {path}; give one of them another path")
        self._routes[path] = handler

    @property
    def routed(self) -> bool:
        """Whether there is anything to answer to."""
        return bool(self._routes)

    @property
    def port(self) -> int:
        """The port in use, also where port 0 was asked for; only while the listener is open."""
        return self._door.address[1]

    @property
    def address(self) -> str:
        """Where it listens, as the beginning of a URL; only while the listener is open."""
        host, _ = split_listen(self._settings.listen)
        scheme = "https" if self._settings.tls else "http"
        return f"{scheme}://{join_listen(host, self.port)}"

    # --- opening and closing -----------------------------------------------------------------

    async def __aenter__(self) -> Self:
        tls = server_context(self._settings.tls) if self._settings.tls else None
        self._server = web.Server(self._respond)
        self._door = Door(
            self._server,
            Bounds(
                most_connections=self._settings.max_connections, patience=self._settings.timeout
            ),
            problem=_problem,
            on_error=self._on_error,
            on_turned_away=partial(self._on_answer, HTTPStatus.SERVICE_UNAVAILABLE),
            on_cut_off=self._on_cut_off,
            tls=tls,
        )
        try:
            await self._door.open(*split_listen(self._settings.listen))
        except OSError as error:
            raise Unusable(
                f"cannot listen on {self._settings.listen}: {error.strerror or error}",
                "Choose another address in [webhooks] listen, or stop what uses this one",
            ) from error
        return self

    async def __aexit__(self, *exc: object) -> None:
        # New requests on open connections get 503 from now on: their senders come again.
        self._closing = True
        # No new connections.
        await self._door.close()
        try:
            # What is under way may be waiting for its commit, and deserves its answer.
            if self._active:
                await asyncio.wait(self._active, timeout=self._grace())
        finally:
            # What is not committed by now was not answered 200: its sender comes again.
            for task in self._active:
                task.cancel()
            await self._door.clear(_GOODBYE)

    # --- one request -------------------------------------------------------------------------

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - aiohttp runs each request in a task
        self._active.add(task)
        try:
            answer = response(await self._answer(request))
        except Rejection as rejection:
            answer = rejected(rejection)
        except Exception as error:  # noqa: BLE001 - no exception of a handler may reach a sender
            self._on_error(error)
            detail = "this failed unexpectedly here; nothing is wrong with the request"
            answer = rejected(Rejection(HTTPStatus.INTERNAL_SERVER_ERROR, detail))
        finally:
            self._active.discard(task)
        if self._closing:
            answer.force_close()
        self._on_answer(answer.status)
        return answer

    async def _answer(self, request: web.BaseRequest) -> Reply:
        if self._closing:
            detail = "the listener is closing; nothing was kept, send this again"
            raise Rejection(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after=5)
        if request.version not in _VERSIONS:
            detail = "only HTTP/1.1 and HTTP/1.0 are spoken here"
            raise Rejection(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, detail)
        self._gate.admit(request.headers)
        handler = self._find(request)
        with self._memory.share() as take:
            return await handler(await self._read(request, take))

    def _find(self, request: web.BaseRequest) -> Handler:
        handler = self._routes.get(request.path)
        if handler is None:
            raise Rejection(HTTPStatus.NOT_FOUND, "no source listens on this path")
        if request.method != "POST":
            detail = "messages are posted here; nothing else is answered"
            raise Rejection(HTTPStatus.METHOD_NOT_ALLOWED, detail, headers={"Allow": "POST"})
        return handler

    async def _read(self, request: web.BaseRequest, take: Callable[[int], None]) -> Posted:
        """The request as a handler gets it."""
        headers, limit = request.headers, self._settings.max_body
        try:
            received = receive_at_once(request, limit, take)
            if received is None:
                async with asyncio.timeout(self._settings.timeout):
                    received = await receive(request, limit, take)
        except TimeoutError as error:
            detail = f"the body did not arrive within {self._settings.timeout:g} seconds"
            raise Rejection(HTTPStatus.REQUEST_TIMEOUT, detail) from error
        arrived(request)
        self._gate.verify(headers, received)
        body = await inflate(received, headers.get("Content-Encoding", ""), limit, take)
        return Posted(
            body=body,
            content_type=headers.get("Content-Type", ""),
            traceparent=valid_traceparent(headers.get("traceparent")),
            attributes=_attributes(request),
        )


def _attributes(request: web.BaseRequest) -> Mapping[str, str]:
    """What the transport said and may matter to a person later; no credentials."""
    kept = {name.lower(): request.headers.get(name, "") for name in _KEPT_HEADERS}
    kept["remote"] = request.remote or ""
    return {name: _seen(value[:_LONGEST_KEPT]) for name, value in kept.items() if value}


def _seen(value: str) -> str:
    """The value, with a `?` for each character that cannot be read."""
    if value.isascii() and value.isprintable():
        return value
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in value)


def _problem(status: HTTPStatus, detail: str) -> web.Response:
    return rejected(Rejection(status, detail))


def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """The TLS side of `[webhooks.tls]`; `Unusable` where its files are."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.certificate, settings.key)
        if settings.client_ca:
            context.load_verify_locations(settings.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:  # ssl.SSLError is one
        raise Unusable(
            f"the files of [webhooks.tls] cannot be used: {error.strerror or error}",
            "certificate, key and client_ca must be readable PEM files that belong together",
        ) from error
    return context


def _tell_the_loop(error: BaseException) -> None:
    """Where nobody else wants to know, the event loop's exception handler does."""
    asyncio.get_running_loop().call_exception_handler(
        {"message": "a webhook handler failed", "exception": error}
    )
