"""The simulated MVET, asked over a real connection."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from consumer.errors import Unusable
from consumer.normalisation.polled import POLLED
from consumer.simulators.mvet import PATH, MvetServer
from consumer.simulators.mvet_world import MvetWorld
from consumer.simulators.polled_world import Rates

SAMPLE = Path(__file__).parents[1] / "data" / "mvet" / "mvet-boinquiry-0002789.json"
FIELDS = [
    "date",
    "orderNumber",
    "accountNumber",
    "itemNumber",
    "description",
    "backorderedQuantity",
    "orderedQuantity",
    "shippedQuantity",
]
BUSY = Rates(opened=0.1, updated=0.2, cleared=0.1, reopened=0.2)


async def ask(
    server: MvetServer, customer: str | None = "0002789", **headers: str
) -> tuple[int, Any, Mapping[str, str]]:
    query = {} if customer is None else {"customer": customer}
    async with (
        aiohttp.ClientSession() as client,
        client.get(server.url + PATH, params=query, headers=headers) as response,
    ):
        body = await response.read()
        return response.status, json.loads(body) if body else None, response.headers


def told(world: MvetWorld, customer: str = "0002789") -> list[dict[str, Any]]:
    return [dict(row) for row in world.lines(customer)]


# --- the world -------------------------------------------------------------------------------


def test_the_same_seed_makes_the_same_world_for_ever() -> None:
    worlds = [MvetWorld(seed, ("0002789", "0000042"), rates=BUSY) for seed in (5, 5, 6)]
    for _ in range(20):
        steps = [world.step() for world in worlds]
        assert steps[0] == steps[1] != steps[2]
        for customer in worlds[0].customers:
            assert told(worlds[0], customer) == told(worlds[1], customer)
    assert told(worlds[0]) != told(worlds[2])


def test_rows_are_as_published_traps_included() -> None:
    world = MvetWorld(3, ("0002789",), lines=2000)
    rows = told(world)
    for row in rows:
        assert list(row) == FIELDS
        assert row["accountNumber"] == "0002789"
        assert 20260101 < row["date"] < 20270101
        assert row["backorderedQuantity"] > 0
        assert row["backorderedQuantity"] + row["shippedQuantity"] == row["orderedQuantity"]
    text = " ".join(row["description"] for row in rows)
    assert all(trap in text for trap in ('"', "%", "/", "  "))
    assert any(row["itemNumber"].startswith("0") for row in rows)
    assert any(isinstance(row["orderedQuantity"], float) for row in rows)
    keys = Counter((row["orderNumber"], row["itemNumber"]) for row in rows)
    assert max(keys.values()) > 1


def test_a_step_does_what_it_says() -> None:
    world = MvetWorld(4, ("0002789",), lines=200, rates=BUSY)
    for _ in range(30):
        before = len(told(world))
        step = world.step()
        gained = len(step.opened) + len(step.reopened) - len(step.cleared)
        assert len(told(world)) - before == gained
        assert step.updated
    world = MvetWorld(4, ("0002789",), lines=200, rates=Rates(opened=0, cleared=0, reopened=0))
    for _ in range(30):
        rows = told(world)
        updated = world.step().updated
        changed = [
            set(FIELDS) - {name for name in FIELDS if a[name] == b[name]}
            for a, b in zip(rows, told(world), strict=True)
        ]
        assert sum(map(bool, changed)) == len(updated)
        assert set().union(*changed) <= {*FIELDS[4:]}


def test_worlds_neither_die_nor_explode() -> None:
    world = MvetWorld(4, ("0002789",), lines=200)
    sizes = []
    for _ in range(500):
        world.step()
        sizes.append(len(told(world)))
    assert 120 < min(sizes) <= max(sizes) < 400


def test_rows_that_were_handed_out_do_not_change() -> None:
    world = MvetWorld(4)
    row = world.lines("0002789")[0]
    with pytest.raises(TypeError):
        row["orderNumber"] = 1  # type: ignore[index]  # that is the point
    before = dict(row)
    world.change("0002789", 0, backorderedQuantity=99)
    assert row == before
    assert world.lines("0002789")[0] == {**before, "backorderedQuantity": 99}


def test_every_row_can_be_read() -> None:
    world = MvetWorld(2, lines=300, rates=BUSY)
    for _ in range(10):
        world.step()
    mvet = POLLED["mvet"]
    rows, problems = mvet.rows(json.dumps(told(world)).encode(), "0002789")
    assert (len(rows), problems) == (len(told(world)), [])
    for row, truth in zip(rows, told(world), strict=True):
        data = mvet.line(row.content, account="0002789")
        assert data.order.number == str(truth["orderNumber"])
        assert float(data.quantity.backordered or 0) == truth["backorderedQuantity"]


def test_a_world_can_be_changed_line_by_line() -> None:
    rows = json.loads(SAMPLE.read_bytes())
    world = MvetWorld.of({"0002789": rows[:2]})
    world.put("0002789", rows[2])
    world.end("0002789", 0)
    assert told(world) == rows[1:3]
    for _ in range(10):
        world.step()
    assert world.lines("0000001") == ()


# --- the service -----------------------------------------------------------------------------


async def test_the_published_answer_can_be_served() -> None:
    sample = json.loads(SAMPLE.read_bytes())
    async with MvetServer(MvetWorld.of({"0002789": sample})) as server:
        status, rows, headers = await ask(server)
    assert (status, rows) == (200, sample)
    assert [list(row) for row in rows] == [list(row) for row in sample]
    assert headers["Content-Type"].startswith("application/json")
    assert "ETag" not in headers


async def test_an_answer_can_be_served_byte_for_byte() -> None:
    async with MvetServer(MvetWorld(1)) as server, aiohttp.ClientSession() as client:
        server.verbatim["list"] = SAMPLE.read_bytes()
        async with client.get(f"{server.url}{PATH}?customer=0002789") as response:
            assert await response.read() == SAMPLE.read_bytes()


async def test_answers_are_the_present_state_of_one_customer() -> None:
    world = MvetWorld(1, ("0002789", "0004027"))
    async with MvetServer(world) as server:
        for customer in world.customers:
            assert (await ask(server, customer))[1] == told(world, customer)
        world.step()
        assert (await ask(server))[1] == told(world)
        assert (await ask(server, "2789"))[:2] == (200, [])
        assert (await ask(server, None))[0] == 400
        assert (await ask(server, ""))[0] == 400
        assert server.requests == {"list": 6}
        assert [asked.query for asked in server.asked][:2] == [
            {"customer": "0002789"},
            {"customer": "0004027"},
        ]
        assert server.connections == 6


async def test_connections_are_counted_not_requests() -> None:
    async with MvetServer(MvetWorld(1)) as server, aiohttp.ClientSession() as client:
        for _ in range(3):
            async with client.get(f"{server.url}{PATH}?customer=0002789") as response:
                await response.read()
        assert (server.requests["list"], server.connections) == (3, 1)


async def test_a_user_is_asked_for_where_one_is_set() -> None:
    async with MvetServer(MvetWorld(1), username="vet", password="pä:ss") as server:
        status, _, headers = await ask(server)
        assert (status, headers["WWW-Authenticate"]) == (401, 'Basic realm="wsapi"')
        for user, password, expected in (("vet", "pä:ss", 200), ("vet", "no", 401), ("", "", 401)):
            header = aiohttp.encode_basic_auth(user, password, encoding="utf-8")
            assert (await ask(server, Authorization=header))[0] == expected
        assert (await ask(server, Authorization="Basic not-base64!"))[0] == 401


async def test_validators_hold_until_something_changes() -> None:
    world = MvetWorld(1)
    async with MvetServer(world, etag=True) as server:
        tag = (await ask(server))[2]["ETag"]
        status, nothing, headers = await ask(server, **{"If-None-Match": tag})
        assert (status, nothing, headers["ETag"]) == (304, None, tag)
        world.change("0002789", 0, backorderedQuantity=77)
        status, rows, headers = await ask(server, **{"If-None-Match": tag})
        assert (status, rows) == (200, told(world))
        assert headers["ETag"] != tag
        assert [asked.validator for asked in server.asked] == [None, tag, tag]


async def test_a_port_in_use_is_told() -> None:
    async with MvetServer(MvetWorld(1)) as server:
        port = int(server.url.rpartition(":")[2])
        with pytest.raises(Unusable, match=rf"port {port} of 127\.0\.0\.1 is in use\. Choose"):
            async with MvetServer(MvetWorld(1), port=port):
                raise AssertionError("it is in use")
    async with MvetServer(MvetWorld(1), port=port) as server:
        assert (await ask(server))[0] == 200
