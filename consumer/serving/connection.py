"""aiohttp's part: one connection, without its log, its error pages and its decompression.

Rules
1. Who says nothing, or does not finish its headers, or does not take an answer, is cut off after
   `patience` seconds. The time of a body is bounded by whoever reads it.
2. Headers have bounds in number and length.
3. What cannot even be parsed is answered like every other problem, is quoted nowhere, and ends the
   connection: nothing behind it makes sense.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol, cast

from aiohttp import web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError

OnError = Callable[[BaseException], None]
Problem = Callable[[HTTPStatus, str], web.Response]

# Seconds for which the rest of a refused body is read and thrown away, so that its sender gets to
# read our answer instead of a reset connection (RFC 9112, section 9.6).
_LINGER = 2.0


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """What a server may be made to spend; `patience` in seconds, `longest_header` in bytes."""

    most_connections: int
    patience: float
    most_headers: int = 128
    longest_header: int = 8190


class Doorkeeper(Protocol):
    """Who let the connection in and wants to know how it goes."""

    def waits(self, guest: "Connection") -> None:
        """The connection keeps us waiting from now on: for a request, or to take an answer."""
        ...

    def owes(self, guest: "Connection") -> None:
        """All of its request has arrived: what it waits for now is our answer."""
        ...

    def left(self, guest: "Connection") -> None:
        """It is closed."""
        ...


class Connection(web.RequestHandler):
    """A connection of `server`; `wire` is None until it is made.

    `problem` writes what is wrong as the listener writes it elsewhere, `on_error` hears of bugs.
    """

    __slots__ = ("_broken", "_on_error", "_patience", "_problem", "door", "wire")

    def __init__(
        self,
        server: web.Server,
        door: Doorkeeper,
        *,
        bounds: Bounds,
        problem: Problem,
        on_error: OnError,
    ) -> None:
        self.door = door
        self.wire: asyncio.Transport | None = None
        self._patience = bounds.patience
        self._problem = problem
        self._on_error = on_error
        self._broken = False
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=bounds.patience,  # also bounds the time for the headers
            lingering_time=min(_LINGER, bounds.patience),
            max_line_size=bounds.longest_header,
            max_field_size=bounds.longest_header,
            max_headers=bounds.most_headers,
            auto_decompress=False,
            access_log=None,  # type: ignore[arg-type]  # None is how aiohttp is told to have none
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As aiohttp does; the wire is kept, which aiohttp forgets before it is closed."""
        self.wire = cast("asyncio.Transport", transport)  # uvloop's is none by birth
        # An answer counts as sent when all of it is with the operating system: see rule 1.
        self.wire.set_write_buffer_limits(high=0)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """As aiohttp does; the place is free."""
        self.door.left(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """As aiohttp does, up to what cannot be parsed.

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

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer, for as long as patience lasts: closing would wait for ever."""
        self.door.waits(self)
        deadline = asyncio.get_running_loop().call_later(self._patience, self._give_up)
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            deadline.cancel()

    def _give_up(self) -> None:
        """The answer is not taken: who sends it is told that the connection is lost."""
        if self.wire is not None:
            self.wire.abort()

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
        answer = self._problem(HTTPStatus(status), "this is not a valid HTTP/1.1 request")
        answer.force_close()
        return answer

    def log_exception(self, *args: object, **kw: object) -> None:
        """Tell the listener's owner instead of writing a log."""
        error = kw.get("exc_info")
        self._on_error(error if isinstance(error, BaseException) else RuntimeError(*args))


def arrived(request: web.BaseRequest) -> None:
    """All of a request is here: its connection is owed an answer, and stays until it gets that."""
    connection = request.protocol
    assert isinstance(connection, Connection)  # noqa: S101 - the door makes no others
    connection.door.owes(connection)
