"""The door: connections are accepted here, and there are never more of them than places.

Rules
1. A connection has a place from the moment it is accepted, before any TLS handshake, until it is
   closed. There are `most` places, or fewer where the process may not have that many files open:
   the journal and the sinks keep theirs (`places`).
2. Where every place is taken, the connection goes that has kept us waiting longest for its request,
   or for the rest of one. Who has waited only briefly stays, and so does everybody whom we owe an
   answer. Where nobody goes, the newcomer is answered 503: thousands that say nothing can keep out
   nobody for long who does say something.
3. Who does not take our answers does not stay: a connection with something left to write at two
   looks, `timeout` seconds apart, is cut. Closing alone would wait for such a reader for ever.

Why not `loop.create_server`: it knows of a connection only after the handshake, and where no
descriptor is free uvloop may close its listening socket for good.
"""

import asyncio
import resource
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress

import msgspec

from consumer.listener.answers import SERVER

# Descriptors that stay for the journal, the sinks, queues, polls and the admin listener.
_OTHERS = 256

# Seconds that nobody is cut off for another's sake, and seconds to wait for a descriptor.
_BRIEFLY = 1.0
_BREATH = 0.1

_BACKLOG = 128
_SECONDS_TO_SHAKE_OFF = 2.0  # for the end of TLS

_DETAIL = "too many connections at once; nothing was kept, send this again"
_FULL_BODY = msgspec.json.encode(
    {"type": "about:blank", "title": "Service Unavailable", "status": 503, "detail": _DETAIL}
)
_FULL = (
    f"HTTP/1.1 503 Service Unavailable\r\nServer: {SERVER}\r\nRetry-After: 5\r\n"
    "Connection: close\r\nContent-Type: application/problem+json\r\n"
    f"Content-Length: {len(_FULL_BODY)}\r\n\r\n"
).encode() + _FULL_BODY


class Guest(asyncio.Protocol):
    """A connection as the door knows it; `wire` is None until it is made."""

    __slots__ = ()

    wire: asyncio.Transport | None


class Door:
    """Accepts between `open` and `close`; `make` makes the protocol of a connection.

    `turned_away` is called for each newcomer that is answered 503, `cut_off` for each connection
    that is cut to make room, `on_error` with what was not foreseen. The connections themselves say
    when they wait for a request (`waits`), owe an answer (`owes`) and are closed (`left`).
    """

    def __init__(
        self,
        make: Callable[[], Guest],
        *,
        most: int,
        timeout: float,
        tls: ssl.SSLContext | None,
        turned_away: Callable[[], None],
        cut_off: Callable[[], None],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._make = make
        self._wanted = most
        self._timeout = timeout
        self._tls = tls
        self._turned_away = turned_away
        self._cut_off = cut_off
        self._on_error = on_error
        self._guests: dict[Guest, asyncio.Task[None]] = {}  # and what lets each of them in
        self._waiting: dict[Guest, float] = {}  # since when; longest first
        self._tasks: list[asyncio.Task[None]] = []
        self._sockets: list[socket.socket] = []

    @property
    def guests(self) -> int:
        """How many connections there are."""
        return len(self._guests)

    @property
    def port(self) -> int:
        """The port in use, also where port 0 was asked for; only while the door is open."""
        port: int = self._sockets[0].getsockname()[1]
        return port

    # --- opening and closing -----------------------------------------------------------------

    async def open(self, host: str, port: int) -> None:
        """Listen on every address of `host`; raises OSError where that cannot be."""
        self._most = places(self._wanted)
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, *_, address in dict.fromkeys(found):
                self._sockets.append(_listening(family, address))
        except OSError:
            self._close_sockets()
            raise
        works = [self._watch(), *(self._accept(each) for each in self._sockets)]
        self._tasks = [loop.create_task(work) for work in works]
        for task in self._tasks:
            task.add_done_callback(self._ended)

    async def close(self) -> None:
        """Accept nobody any more; who is in stays."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)  # nobody looks at the sockets any more
        self._close_sockets()

    def clear(self) -> None:
        """Cut whoever is still here."""
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

    def waits(self, guest: Guest) -> None:
        """We begin to wait for its next request."""
        if guest in self._guests:
            self._waiting.pop(guest, None)
            self._waiting[guest] = asyncio.get_running_loop().time()

    def owes(self, guest: Guest) -> None:
        """Its request is here, we owe it the answer."""
        self._waiting.pop(guest, None)

    def left(self, guest: Guest) -> None:
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
        guest = self._make()
        self._guests[guest] = asyncio.create_task(self._let_in(guest, wire))
        self.waits(guest)

    async def _let_in(self, guest: Guest, wire: socket.socket) -> None:
        secure = (
            {"ssl_handshake_timeout": self._timeout, "ssl_shutdown_timeout": _SECONDS_TO_SHAKE_OFF}
            if self._tls
            else {}
        )
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: guest, wire, ssl=self._tls, **secure
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
        if guest is None or waited < min(_BRIEFLY, self._timeout):
            return False
        self._cut(guest)
        self._cut_off()
        return True

    def _cut(self, guest: Guest) -> None:
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
                wire.send(_FULL)
        self._turned_away()

    async def _watch(self) -> None:
        """Rule 3."""
        stuck: set[Guest] = set()
        while True:
            await asyncio.sleep(self._timeout)
            unread = {guest for guest in self._guests if _unread(guest)}
            for guest in unread & stuck:
                self._cut(guest)
            stuck = unread


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


def _unread(guest: Guest) -> bool:
    return guest.wire is not None and guest.wire.get_write_buffer_size() > 0


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
