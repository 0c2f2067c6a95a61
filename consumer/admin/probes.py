"""The admin listener: `/healthz`, `/readyz` and `/metrics`.

Probes are open to whoever reaches the listener, since an orchestrator carries no token; they hold
names from the configuration and reasons, never a secret. Everything else asks for the token where
one is set.
"""

import hmac
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Self

from aiohttp import web
from msgspec import Struct, json

from consumer.board import PartState
from consumer.errors import Unusable
from consumer.settings import AdminSettings
from consumer.values import join_listen, split_listen

_OPEN = frozenset({"/healthz", "/readyz"})
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Nothing an operator sends here has a body worth more.
_LARGEST_BODY = 1 << 16
_SECONDS_TO_FINISH = 2.0


class Readiness(Struct, frozen=True, kw_only=True):
    """Whether the daemon may be sent work, and how each part is."""

    ready: bool
    parts: Mapping[str, PartState]


class Admin:
    """Serves while it is entered; `readiness` and `metrics` are asked at each request."""

    def __init__(
        self,
        settings: AdminSettings,
        *,
        readiness: Callable[[], Awaitable[Readiness]],
        metrics: Callable[[], Awaitable[bytes]],
    ) -> None:
        self._settings = settings
        self._readiness = readiness
        self._metrics = metrics
        self.address = settings.listen

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=_LARGEST_BODY, middlewares=[self._authorise])
        app.on_response_prepare.append(_name_no_software)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._render_metrics)
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=_SECONDS_TO_FINISH, handle_signals=False
        )
        await self._runner.setup()
        host, port = split_listen(self._settings.listen)
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise Unusable(
                f"[admin] listen = {self._settings.listen!r}: {error.strerror or error}",
                "Choose a free address, or stop what uses this one",
            ) from error
        host, port = self._runner.addresses[0][:2]
        self.address = join_listen(host, port)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    @web.middleware
    async def _authorise(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        token = self._settings.token.reveal()
        if token and request.path not in _OPEN:
            scheme, _, given = request.headers.get("Authorization", "").partition(" ")
            given = given.strip() if scheme.lower() == "bearer" else ""
            if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode()):
                raise web.HTTPUnauthorized(headers={"WWW-Authenticate": "Bearer"})
        return await handler(request)

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        readiness = await self._readiness()
        return web.Response(
            status=200 if readiness.ready else 503,
            body=json.format(json.encode(readiness), indent=2),
            content_type="application/json",
        )

    async def _render_metrics(self, _request: web.Request) -> web.Response:
        body = await self._metrics()
        return web.Response(body=body, headers={"Content-Type": _METRICS_TYPE})


async def _name_no_software(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = "backorder-consumer"
