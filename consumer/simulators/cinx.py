"""The CINX API, simulated: lists, details and templates of back-orders, and what leads to them.

Below `/{version}`: `sub/{api_token}/back-orders`, `sub/{api_token}/back-order/{cinx_guid}`,
`sub/{api_token}/template/back-order`, `subs`, `auth/token/generate` and `ping`. Each answers in
CINX's envelope, as JSON, or as XML for `format=xml`. A back-order that is over has a detail with
`dates.cleared` for as long as the world remembers it, afterwards none (404).
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Literal

from aiohttp import web

from consumer.simulators.cinx_access import Access, reason
from consumer.simulators.cinx_answers import Counts, Envelope, Validates
from consumer.simulators.cinx_rows import Row
from consumer.simulators.cinx_templates import update_template
from consumer.simulators.cinx_world import CinxWorld
from consumer.simulators.faults import Faults, Kind
from consumer.simulators.polled_server import Answer, PolledServer

_FILTERS = ("delivery", "project", "vendor", "po-guid")
_PARTNER = "oauth-api"
_UNKNOWN_TOKEN = "Unauthorized: no such API token"  # noqa: S105 - a message

_Say = Callable[[web.Request, Envelope], Answer]


class CinxServer(PolledServer):
    """The API on top of a world.

    `page` is how many rows a list has without a `limit`, `largest` the most it gives to any.
    `counts` is how `total_count` is told: truly, as 0, or not at all (`"response": {}`). `ends` are
    the last days of subscriptions by organisation; without, a year from now. `bare_token`: a bearer
    token comes outside the envelope, as version 2.0 of CINX documents it. `etag` is True, or
    "rows": then a validator stands for the rows of a page, whatever the total beside them is.
    """

    def __init__(
        self,
        world: CinxWorld,
        faults: Faults | None = None,
        username: str = "me@example.com",
        password: str = "secret",  # noqa: S107 - made up
        *,
        version: str = "2.0",
        port: int = 0,
        page: int = 50,
        largest: int | None = None,
        counts: Counts = "true",
        ends: Mapping[str, str] | None = None,
        etag: bool | Literal["rows"] = False,
        bare_token: bool = False,
    ) -> None:
        super().__init__(faults, port=port, etag=bool(etag))
        self.world = world
        self.access = Access(username, password, ends or {})
        self.counts: Counts = counts
        self._version = version
        self._page = page
        self._largest = largest
        self._bare_token = bare_token
        self._validates: Validates = "rows" if etag == "rows" else "all" if etag else ""

    def _add_routes(self, router: web.UrlDispatcher) -> None:
        sub = f"/{self._version}/sub/{{token}}"
        paths: Mapping[str, tuple[Kind, _Say]] = {
            f"{sub}/back-orders": ("list", self._list),
            f"{sub}/back-order/{{guid}}": ("detail", self._detail),
            f"{sub}/template/back-order": ("template", self._template),
            f"/{self._version}/subs": ("subs", self._subs),
            f"/{self._version}/auth/token/generate": ("token", self._token),
            f"/{self._version}/ping": ("ping", self._ping),
        }
        for path, (kind, say) in paths.items():
            router.add_get(path, partial(self._handle, kind, say))
        router.add_route("*", "/{path:.*}", self._nowhere)

    async def _handle(self, kind: Kind, say: _Say, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, kind, partial(self._answer, kind, say, request))

    def _answer(self, kind: Kind, say: _Say, request: web.Request) -> Answer:
        envelope = self._envelope(request)
        if inside := self.faults.strikes("envelope", kind):
            return envelope.answer((), inside=int(inside))
        if kind in {"list", "detail", "template"}:
            denial = self._denial(request, kind)
            if denial:
                return envelope.answer((), status=401, message=denial)
        return say(request, envelope)

    def _envelope(self, request: web.Request) -> Envelope:
        return Envelope(
            uri=request.path.lstrip("/"),
            format=request.query.get("format", "json"),
            counts=self.counts,
            began=time.time(),
            validates=self._validates,
        )

    def _problem(self, status: int, message: str) -> Answer:
        envelope = Envelope(uri="", format="json", counts=self.counts, began=time.time())
        return envelope.answer((), status=status, message=message)

    async def _nowhere(self, request: web.Request) -> web.StreamResponse:
        problem = self._envelope(request).answer((), status=404)
        return web.Response(status=404, body=problem.body, content_type=problem.content_type)

    def _denial(self, request: web.Request, kind: Kind) -> str:
        """Why a request for an organisation's data is not let in; empty: it is."""
        token = request.match_info["token"]
        names = {token: name for name, token in self.world.organisations.items()}
        if not self.access.has_user(request):
            return "Unauthorized"
        if token not in names:
            return _UNKNOWN_TOKEN
        expired = self.faults.strikes("expired", kind) is not None
        if expired or self.access.is_over(names[token]):
            return reason(self.access.end_of(names[token]))
        return ""

    # --- the services ------------------------------------------------------------------------

    def _list(self, request: web.Request, envelope: Envelope) -> Answer:
        query, token = request.query, request.match_info["token"]
        try:
            offset = int(query.get("offset", query.get("start", 0)))
            limit = int(query.get("limit", self._page))
        except ValueError:
            return envelope.answer((), status=400, message="offset and limit are numbers")
        if offset < 0 or limit < 1:
            return envelope.answer((), status=400, message="offset or limit out of range")
        limit = min(limit, self._largest or limit)
        self._disturb(token, offset)
        filters = {name: query[name] for name in _FILTERS if query.get(name)}
        lines = self.world.lines(token, filters)
        if self.faults.strikes("empty", "list") is not None:
            lines = ()
        total = len(lines)
        if self.faults.strikes("total", "list") is not None:
            total = max(0, total + self.faults.random.choice((-2, -1, 1, 2)))
        page = [line.row for line in lines[offset : offset + limit]]
        return envelope.answer(self._spoilt(page), total=total)

    def _disturb(self, token: str, offset: int) -> None:
        """What happens to the list between two requests."""
        if not offset and self.faults.strikes("reordered", "list") is not None:
            self.world.shuffle(token)
        if offset and (how := self.faults.strikes("shift", "list")):
            self.world.shift(token, offset, how)  # type: ignore[arg-type]  # one of its variants

    def _spoilt(self, page: list[Row]) -> list[Any]:
        """A page as the faults want it."""
        faults, place = self.faults, 0
        if page:
            place = faults.random.randrange(len(page))
        if page and faults.strikes("short", "list") is not None:
            return page[:place] + page[place + 1 :]
        if len(page) > 1 and faults.strikes("duplicate", "list") is not None:
            return [*page[:place], page[place - 1], *page[place + 1 :]]
        if page and (how := faults.strikes("broken_row", "list")):
            return [*page[:place], _BROKEN[how](page[place]), *page[place + 1 :]]
        return page

    def _detail(self, request: web.Request, envelope: Envelope) -> Answer:
        if self.faults.strikes("empty", "detail") is not None:
            return envelope.answer(())
        detail = self.world.detail(request.match_info["guid"], request.match_info["token"])
        if detail is None:
            return envelope.answer((), status=404)
        return envelope.answer((detail,))

    def _template(self, request: web.Request, envelope: Envelope) -> Answer:
        base = f"{self.url}/{self._version}"
        return envelope.answer((update_template(base, request.match_info["token"]),))

    def _subs(self, request: web.Request, envelope: Envelope) -> Answer:
        if not self.access.has_user(request):
            return envelope.answer((), status=401)
        expired = self.faults.strikes("expired", "subs") is not None
        rows = [
            self.access.subscription(name, token, expired=expired)
            for name, token in self.world.organisations.items()
        ]
        return envelope.answer(rows)

    def _token(self, request: web.Request, envelope: Envelope) -> Answer:
        if not self.access.has_password(request):
            return envelope.answer((), status=401)
        if request.headers.get("Partner-Id") != _PARTNER:
            return envelope.answer((), status=HTTPStatus.FORBIDDEN, message="Partner-Id is missing")
        organisations = self.world.organisations
        end = min((self.access.end_of(name) for name in organisations), default=None)
        apps = [
            {"name": name, "id": token, "type": "INTEGRATION"}
            for name, token in organisations.items()
        ]
        row = {
            "token": self.access.issue(),
            "token_exp_date": end,
            "account_exp_date": end,
            "authorized": {"tokens": ["API"], "apps": apps},
        }
        if not self._bare_token:
            return envelope.answer((row,))
        body, content_type = envelope.write(row)
        return Answer(body=body, content_type=content_type, same=b"")

    def _ping(self, _: web.Request, envelope: Envelope) -> Answer:
        return envelope.answer(({"status": 200, "message": "CINX: API Ping Response: Ok"},))


_BROKEN: Mapping[str, Callable[[Row], object]] = {
    "key": lambda row: {name: value for name, value in row.items() if name != "cinx_guid"},
    "type": lambda row: {**row, "quantity_back_ordered": {"value": "some"}},
    "shape": lambda row: row["cinx_guid"],
}
