"""The simulated CINX, asked over a real connection."""

import json
import random
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from lxml import etree

from consumer.normalisation.polled import POLLED
from consumer.simulators.cinx import CinxServer
from consumer.simulators.cinx_rows import FIELDS, LOCATIONS, in_other_words, number_in
from consumer.simulators.cinx_world import CinxWorld
from consumer.simulators.polled_world import Rates, Step

DATA = Path(__file__).parents[1] / "data" / "cinx"
LIST = json.loads((DATA / "cinx-back-orders-list.json").read_bytes())
DETAIL = json.loads((DATA / "cinx-back-order-detail.json").read_bytes())
FIRM = "Harbor Mechanical"
TOKEN = "dfed7d88-adf8-5356-8029-fe061c93d0fe"
BUSY = Rates(opened=0.1, updated=0.2, cleared=0.1, reopened=0.2, rephrased=0.05, remembered=5)
BASIC = aiohttp.encode_basic_auth("me@example.com", "secret")


def world_of(lines: int = 120, rates: Rates = BUSY) -> CinxWorld:
    return CinxWorld(7, {FIRM: TOKEN, "Alder": "token-2"}, lines, rates)


async def get(
    server: CinxServer, path: str, authorization: str = BASIC, headers: Any = None, **query: str
) -> tuple[int, bytes]:
    headers = {"Authorization": authorization, **(headers or {})}
    async with (
        aiohttp.ClientSession() as client,
        client.get(f"{server.url}/2.0/{path}", params=query, headers=headers) as response,
    ):
        return response.status, await response.read()


async def rows_of(server: CinxServer, path: str, **query: str) -> list[Any]:
    status, body = await get(server, path, **query)
    assert status == 200, body
    answer = json.loads(body)
    assert answer["response"]["status_code"] == 200
    assert answer["response"]["record_count"] == len(answer["rows"])
    rows: list[Any] = answer["rows"]
    return rows


def told(world: CinxWorld, token: str = TOKEN) -> list[dict[str, Any]]:
    return [dict(row) for row in world.rows(token)]


def present(world: CinxWorld) -> set[str]:
    tokens = world.organisations.values()
    return {row["cinx_guid"] for token in tokens for row in world.rows(token)}


# --- the world -------------------------------------------------------------------------------


def test_the_same_seed_makes_the_same_world_for_ever() -> None:
    worlds = [CinxWorld(seed, (FIRM, "Alder"), rates=BUSY) for seed in (5, 5, 6)]
    assert worlds[0].organisations == worlds[1].organisations != worlds[2].organisations
    for _ in range(20):
        steps = [world.step() for world in worlds]
        assert steps[0] == steps[1] != steps[2]
        for token in worlds[0].organisations.values():
            assert told(worlds[0], token) == told(worlds[1], token)


def test_rows_are_as_published_traps_included() -> None:
    rows = told(world_of(1000))
    assert list(FIELDS) == list(LIST["rows"][0])
    for row in rows:
        assert list(row) == list(FIELDS)
        waiting, shipped = row["quantity_back_ordered"], row["quantity_shipped"]
        assert number_in(waiting) > 0
        assert number_in(waiting) + number_in(shipped) == number_in(row["quantity_ordered"])
    for field in ("back_order_reason", "upc", "spool_id", "date_expected_delivery"):
        assert {row[field] for row in rows} > {"", None}
    assert {type(row["quantity_ordered"]) for row in rows} == {int, float, str}
    assert any(str(row["upc"]).startswith("0") for row in rows)
    assert {row["delivery_location_type"] for row in rows} == {None, *LOCATIONS}


def test_update_counts_come_in_every_way() -> None:
    world = world_of()
    kinds = set()
    for _ in range(40):
        world.step()
        kinds |= {type(row["update_count"]) for row in told(world)}
        assert {row["update_count"] for row in told(world)} >= {""}
    assert kinds >= {int, str}


def test_details_have_the_published_structure() -> None:
    def shape(value: Any) -> Any:
        return {name: shape(v) for name, v in value.items()} if isinstance(value, dict) else None

    world = world_of()
    for row in world.rows(TOKEN):
        detail = world.detail(row["cinx_guid"])
        assert detail is not None
        assert shape(detail) == shape(DETAIL["rows"][0])
        assert detail["quantities"]["back_ordered"] == row["quantity_back_ordered"]
        assert detail["dates"]["expected_delivery"] == row["date_expected_delivery"]
        assert (detail["dates"]["cleared"], detail["customer"]["name"]) == ("", FIRM)
        assert detail == world.detail(row["cinx_guid"], TOKEN)
        assert world.detail(row["cinx_guid"], "token-2") is None


def test_a_step_does_what_it_says() -> None:
    world, ever = world_of(), Step()
    for _ in range(30):
        before = {row["cinx_guid"]: row for row in told(world) + told(world, "token-2")}
        step = world.step()
        after = {row["cinx_guid"]: row for row in told(world) + told(world, "token-2")}
        assert before.keys() - after.keys() == set(step.cleared)
        assert after.keys() - before.keys() == {*step.opened, *step.reopened}
        changed = {guid for guid in before.keys() & after.keys() if before[guid] != after[guid]}
        assert changed == {*step.updated, *step.rephrased}
        for guid in step.cleared:
            detail = world.detail(guid)
            assert detail is not None
            assert detail["dates"]["cleared"]
        ever += step
    assert all((ever.opened, ever.updated, ever.cleared, ever.reopened, ever.rephrased))
    assert set(ever.reopened) <= set(ever.cleared)
    assert str(ever).startswith(f"{len(ever.opened)} opened, ")
    assert (str(Step()), bool(Step())) == ("nothing changed", False)


def test_an_ended_line_is_forgotten_after_a_while() -> None:
    world = world_of(rates=Rates(opened=0, updated=0, cleared=0, reopened=0, remembered=3))
    guid = world.rows(TOKEN)[0]["cinx_guid"]
    world.end(guid)
    for _ in range(3):
        world.step()
        assert world.detail(guid) is not None
    world.step()
    assert world.detail(guid) is None
    with pytest.raises(KeyError):
        world.end(guid)


def test_other_words_mean_the_same() -> None:
    numbers = random.Random(1)  # noqa: S311 - repeatable on purpose
    for row in world_of(300).rows(TOKEN):
        other = in_other_words(numbers, row)
        assert other != row
        for name in row:
            a, b = row[name], other[name]
            assert (a or None) == (b or None) or number_in(a) == number_in(b)


def test_every_row_and_detail_can_be_read() -> None:
    world, cinx = world_of(200), POLLED["cinx"]
    cleared = [guid for _ in range(4) for guid in world.step().cleared]
    over = [guid for guid in cleared if world.detail(guid) and guid not in present(world)]
    rows, problems = cinx.rows(json.dumps(told(world)).encode(), FIRM)
    assert (len(rows), problems) == (len(told(world)), [])
    for row, truth in zip(rows, told(world), strict=True):
        detail = json.dumps(world.detail(row.key)).encode()
        assert not cinx.over(detail)
        for data in (
            cinx.line(row.content, account=FIRM),
            cinx.line(row.content, account=FIRM, detail=detail),
        ):
            waiting = number_in(truth["quantity_back_ordered"])
            assert float(data.quantity.backordered or 0) == waiting
            assert data.dates.expected_delivery == (truth["date_expected_delivery"] or None)
    assert over
    assert all(cinx.over(json.dumps(world.detail(guid)).encode()) for guid in over)


def test_given_rows_go_on_like_others() -> None:
    world = CinxWorld.of({FIRM: LIST["rows"]}, tokens={FIRM: TOKEN}, details=DETAIL["rows"])
    [guid] = [row["cinx_guid"] for row in LIST["rows"]]
    assert world.detail(guid) == DETAIL["rows"][0]
    world.change(guid, quantity_back_ordered=3, back_order_reason="late")
    detail = world.detail(guid)
    assert detail is not None
    assert (detail["quantities"]["back_ordered"], detail["quantities"]["ordered"]) == (3, 1)
    assert detail["vendor"]["back_order_reason"] == "late"
    world.end(guid)
    assert world.rows(TOKEN) == []
    assert (world.detail(guid) or {})["dates"]["cleared"] == "2026-01-05"
    world.put(FIRM, LIST["rows"][0])
    assert told(world) == LIST["rows"]
    world.forget(guid)
    assert world.detail(guid) is None


# --- the list --------------------------------------------------------------------------------


async def test_the_published_answers_can_be_served() -> None:
    world = CinxWorld.of({FIRM: LIST["rows"]}, tokens={FIRM: TOKEN}, details=DETAIL["rows"])
    async with CinxServer(world, counts="absent") as server:
        _, body = await get(server, f"sub/{TOKEN}/back-orders")
        answer = json.loads(body)
        assert {"response": answer["response"], "rows": answer["rows"]} == LIST
        assert list(answer["rows"][0]) == list(LIST["rows"][0])
        guid = LIST["rows"][0]["cinx_guid"]
        _, body = await get(server, f"sub/{TOKEN}/back-order/{guid}")
        assert json.loads(body)["rows"] == DETAIL["rows"]


async def test_pages_make_up_the_list() -> None:
    world = world_of(120)
    async with CinxServer(world) as server:
        path = f"sub/{TOKEN}/back-orders"
        pages = [await rows_of(server, path, offset=str(at)) for at in (0, 50, 100, 150)]
        assert [len(page) for page in pages] == [50, 50, 20, 0]
        assert list(chain.from_iterable(pages)) == told(world)
        assert await rows_of(server, path, start="7", limit="3") == told(world)[7:10]
        _, body = await get(server, path, limit="5")
        response = json.loads(body)["response"]
        assert (response["record_count"], response["total_count"]) == (5, 120)
        assert TOKEN in response["uri"]
        for wrong in ({"limit": "0"}, {"offset": "-1"}, {"limit": "many"}):
            status, body = await get(server, path, **wrong)
            assert (status, json.loads(body)["response"]["status_code"]) == (400, 400)
        assert server.requests["list"] == 9


async def test_a_server_may_give_fewer_rows_than_asked_for() -> None:
    async with CinxServer(world_of(120), page=10, largest=30, counts="zero") as server:
        _, body = await get(server, f"sub/{TOKEN}/back-orders", limit="100")
        answer = json.loads(body)
        assert (len(answer["rows"]), answer["response"]["total_count"]) == (30, 0)
        assert len(await rows_of(server, f"sub/{TOKEN}/back-orders")) == 10


async def test_every_filter_leaves_its_own_rows() -> None:
    world = world_of(200)
    detail = world.detail(world.rows(TOKEN)[3]["cinx_guid"])
    assert detail is not None
    wanted = {
        "delivery": detail["delivery"]["location_type"],
        "project": detail["project"]["cinx_guid"],
        "vendor": detail["vendor"]["number"],
        "po-guid": detail["purchase_order"]["cinx_guid"],
    }
    places = {
        "delivery": ("delivery", "location_type"),
        "project": ("project", "cinx_guid"),
        "vendor": ("vendor", "number"),
        "po-guid": ("purchase_order", "cinx_guid"),
    }
    async with CinxServer(world) as server:
        for name, value in wanted.items():
            part, field = places[name]
            expected = [
                row
                for row in told(world)
                if (world.detail(row["cinx_guid"]) or {})[part][field] == value
            ]
            assert 0 < len(expected) < 200
            found = await rows_of(server, f"sub/{TOKEN}/back-orders", limit="200", **{name: value})
            assert found == expected == world.rows(TOKEN, {name: value})
        assert await rows_of(server, f"sub/{TOKEN}/back-orders", project="none") == []
        both = await rows_of(server, f"sub/{TOKEN}/back-orders", limit="200", **wanted)
        assert detail["cinx_guid"] in {row["cinx_guid"] for row in both}


async def test_the_same_rows_come_as_xml() -> None:
    world = world_of(60)
    async with CinxServer(world) as server:
        status, body = await get(server, f"sub/{TOKEN}/back-orders", format="xml")
        root = etree.fromstring(body)
        assert (status, root.tag) == (200, "cinx_api")
        assert root.findtext("response/total_count") == "60"
        for element, row in zip(root.findall("rows/row"), told(world)[:50], strict=True):
            assert [child.tag for child in element] == list(row)
            for child in element:
                value = row[str(child.tag)]
                assert child.text == (None if value in {"", None} else str(value))
        guid = world.rows(TOKEN)[0]["cinx_guid"]
        _, body = await get(server, f"sub/{TOKEN}/back-order/{guid}", format="xml")
        root = etree.fromstring(body)
        assert root.findtext("rows/row/customer/name") == FIRM
        assert root.findtext("rows/row/taxes/taxable") == "true"
        assert root.find("rows/row/updates") is not None


async def test_validators_stand_for_the_rows() -> None:
    world = world_of()
    async with CinxServer(world, etag=True) as server, aiohttp.ClientSession() as client:
        url, headers = f"{server.url}/2.0/sub/{TOKEN}/back-orders", {"Authorization": BASIC}
        async with client.get(url, headers=headers) as response:
            headers["If-None-Match"] = response.headers["ETag"]
        async with client.get(url, headers=headers) as response:
            assert response.status == 304
        world.change(world.rows(TOKEN)[0]["cinx_guid"], update_count=8)
        async with client.get(url, headers=headers) as response:
            assert response.status == 200


# --- the other services, and who may use them --------------------------------------------------


async def test_a_detail_says_when_it_is_over_and_is_forgotten_later() -> None:
    world = world_of()
    guid = world.rows(TOKEN)[0]["cinx_guid"]
    async with CinxServer(world) as server:
        path = f"sub/{TOKEN}/back-order/{guid}"
        assert (await rows_of(server, path))[0]["dates"]["cleared"] == ""
        world.end(guid)
        [detail] = await rows_of(server, path)
        assert (detail["dates"]["cleared"], detail["procurement_status"]) == (
            "2026-01-05",
            "RECEIVED",
        )
        world.forget(guid)
        status, body = await get(server, path)
        assert (status, json.loads(body)["response"]["status_code"]) == (404, 404)
        other = world.rows("token-2")[0]["cinx_guid"]
        assert (await get(server, f"sub/{TOKEN}/back-order/{other}"))[0] == 404
        assert server.requests["detail"] == 4


async def test_the_template_has_the_published_parts_and_the_token() -> None:
    async with CinxServer(world_of()) as server:
        [template] = await rows_of(server, f"sub/{TOKEN}/template/back-order")
    assert list(template) == [
        "doc_info",
        "template",
        "required_post",
        "required_put",
        "field_options",
        "api_calls",
    ]
    assert TOKEN in template["api_calls"][0]["url"]
    assert "attibutes" in template["template"]


async def test_subscriptions_tell_tokens_and_ends() -> None:
    ahead = (datetime.now(UTC) + timedelta(days=3)).date().isoformat()
    ends = {FIRM: ahead, "Alder": "2025-01-31"}
    async with CinxServer(world_of(), ends=ends) as server:
        rows = await rows_of(server, "subs")
        assert [row["cinx_api_token"] for row in rows] == [TOKEN, "token-2"]
        assert [row["org"]["name"] for row in rows] == [FIRM, "Alder"]
        said = [row["subscription"] for row in rows]
        assert [each["status_code"] for each in said] == [200, 401]
        assert [each["end_date"] for each in said] == [ahead, "2025-01-31"]
        assert said[1]["status_message_reason"] == "Subscription expired on [2025-01-31]"
        assert (await get(server, f"sub/{TOKEN}/back-orders"))[0] == 200
        status, body = await get(server, "sub/token-2/back-orders")
        assert status == 401
        assert "Subscription expired" in json.loads(body)["response"]["message"]


@pytest.mark.parametrize("path", ["back-orders", "back-order/x", "template/back-order"])
async def test_user_and_token_are_both_needed(path: str) -> None:
    wrong = aiohttp.encode_basic_auth("me@example.com", "wrong")
    async with CinxServer(world_of()) as server:
        for authorization in ("", wrong, "Bearer guessed"):
            status, body = await get(server, f"sub/{TOKEN}/{path}", authorization)
            assert (status, json.loads(body)["response"]["status_code"]) == (401, 401)
        status, body = await get(server, f"sub/guessed/{path}")
        assert status == 401
        assert "API token" in json.loads(body)["response"]["message"]
        assert (await get(server, "subs", wrong))[0] == 401
        assert (await get(server, "ping", ""))[0] == 200


@pytest.mark.parametrize("bare", [False, True])
async def test_a_bearer_token_stands_for_the_user(bare: bool) -> None:
    partner = {"Partner-Id": "oauth-api"}
    async with CinxServer(world_of(), bare_token=bare) as server:
        path = "auth/token/generate"
        assert (await get(server, path))[0] == 403
        assert (await get(server, path, "", partner))[0] == 401
        _, body = await get(server, path, headers=partner)
        answer = json.loads(body)
        row = answer if bare else answer["rows"][0]
        assert [app["id"] for app in row["authorized"]["apps"]] == [TOKEN, "token-2"]
        bearer = f"Bearer {row['token']}"
        assert (await get(server, f"sub/{TOKEN}/back-orders", bearer))[0] == 200
        assert (await get(server, path, bearer, partner))[0] == 401
        server.access.withdraw()
        assert (await get(server, f"sub/{TOKEN}/back-orders", bearer))[0] == 401


async def test_nothing_is_below_another_version_or_path() -> None:
    async with CinxServer(world_of(), version="2.1") as server:
        for path in ("ping", "nowhere"):
            status, body = await get(server, path)
            assert (status, json.loads(body)["response"]["status_code"]) == (404, 404)
        assert not server.requests
