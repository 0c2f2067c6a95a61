"""aiohttp's part: one connection, answering problems as the rest of the listener does."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import cast

from aiohttp import web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError

from consumer.listener.answers import Rejection, rejected
from consumer.listener.door import Door, Guest

OnError = Callable[[BaseException], None]
Respond = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

# Seconds for which the rest of a refused body is read and thrown away, so that its sender gets to
# read our answer instead of a reset connection (RFC 9112, section 9.6).
_LINGER = 2.0


class Connection(web.RequestHandler, Guest):
    """aiohttp's connection, without its log, its error pages and its decompression.

    It tells the door how it goes.
    """

    __slots__ = ("_broken", "_door", "_on_error", "wire")

    def __init__(self, server: web.Server, door: Door, on_error: OnError, timeout: float) -> None:
        self._door = door
        self._on_error = on_error
        self._broken = False
        self.wire: asyncio.Transport | None = None
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=timeout,  # also bounds the time for the headers
            lingering_time=min(_LINGER, timeout),
            auto_decompress=False,
            access_log=None,  # type: ignore[arg-type]  # None is how aiohttp is told to have none
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As aiohttp does; the wire is kept, which aiohttp forgets before it is closed."""
        self.wire = cast("asyncio.Transport", transport)  # uvloop's is none by birth
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """As aiohttp does; the place is free."""
        self._door.left(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """As aiohttp does, up to what cannot be parsed: nothing behind that makes sense.

        aiohttp would parse on, and keep an error for each piece that arrives until the first is
        answered. Each quotes its piece, and is in a cycle (error, traceback, frame, error) that is
        only collected much later: some hundred senders of nonsense would fill the memory.
        """
        if self._broken:
            return
        super().data_received(data)
        last = self._messages[-1][0] if self._messages else None
        if last is not None and not isinstance(last, RawRequestMessage):
            self._broken = True
            last.exc.with_traceback(None)

    def request_is_here(self) -> None:
        """All of the request has arrived: what it waits for now is our answer."""
        self._door.owes(self)

    def request_is_answered(self) -> None:
        """The next request may come."""
        self._door.waits(self)

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
        return rejected(Rejection(HTTPStatus(status), "this is not a valid HTTP/1.1 request"))

    def log_exception(self, *args: object, **kw: object) -> None:
        """Tell the listener's owner instead of writing a log."""
        error = kw.get("exc_info")
        self._on_error(error if isinstance(error, BaseException) else RuntimeError(*args))
