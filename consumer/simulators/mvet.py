"""MVET's web service, simulated: the back-order inquiry.

`GET /run/ecommerce/wsapi/boinquiry?customer=0002789` answers with the whole state of that customer
as a JSON array, `[]` for one that MVET does not know, and 400 where nobody is named. No
authentication is documented; where a user is given here, it is asked for.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from aiohttp import web

from consumer.simulators.faults import Faults
from consumer.simulators.mvet_world import MvetWorld, Row
from consumer.simulators.polled_server import Answer, PolledServer, credentials

PATH = "/run/ecommerce/wsapi/boinquiry"

_SOMEBODY_ELSE = "0999999"


class MvetServer(PolledServer):
    """The service on top of a world."""

    def __init__(
        self,
        world: MvetWorld,
        faults: Faults | None = None,
        *,
        username: str | None = None,
        password: str = "",
        port: int = 0,
        etag: bool = False,
    ) -> None:
        super().__init__(faults, port=port, etag=etag)
        self.world = world
        self._user = None if username is None else (username, password)

    def _add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get(PATH, self._inquiry)

    def _problem(self, status: int, message: str) -> Answer:
        body = json.dumps({"error": message}).encode()
        asks = status == HTTPStatus.UNAUTHORIZED
        headers = {"WWW-Authenticate": 'Basic realm="wsapi"'} if asks else {}
        return Answer(status=status, body=body, headers=headers)

    async def _inquiry(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, "list", partial(self._answer, request))

    def _answer(self, request: web.Request) -> Answer:
        if self._user is not None and credentials(request) != self._user:
            return self._problem(401, "Unauthorized")
        customer = request.query.get("customer")
        if not customer:
            return self._problem(400, "The parameter customer is required")
        rows = self._spoilt(list(self.world.lines(customer)))
        return Answer(body=json.dumps(rows, default=dict).encode())

    def _spoilt(self, rows: list[Row]) -> list[Any]:
        """The rows as the faults want them."""
        faults = self.faults
        if faults.strikes("empty", "list") is not None:
            return []
        if not rows:
            return rows
        if faults.strikes("reordered", "list") is not None:
            faults.random.shuffle(rows)
        if faults.strikes("foreign", "list") is not None:
            row = faults.random.choice(rows)
            rows.append({**row, "accountNumber": _SOMEBODY_ELSE})
        if how := faults.strikes("broken_row", "list"):
            place = faults.random.randrange(len(rows))
            return [*rows[:place], _BROKEN[how](rows[place]), *rows[place + 1 :]]
        return rows


_BROKEN: Mapping[str, Callable[[Row], object]] = {
    "key": lambda row: {name: value for name, value in row.items() if name != "itemNumber"},
    "type": lambda row: {**row, "backorderedQuantity": "some"},
    "shape": lambda row: row["itemNumber"],
}
