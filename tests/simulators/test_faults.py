"""Every fault does what its table says, over a real connection, and stops when it is told to."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from consumer.model import System
from consumer.simulators.cinx import CinxServer
from consumer.simulators.cinx_world import CinxWorld
from consumer.simulators.faults import FAULTS, Faults, faults_of, spellings
from consumer.simulators.mvet import PATH, MvetServer
from consumer.simulators.mvet_world import MvetWorld
from consumer.simulators.polled_server import PolledServer
from waiting import until

TOKEN = "token"
LIST = f"/2.0/sub/{TOKEN}/back-orders"
HEADERS = {"Authorization": aiohttp.encode_basic_auth("me@example.com", "secret")}

Ask = Callable[..., Any]


class Answer:
    def __init__(self, response: aiohttp.ClientResponse, body: bytes) -> None:
        self.status, self.headers, self.body = response.status, response.headers, body

    @property
    def rows(self) -> list[Any]:
        found = json.loads(self.body)
        rows: list[Any] = found["rows"] if isinstance(found, dict) else found
        return rows

    @property
    def response(self) -> Any:
        return json.loads(self.body)["response"]


@pytest.fixture
async def cinx() -> AsyncIterator[CinxServer]:
    async with CinxServer(CinxWorld(1, {"Harbor": TOKEN}, lines=120)) as server:
        yield server


@pytest.fixture
async def mvet() -> AsyncIterator[MvetServer]:
    async with MvetServer(MvetWorld(1, lines=30)) as server:
        yield server


async def ask(server: PolledServer, path: str = "", **query: str) -> Answer:
    if not path:
        path = LIST if isinstance(server, CinxServer) else f"{PATH}?customer=0002789"
    async with (
        aiohttp.ClientSession(headers=HEADERS) as client,
        client.get(server.url + path, params=query) as response,
    ):
        return Answer(response, await response.read())


@pytest.fixture(params=["mvet", "cinx"])
def server(request: pytest.FixtureRequest) -> PolledServer:
    found: PolledServer = request.getfixturevalue(request.param)
    return found


# --- the switches ----------------------------------------------------------------------------


def happenings(faults: Faults, name: str, many: int) -> list[str | None]:
    return [faults.strikes(name, "list") for _ in range(many)]


def test_a_share_is_about_that_share_and_repeatable() -> None:
    some = happenings(Faults(3).set("status", 0.3), "status", 1000)
    assert some == happenings(Faults(3).set("status", 0.3), "status", 1000)
    assert some != happenings(Faults(4).set("status", 0.3), "status", 1000)
    assert 250 < sum(one is not None for one in some) < 350
    assert {*some} == {None, "429", "500", "401"}
    assert {*happenings(Faults().set("status.500"), "status", 20)} == {"500"}
    assert {*happenings(Faults(), "status", 20)} == {None}
    assert {*happenings(Faults().set("slow", 0), "slow", 20)} == {None}


def test_forced_ones_come_when_they_are_due_and_then_no_more() -> None:
    faults = Faults().force("cut.json", 2, after=1).force("cut.length")
    assert happenings(faults, "cut", 5) == ["length", "json", "json", None, None]
    assert faults.done == {"cut": 3}
    faults.force("slow", kind="detail")
    assert faults.strikes("slow", "list") is None
    assert faults.strikes("slow", "detail") == ""
    faults.force("short", kind="detail")  # no detail can be short: it waits for ever
    assert faults.strikes("short", "detail") is None


def test_calm_stops_all_of_it() -> None:
    faults = Faults().set("slow").force("cut", 5)
    faults.calm()
    assert happenings(faults, "slow", 5) + happenings(faults, "cut", 5) == [None] * 10


def test_what_is_none_is_told() -> None:
    for name in ("sluggish", "status.200", "slow.very"):
        with pytest.raises(KeyError, match="no fault of this name"):
            Faults().set(name)
    with pytest.raises(ValueError, match="between 0 and 1, not at 2"):
        Faults().set("slow", 2)
    assert "shift" in faults_of("cinx")
    assert "shift" not in faults_of("mvet")
    assert {"status", "status.429"} <= {*spellings("mvet")}


# --- what happens to any answer --------------------------------------------------------------


async def test_without_faults_all_is_well(server: PolledServer) -> None:
    assert (await ask(server)).status == 200
    assert not server.faults.done


async def test_slow(server: PolledServer) -> None:
    server.faults.delay = 3600
    server.faults.force("slow")
    late = asyncio.create_task(ask(server))
    await until(lambda: server.faults.done["slow"] == 1)
    assert (await ask(server)).status == 200
    assert not late.done()
    late.cancel()


async def test_status(server: PolledServer) -> None:
    server.faults.retry_after = 7
    for status in (429, 500, 401):
        server.faults.force(f"status.{status}")
        answer = await ask(server)
        assert answer.status == status
        assert answer.headers.get("Retry-After") == ("7" if status == 429 else None)
        assert json.loads(answer.body)
    assert (await ask(server)).status == 200


@pytest.mark.parametrize("how", ["length", "chunked"])
async def test_cut_off_by_the_connection(server: PolledServer, how: str) -> None:
    server.faults.force(f"cut.{how}")
    with pytest.raises(aiohttp.ClientPayloadError):
        await ask(server)
    assert (await ask(server)).rows


async def test_cut_off_with_the_right_length(server: PolledServer) -> None:
    server.etag = True
    whole = await ask(server)
    server.faults.force("cut.json")
    half = await ask(server)
    assert len(half.body) == int(half.headers["Content-Length"])
    assert half.status == 200
    assert len(half.body) in range(len(whole.body) // 2 - 20, len(whole.body) // 2 + 20)
    with pytest.raises(json.JSONDecodeError):
        json.loads(half.body)


async def test_not_json(server: PolledServer) -> None:
    server.faults.force("not_json")
    answer = await ask(server)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html")
    assert answer.body.startswith(b"<!DOCTYPE html>")


async def test_huge(server: PolledServer) -> None:
    server.faults.huge = 3 << 20
    server.faults.force("huge")
    assert len((await ask(server)).body) > 3 << 20


async def test_a_client_may_leave_a_huge_answer(server: PolledServer) -> None:
    server.faults.force("huge")
    url = server.url + (LIST if isinstance(server, CinxServer) else f"{PATH}?customer=0002789")
    async with (
        aiohttp.ClientSession(headers=HEADERS) as client,
        client.get(url) as response,
    ):
        assert await response.content.read(1 << 20)
        response.close()
    assert (await ask(server)).rows


async def test_empty(server: PolledServer) -> None:
    server.faults.force("empty")
    answer = await ask(server)
    assert (answer.status, answer.rows) == (200, [])
    assert len((await ask(server)).rows) > 0


async def test_broken_rows(server: PolledServer) -> None:
    good = (await ask(server)).rows
    key = "cinx_guid" if isinstance(server, CinxServer) else "itemNumber"
    for how, is_broken in (
        ("key", lambda row: key not in row),
        ("type", lambda row: key in row and row not in good),
        ("shape", lambda row: isinstance(row, str)),
    ):
        server.faults.force(f"broken_row.{how}")
        rows = (await ask(server)).rows
        broken = [row for row in rows if row not in good]
        assert len(rows) == len(good)
        assert [is_broken(row) for row in broken] == [True], how  # type: ignore[no-untyped-call]


# --- MVET ------------------------------------------------------------------------------------


def counted(rows: list[Any]) -> Counter[str]:
    return Counter(json.dumps(row) for row in rows)


async def test_reordered_mvet(mvet: MvetServer) -> None:
    before = (await ask(mvet)).rows
    mvet.faults.force("reordered")
    after = (await ask(mvet)).rows
    assert before != after
    assert counted(before) == counted(after)


async def test_foreign(mvet: MvetServer) -> None:
    mvet.faults.force("foreign")
    rows = (await ask(mvet)).rows
    assert Counter(row["accountNumber"] for row in rows) == {"0002789": 30, "0999999": 1}


async def test_a_customer_without_lines_cannot_be_spoilt() -> None:
    faults = Faults().set("broken_row").set("foreign").set("reordered")
    async with MvetServer(MvetWorld(1, lines=0), faults) as server:
        assert (await ask(server)).rows == []
    assert not faults.done


# --- CINX ------------------------------------------------------------------------------------


def guids(rows: list[Any]) -> list[str]:
    return [row["cinx_guid"] for row in rows]


async def whole_list(cinx: CinxServer) -> list[str]:
    pages = [await ask(cinx, offset=str(at)) for at in (0, 50, 100)]
    return [guid for page in pages for guid in guids(page.rows)]


async def test_reordered_cinx(cinx: CinxServer) -> None:
    before = await whole_list(cinx)
    cinx.faults.force("reordered")
    after = await whole_list(cinx)
    assert before != after
    assert sorted(before) == sorted(after)
    assert after == await whole_list(cinx)


async def test_short(cinx: CinxServer) -> None:
    cinx.faults.force("short")
    answer = await ask(cinx)
    assert (len(answer.rows), answer.response["total_count"]) == (49, 120)


async def test_duplicate(cinx: CinxServer) -> None:
    cinx.faults.force("duplicate")
    rows = guids((await ask(cinx)).rows)
    assert (len(rows), len(set(rows))) == (50, 49)


async def test_total(cinx: CinxServer) -> None:
    cinx.faults.force("total")
    assert (await ask(cinx)).response["total_count"] != 120


@pytest.mark.parametrize(("how", "change"), [("inserted", 1), ("removed", -1), ("moved", 0)])
async def test_shift(cinx: CinxServer, how: str, change: int) -> None:
    first = guids((await ask(cinx)).rows)
    before = guids(list(cinx.world.rows(TOKEN)))
    cinx.faults.force(f"shift.{how}")
    second = await ask(cinx, offset="50")
    after = guids(list(cinx.world.rows(TOKEN)))
    assert guids(second.rows) == after[50:100]
    assert second.response["total_count"] == len(after) == 120 + change
    assert before[50:100] != after[50:100]
    assert (first[-1] in guids(second.rows)) is (how != "removed")
    for gone in set(before) - set(after):
        detail = cinx.world.detail(gone)
        assert detail is not None
        assert detail["dates"]["cleared"]


async def test_shifts_happen_only_while_a_list_is_read(cinx: CinxServer) -> None:
    cinx.faults.set("shift")
    await ask(cinx)
    assert not cinx.faults.done
    for _ in range(60):
        await ask(cinx, offset="50")
    assert cinx.faults.done["shift"] == 60
    await ask(cinx, offset="5000")


@pytest.mark.parametrize("path", [LIST, "/2.0/subs", "/2.0/ping"])
async def test_envelope(cinx: CinxServer, path: str) -> None:
    cinx.faults.force("envelope.429")
    answer = await ask(cinx, path)
    assert (answer.status, answer.response["status_code"], answer.rows) == (200, 429, [])
    assert (await ask(cinx, path)).response["status_code"] == 200


async def test_expired(cinx: CinxServer) -> None:
    cinx.faults.set("expired")
    for path in (LIST, f"/2.0/sub/{TOKEN}/template/back-order"):
        answer = await ask(cinx, path)
        assert answer.status == 401
        assert "Subscription expired on [" in answer.response["message"]
    [row] = (await ask(cinx, "/2.0/subs")).rows
    assert row["subscription"]["status_code"] == 401
    assert "expired" in row["subscription"]["status_message_reason"]
    cinx.faults.calm()
    assert (await ask(cinx)).status == 200


# --- all of them -----------------------------------------------------------------------------


@pytest.mark.parametrize("system", ["mvet", "cinx"])
async def test_every_fault_is_one_that_its_server_commits(system: System) -> None:
    faults = Faults(1, delay=0, huge=1 << 16)
    world = CinxWorld(1, {"Harbor": TOKEN})
    one: PolledServer = (
        CinxServer(world, faults) if system == "cinx" else MvetServer(MvetWorld(1), faults)
    )
    async with one:
        for name in faults_of(system):
            faults.calm()
            faults.set(name)
            try:
                await ask(one, offset="50")
                await ask(one)
            except aiohttp.ClientPayloadError:
                assert name == "cut"
    assert set(faults.done) == set(faults_of(system)) <= set(FAULTS)
