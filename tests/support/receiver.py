"""A webhook receiver for the http sink: a real server that can be started, stopped and asked."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Self

from aiohttp import web

_REDIRECTION = 300


class Receiver:
    """Collects the ids of the events posted to it, in the order in which they were answered."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}/hook"
        self.ids: list[str] = []
        self._bound: socket.socket | None = None

    @classmethod
    def bound(cls) -> Self:
        """One that does not listen yet, on a port that nobody else can have meanwhile."""
        bound = socket.socket()
        bound.bind(("127.0.0.1", 0))
        self = cls(bound.getsockname()[1])
        self._bound = bound
        return self

    async def __aenter__(self) -> Self:
        app = web.Application()
        self._add_routes(app.router)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        bound, self._bound = self._bound, None
        if bound:
            await web.SockSite(self._runner, bound).start()
        else:
            await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()

    def _add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_post("/hook", self._take)

    async def _take(self, request: web.Request) -> web.Response:
        event = await request.json()
        self.ids.append(event["id"])
        return web.Response(status=204)


class Silent(Receiver):
    """A receiver that takes a request and never answers it; `asked` counts them."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.asked = 0
        self._over = asyncio.Event()

    async def _take(
        self,
        request: web.Request,  # noqa: ARG002 - aiohttp hands it over
    ) -> web.Response:
        self.asked += 1
        await self._over.wait()
        return web.Response()

    async def __aexit__(self, *exc: object) -> None:
        self._over.set()
        await super().__aexit__(*exc)


class Moody(Receiver):
    """A receiver that answers the n-th request, with this event, with the status that `status`
    gives, after `seconds`. `ids` are those that it took; `asked` counts requests.

    A redirect leads to `/elsewhere`, and from there to `/elsewhere` again; `strayed` counts who
    went there.
    """

    def __init__(
        self, port: int, status: Callable[[int, dict[str, Any]], int], *, seconds: float = 0.0
    ) -> None:
        super().__init__(port)
        self.asked = 0
        self.strayed = 0
        self._status = status
        self._seconds = seconds

    def _add_routes(self, router: web.UrlDispatcher) -> None:
        super()._add_routes(router)
        router.add_route("*", "/elsewhere", self._stray)

    async def _take(self, request: web.Request) -> web.Response:
        event = await request.json()
        self.asked += 1
        status = self._status(self.asked, event)
        await asyncio.sleep(self._seconds)
        if status < _REDIRECTION:
            self.ids.append(event["id"])
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    async def _stray(
        self,
        request: web.Request,  # noqa: ARG002 - aiohttp hands it over
    ) -> web.Response:
        self.strayed += 1
        return web.Response(status=307, headers={"Location": "/elsewhere"})
