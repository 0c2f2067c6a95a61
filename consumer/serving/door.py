"""The door: connections are accepted here, and there are never more of them than places.

Rules
1. A connection has a place from the moment it is accepted, before any TLS handshake, until it is
   closed. There are `most_connections` places, or fewer where the process may not have that many
   files open: the journal and the sinks keep theirs (`places`).
2. Where every place is taken, the connection goes that has kept us waiting longest: for its
   request, for the rest of one, or to take an answer. Who has waited only briefly stays, and so
   does everybody whom we owe an answer. Where nobody goes, the newcomer is answered 503: thousands
   that say nothing can keep out nobody for long who does say something.

Why not `loop.create_server`: it knows of a connection only after the handshake, and where no
descriptor is free uvloop may close its listening socket for good.
"""

import asyncio
import resource
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import cast

from aiohttp import web

from consumer.serving.connection import Bounds, Connection, OnError, Problem

# Descriptors that stay for the journal, the sinks, queues, polls and the other listener.
_OTHERS = 256

# Seconds that nobody is cut off for another's sake, and seconds to wait for a descriptor.
_BRIEFLY = 1.0
_BREATH = 0.1

_BACKLOG = 128
_SECONDS_TO_SHAKE_OFF = 2.0  # for the end of TLS

_RETRY_AFTER = "5"  # seconds


class Door:
    """Accepts between `open` and `close`, and has `server` answer what its connections ask.

    `problem` writes what is wrong. `on_turned_away` is called for each newcomer that is answered
    503, `on_cut_off` for each connection that is cut to make room, `on_error` with what was not
    foreseen. Connections say themselves when they wait, are owed an answer and are closed.
    """

    def __init__(
        self,
        server: web.Server,
        bounds: Bounds,
        *,
        problem: Problem,
        on_error: OnError,
        on_turned_away: Callable[[], None] = lambda: None,
        on_cut_off: Callable[[], None] = lambda: None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._server = server
        self._bounds = bounds
        self._problem = problem
        self._on_error = on_error
        self._on_turned_away = on_turned_away
        self._on_cut_off = on_cut_off
        self._tls = tls
        self._full = _full(problem)
        self._guests: dict[Connection, asyncio.Task[None]] = {}  # and what lets each of them in
        self._waiting: dict[Connection, float] = {}  # since when; longest first
        self._tasks: list[asyncio.Task[None]] = []
        self._sockets: list[socket.socket] = []

    @property
    def guests(self) -> int:
        """How many connections there are."""
        return len(self._guests)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port in use, also where port 0 was asked for; only while the door is open."""
        host, port = self._sockets[0].getsockname()[:2]
        return host, port

    # --- opening and closing -----------------------------------------------------------------

    async def open(self, host: str, port: int) -> None:
        """Listen on every address of `host`; raises OSError where that cannot be."""
        self._most = places(self._bounds.most_connections)
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, *_, address in dict.fromkeys(found):
                self._sockets.append(_listening(family, address))
        except OSError:
            self._close_sockets()
            raise
        self._tasks = [loop.create_task(self._accept(each)) for each in self._sockets]
        for task in self._tasks:
            task.add_done_callback(self._ended)

    async def close(self) -> None:
        """Accept nobody any more; who is in stays."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)  # nobody looks at the sockets any more
        self._close_sockets()

    async def clear(self, grace: float) -> None:
        """Close what is idle, and what is under way when it is answered; cut it after `grace`
        seconds.
        """
        self._server.pre_shutdown()
        await self._server.shutdown(grace)
        for guest in list(self._guests):
            self._cut(guest)

    def _close_sockets(self) -> None:
        for each in self._sockets:
            each.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A door that has fallen shut by itself is a bug that somebody must hear of."""
        if not task.cancelled() and (error := task.exception()):
            self._on_error(error)

    # --- what connections say ----------------------------------------------------------------

    def waits(self, guest: Connection) -> None:
        """It keeps us waiting from now on."""
        if guest in self._guests:
            self._waiting.pop(guest, None)
            self._waiting[guest] = asyncio.get_running_loop().time()

    def owes(self, guest: Connection) -> None:
        """Its request is here, we owe it the answer."""
        self._waiting.pop(guest, None)

    def left(self, guest: Connection) -> None:
        """It is closed; its place is free."""
        self._guests.pop(guest, None)
        self._waiting.pop(guest, None)

    # --- accepting ---------------------------------------------------------------------------

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                wire, _ = await loop.sock_accept(listening)
            except ConnectionError:  # it is gone already
                continue
            except OSError:  # no descriptor is free
                self._make_room()
                await asyncio.sleep(_BREATH)
                continue
            if len(self._guests) < self._most or self._make_room():
                self._welcome(wire)
            else:
                self._turn_away(wire)
            await asyncio.sleep(0)  # a crowd at the door is not all that there is to do

    def _welcome(self, wire: socket.socket) -> None:
        guest = Connection(
            self._server,
            self,
            bounds=self._bounds,
            problem=self._problem,
            on_error=self._on_error,
        )
        self._guests[guest] = asyncio.create_task(self._let_in(guest, wire))
        self.waits(guest)

    async def _let_in(self, guest: Connection, wire: socket.socket) -> None:
        secure = {
            "ssl_handshake_timeout": self._bounds.patience,
            "ssl_shutdown_timeout": _SECONDS_TO_SHAKE_OFF,
        }
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: guest, wire, ssl=self._tls, **(secure if self._tls else {})
            )
        except (OSError, asyncio.CancelledError):
            pass  # no TLS, or too late with it; cut
        except Exception as error:  # noqa: BLE001 - its place must be free whatever it was
            self._on_error(error)
        else:
            return
        self.left(guest)
        wire.close()

    def _make_room(self) -> bool:
        """Cut who has kept us waiting longest, if that was not briefly; whether somebody went."""
        guest, since = next(iter(self._waiting.items()), (None, 0.0))
        waited = asyncio.get_running_loop().time() - since
        if guest is None or waited < min(_BRIEFLY, self._bounds.patience):
            return False
        self._cut(guest)
        self._on_cut_off()
        return True

    def _cut(self, guest: Connection) -> None:
        task = self._guests[guest]
        self.left(guest)
        if guest.wire is not None:
            guest.wire.abort()
        else:
            task.cancel()

    def _turn_away(self, wire: socket.socket) -> None:
        with wire, suppress(OSError):
            if self._tls is None:
                wire.settimeout(0)
                wire.send(self._full)
        self._on_turned_away()


def places(wanted: int) -> int:
    """How many connections there may be, of `wanted`; raises the soft limit of open files for it.

    Of a limit too small for everything the other parts keep what they need, at most half of it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _OTHERS
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with suppress(OSError, ValueError):  # not allowed here: then with what there is
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    return min(wanted, max(soft - _OTHERS, soft // 2))


def _full(problem: Problem) -> bytes:
    """What a newcomer without a place is answered; no connection of aiohttp's is made for it."""
    answer = problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "too many connections at once; nothing was done, send this again",
    )
    body = cast("bytes", answer.body)
    own = {"Retry-After": _RETRY_AFTER, "Connection": "close", "Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in {**answer.headers, **own}.items())
    return f"HTTP/1.1 {answer.status} {answer.reason}\r\n{head}\r\n".encode() + body


def _listening(family: int, address: tuple[object, ...]) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # IPv4 has a socket of its own
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.settimeout(0)
        made.bind(address)
        made.listen(_BACKLOG)
    except OSError:
        made.close()
        raise
    return made
