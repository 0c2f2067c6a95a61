"""aiohttp's part of the admin listener: connections, bounded.

Rules
1. Who says nothing, or does not finish its headers, or does not read its answer, is cut off after
   `patience` seconds; the server bounds the time of a body likewise.
2. Headers have bounds in number and length, and there are at most `_MOST_CONNECTIONS` at once: what
   anybody opens here must not take the file descriptors that the intake needs.
3. What cannot even be parsed is answered like every other problem, and quoted nowhere.
"""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from consumer.admin.answers import problem

OnError = Callable[[BaseException], None]

_MOST_CONNECTIONS = 256
_MOST_HEADERS = 64
_LONGEST_HEADER = 8190

# Seconds for which the rest of a refused body is read and thrown away, so that its sender gets to
# read our answer instead of a reset connection (RFC 9112, section 9.6).
_LINGER = 2.0


class Server(web.Server):
    """Makes connections whose requests `respond` answers; `on_error` is told of every bug."""

    def __init__(
        self,
        respond: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        *,
        on_error: OnError,
        patience: float,
    ) -> None:
        super().__init__(respond)
        self._on_error = on_error
        self._patience = patience

    def __call__(self) -> web.RequestHandler:
        """A connection, as asyncio asks for one (a protocol factory)."""
        return _Connection(self, self._on_error, self._patience)


class _Connection(web.RequestHandler):
    """aiohttp's connection, without its log, its error pages and its decompression."""

    __slots__ = ("_on_error", "_patience", "_server")

    def __init__(self, server: Server, on_error: OnError, patience: float) -> None:
        self._server = server
        self._on_error = on_error
        self._patience = patience
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=patience,  # also bounds the time for the headers
            lingering_time=min(_LINGER, patience),
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
            max_headers=_MOST_HEADERS,
            auto_decompress=False,
            access_log=None,  # type: ignore[arg-type]  # None is how aiohttp is told to have none
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if isinstance(transport, asyncio.WriteTransport):
            # An answer counts as sent when all of it is with the operating system: see rule 1.
            transport.set_write_buffer_limits(high=0)
        if len(self._server.connections) > _MOST_CONNECTIONS:
            self.force_close()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer, for as long as patience lasts."""
        try:
            async with asyncio.timeout(self._patience):
                return await super().finish_response(request, resp, start_time)
        except TimeoutError:
            self.force_close()
            raise ConnectionError("an answer was not read in time") from None

    def force_close(self) -> None:
        """Close without waiting for a peer that does not read."""
        transport = self.transport
        super().force_close()
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's signature
    ) -> web.StreamResponse:
        """Answer what could not even be parsed; aiohttp's message quotes it, ours does not."""
        if exc is not None and not isinstance(exc, HttpProcessingError):
            self._on_error(exc)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        answer = problem(HTTPStatus(status), "this is not a valid HTTP/1.1 request")
        answer.force_close()
        return answer

    def log_exception(self, *args: object, **kw: object) -> None:
        """Tell the listener's owner instead of writing a log."""
        error = kw.get("exc_info")
        self._on_error(error if isinstance(error, BaseException) else RuntimeError(*args))
