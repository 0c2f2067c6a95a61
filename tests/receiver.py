"""A webhook receiver for the http sink: a real server that can be started, stopped and asked."""

import asyncio
from typing import Self

from aiohttp import web


class Receiver:
    """Collects the ids of the events posted to it, in the order in which they were answered."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}/hook"
        self.ids: list[str] = []

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/hook", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        event = await request.json()
        self.ids.append(event["id"])
        return web.Response(status=204)


class Silent(Receiver):
    """A receiver that takes a request and never answers it; `asked` counts them."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.asked = 0

    async def _take(
        self,
        request: web.Request,  # noqa: ARG002 - aiohttp hands it over
    ) -> web.Response:
        self.asked += 1
        await asyncio.Event().wait()
        return web.Response()
