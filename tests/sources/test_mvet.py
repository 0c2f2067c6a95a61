"""MVET: from the simulated service over a socket to events in a journal."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from aiohttp import web

from consumer.errors import Denied, JournalUnavailable, Refused, Unavailable
from consumer.event import timestamp
from consumer.model import utc_now
from consumer.simulators.faults import Faults, faults_of, spellings
from consumer.simulators.mvet import MvetServer
from consumer.simulators.mvet_world import MvetWorld
from consumer.sources import mvet as mvet_module
from consumer.sources.mvet import Mvet, MvetOptions
from consumer.testing.journal import MemoryJournal
from consumer.values import Duration, PositiveDuration, Secret, Size
from polled_bench import Bench, logged, named
from waiting import until

CUSTOMER, OTHER = "0002789", "0004027"
ROWS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "data" / "mvet" / "mvet-boinquiry-0002789.json").read_bytes()
)


def world(**more: Sequence[Mapping[str, Any]]) -> MvetWorld:
    return MvetWorld.of({CUSTOMER: ROWS, **{name[1:]: rows for name, rows in more.items()}})


def for_customer(customer: str, rows: Sequence[Mapping[str, Any]] = ROWS) -> list[dict[str, Any]]:
    return [{**row, "accountNumber": customer} for row in rows]


class At(NamedTuple):
    """A service that is no simulator."""

    url: str


def mvet(server: MvetServer | At, *customers: str, **options: Any) -> Mvet:
    given = {
        "interval": PositiveDuration(0.02),
        "jitter": Duration(0),
        "attempts": 1,
        "max_body": Size(256 << 10),
    } | options
    return Mvet(
        MvetOptions(
            type="mvet",
            name="mvet",
            base_url=server.url,
            customers=customers or (CUSTOMER,),
            **given,
        )
    )


# --- what the published answer becomes -------------------------------------------------------

# date, order, item, description, quantity on backorder (and ordered); nothing has been shipped
SEED = [
    ("2025-07-31", "45929940", "350.81827.2", "MUZZLE BASKERVILLE ULTRA SET/6", "1"),
    ("2025-07-31", "45929940", "653.54034.3", "DERMOSCENT ATOP 7 HYDRA WIPES", "2"),
    ("2025-07-31", "45929940", "052.02110.3", "AVENTI OMEGA 3 COMPLETE 500ml", "1"),
    ("2025-07-31", "45929940", "191.26115.3", "BROMFENAC OPHTHALMIC SOLUTION", "1"),
    ("2025-07-31", "45929940", "000.06061.2", 'MVET WHITE POROUS TAPE 1"', "3"),
    ("2025-07-31", "45929940", "000.02034.3", "MVET SHOE COVERS XL", "1"),
    ("2025-07-31", "45929940", "261.91000.2", "Vr BETTER GLOVES XL", "5"),
    ("2025-07-31", "45929941", "474.76127.3", "ADAPTER PLUG YELLOW 1/4cc -", "1"),
    ("2025-07-31", "45929941", "474.50102.2", "EMCARE BIOFREE FLUSH SOLUTION", "3"),
    ("2025-07-31", "45929941", "370.02555.3", "ICHON STER PS-GAG 5X5ml SLEEVE", "1"),
    ("2025-07-31", "45929941", "350.19998.2", "CALM CARRIER SLIDING CAT", "4"),
    ("2025-07-31", "45929941", "350.50343.2", "BOWL ECON SS 16oz", "6"),
    ("2025-07-31", "45929941", "377.12092.2", "KONG GOODIE BONE MED", "3"),
]

# The ids of these facts; they may never change, or every line would be told again.
IDS = [
    "4fdbeb29ab9d6aae975457381871712d",
    "fe5cde295d432596ccebfb1a649059f3",
    "6d886f9cbcc497424cc429bb2edbf377",
    "9a6e345630b95bdb600dfdcf6a5fb717",
    "f500e3403ede707886f76d829d58b1a0",
    "c9fc65126ba393574d5589e985d4e661",
    "3b503a11c19ba8dc404abd69c6987384",
    "f2072b8fc44616e70af767f4910d3bc8",
    "78052d2ab9a308ba7ee4985c254a30f4",
    "9c15d131160ecd95da7f85776bd46665",
    "a33ae69d19348d1d24f32c82f71a78f5",
    "8deb8dbc2fdb83600a2dd0577a5c79a1",
    "f5bd8fef52a8d956f43f7e49fe16aea3",
]


async def test_the_published_answer_becomes_thirteen_events() -> None:
    async with MvetServer(world()) as server:
        bench = Bench(mvet(server))
        before = timestamp(utc_now())
        assert await bench.poll() == ""
        after = timestamp(utc_now())
    events = [json.loads(event.encode()) for event in await bench.events()]
    assert len(events) == 13
    for event, identity, (day, order, item, description, quantity) in zip(
        events, IDS, SEED, strict=True
    ):
        assert before <= event.pop("time") <= after
        assert event == {
            "specversion": "1.0",
            "id": identity,
            "source": "/mvet/0002789",
            "type": "backorder.opened",
            "subject": f"{order}/{item}",
            "datacontenttype": "application/json",
            "dataschema": "urn:backorder-consumer:event:1",
            "partitionkey": f"/mvet/0002789/{order}/{item}",
            "data": {
                "order": {
                    "number": order,
                    "date": day,
                    "account": "0002789",
                    "purchase_order": None,
                    "locale": None,
                    "currency": None,
                    "total": None,
                },
                "line": {
                    **dict.fromkeys(("number", "title", "sku", "upc", "manufacturer")),
                    **dict.fromkeys(("manufacturer_part", "vendor_item", "color", "size")),
                    **dict.fromkeys(("unit_price", "amount")),
                    "item": item,
                    "description": description,
                },
                "quantity": {"backordered": quantity, "ordered": quantity, "shipped": "0"},
                "delay": "backorder",
                "reason": None,
                "dates": {
                    **dict.fromkeys(("need_by", "informed", "expected_ship", "updated")),
                    **dict.fromkeys(("expected_delivery", "expected_delivery_until", "cleared")),
                },
                "parties": dict.fromkeys(
                    ("customer", "bill_to", "ship_to", "store", "vendor", "project", "submitter")
                ),
                "extra": {},
            },
        }
    assert server.requests == {"list": 1}


async def test_the_same_answer_again_is_no_news() -> None:
    async with MvetServer(world()) as server:
        bench = Bench(mvet(server))
        await bench.poll()
        with logged() as lines:
            assert await bench.poll() == ""
    assert await bench.types() == {"opened": 13}
    assert lines == []
    assert bench.metric("watched_lines") == 13


async def test_a_change_is_told_with_before_and_after_and_an_end_with_what_was_last() -> None:
    here = world()
    async with MvetServer(here) as server:
        bench = Bench(mvet(server))
        await bench.poll()
        here.change(CUSTOMER, 4, backorderedQuantity=1.5, shippedQuantity=1.5)
        here.end(CUSTOMER, 0)
        await bench.poll()
    updated, cleared = await bench.events(after=13)
    assert (updated.type, updated.subject) == ("backorder.updated", "45929940/000.06061.2")
    assert json.loads(msgspec.json.encode(updated.data.changes)) == [
        {"field": "quantity.backordered", "before": "3", "after": "1.5"},
        {"field": "quantity.shipped", "before": "0", "after": "1.5"},
    ]
    assert (cleared.type, cleared.subject) == ("backorder.cleared", "45929940/350.81827.2")
    assert cleared.data.line.description == "MUZZLE BASKERVILLE ULTRA SET/6"


async def test_an_order_that_comes_back_is_a_new_fact() -> None:
    here = world()
    async with MvetServer(here) as server:
        bench = Bench(mvet(server))
        await bench.poll()
        here.end(CUSTOMER, 0)
        await bench.poll()
        here.put(CUSTOMER, ROWS[0])
        await bench.poll()
    first, *_, again = [e for e in await bench.events() if e.subject == "45929940/350.81827.2"]
    assert (first.type, again.type) == ("backorder.opened", "backorder.opened")
    assert first.data == again.data
    assert first.id != again.id


# --- what may go wrong -----------------------------------------------------------------------


class Expected(NamedTuple):
    """What comes of a fault: the error of the round, its words, whether bytes were set aside."""

    error: type[Exception] | None
    reason: str
    kept: bool = False


FAULTS = {
    "slow": Expected(Unavailable, "no answer in time"),
    "status.429": Expected(Unavailable, "HTTP 429, it wants fewer requests"),
    "status.500": Expected(Unavailable, "HTTP 500, it has a problem of its own"),
    "status.401": Expected(Denied, "HTTP 401, it does not accept our credentials"),
    "cut.length": Expected(Unavailable, "its answer was cut short or garbled"),
    "cut.chunked": Expected(Unavailable, "its answer was cut short or garbled"),
    "cut.json": Expected(Refused, "cut short", kept=True),
    "not_json": Expected(Refused, "not JSON", kept=True),
    "huge": Expected(Refused, "the answer is larger than max_body, 262,144 bytes"),
    "broken_row.key": Expected(Refused, "itemNumber: a line without it has no key", kept=True),
    "broken_row.type": Expected(Refused, "backorderedQuantity: not a number", kept=True),
    "broken_row.shape": Expected(Refused, "not a JSON object", kept=True),
    "foreign": Expected(Refused, "a line of another account than the one asked for", kept=True),
    "reordered": Expected(None, ""),
}


def test_every_fault_of_the_simulator_is_in_the_table() -> None:
    names = {
        name for name in spellings("mvet") if "." in name or not faults_of("mvet")[name].variants
    }
    assert names == FAULTS.keys() | {"empty"}  # which has a test of its own


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_clears_nothing_and_is_told_once(fault: str) -> None:
    expected, here = FAULTS[fault], world()
    async with MvetServer(here, Faults(3, delay=5, huge=8 << 20)) as server:
        bench = Bench(mvet(server, timeout=PositiveDuration(0.3 if fault == "slow" else 20)))
        await bench.poll()
        here.end(CUSTOMER, 0)
        server.faults.force(fault)
        with logged() as lines:
            trouble = await bench.trouble()
        told = named(lines, "poll.broken")
        kept = await bench.quarantined()
        assert type(trouble) is (expected.error or type(None))
        if expected.error is None:
            assert told == []
            assert await bench.types(after=13) == {"cleared": 1}
        else:
            [line] = told
            assert (line["source"], line["scope"]) == ("mvet", "/mvet/0002789")
            assert expected.reason in line["reason"]
            assert expected.reason in str(trouble)
            assert CUSTOMER in str(trouble)
            assert bench.metric("poll_broken_total") == 1
            assert not (await bench.types(after=13))["cleared"]
        assert len(kept) == expected.kept
        assert server.faults.done.total() == 1
        await bench.poll()
        assert await bench.types(after=13) == {"cleared": 1}


async def test_what_was_set_aside_is_what_came() -> None:
    body = b'[{"orderNumber": 1, "itemNumb'
    async with MvetServer(world()) as server:
        server.verbatim["list"] = body
        bench = Bench(mvet(server))
        assert isinstance(await bench.trouble(), Refused)
    [kept] = await bench.quarantined()
    assert kept.body == body
    assert kept.source == "mvet"
    assert kept.origin == "/mvet/0002789"


async def test_good_rows_of_a_broken_answer_count() -> None:
    here = world()
    async with MvetServer(here) as server:
        bench = Bench(mvet(server))
        server.faults.force("broken_row.key")
        assert isinstance(await bench.trouble(), Refused)
        assert await bench.types() == {"opened": 12}
        await bench.poll()
    assert await bench.types() == {"opened": 13}


async def test_empty_after_full_is_held_visibly_until_a_second_answer_agrees() -> None:
    here = world()
    async with MvetServer(here) as server:
        bench = Bench(mvet(server))
        await bench.poll()
        for _ in ROWS:
            here.end(CUSTOMER, 0)
        with logged() as lines:
            note = await bench.poll()
        assert note == (
            "customer 0002789: 13 lines are missing at once;"
            " held until a second complete answer agrees"
        )
        [held] = named(lines, "poll.held")
        assert held == {"source": "mvet", "scope": "/mvet/0002789", "missing": 13, "open": 13}
        assert bench.metric("held_lines") == 13
        assert await bench.types(after=13) == {}
        assert await bench.poll() == ""
        assert await bench.types(after=13) == {"cleared": 13}
        assert bench.metric("held_lines") == 0


async def test_one_empty_answer_among_full_ones_changes_nothing() -> None:
    async with MvetServer(world()) as server:
        bench = Bench(mvet(server))
        await bench.poll()
        server.faults.force("empty")
        assert "13 lines are missing at once" in await bench.poll()
        assert await bench.poll() == ""
    assert await bench.types() == {"opened": 13}
    assert bench.metric("held_lines") == 0


async def test_a_failed_answer_between_two_empty_ones_is_no_witness() -> None:
    async with MvetServer(world()) as server:
        bench = Bench(mvet(server))
        await bench.poll()
        server.faults.force("empty")
        await bench.poll()
        server.faults.force("not_json")
        await bench.trouble()
        assert bench.metric("held_lines") == 13
        assert await bench.poll() == ""
    assert await bench.types() == {"opened": 13}


async def test_a_journal_that_fails_is_no_broken_answer() -> None:
    journal = MemoryJournal()
    async with MvetServer(world()) as server:
        bench = Bench(mvet(server), journal)
        await bench.poll()
        server.faults.force("foreign")
        journal.failure = "the disk is full"
        with logged() as lines:
            trouble = await bench.trouble()
        assert isinstance(trouble, JournalUnavailable)
        [told] = named(lines, "poll.broken")  # the foreign line, and nothing else
        assert "another account" in told["reason"]
        journal.failure = None
        assert await bench.poll() == ""


# --- credentials and patience ----------------------------------------------------------------


async def test_credentials_are_sent() -> None:
    async with MvetServer(world(), username="me", password="pässword") as server:
        bench = Bench(mvet(server, username="me", password=Secret("pässword")))
        assert await bench.poll() == ""
    assert await bench.types() == {"opened": 13}


async def test_denied_is_one_request_a_round_for_all_customers() -> None:
    customers = (CUSTOMER, OTHER, "0000003", "0000004", "0000005")
    async with MvetServer(world(), username="me", password="x") as server:
        bench = Bench(mvet(server, *customers, attempts=5))
        for rounds in (1, 2, 3):
            trouble = await bench.trouble()
            assert isinstance(trouble, Denied)
            assert ": HTTP 401, it does not accept our credentials" in trouble.reason
            assert server.requests["list"] == rounds
    assert await bench.events() == []


async def test_who_is_denied_alone_keeps_the_others_waiting_once() -> None:
    async with MvetServer(world(x0004027=for_customer(OTHER, ROWS[:2]))) as server:
        bench = Bench(mvet(server, OTHER, CUSTOMER, concurrency=1))
        server.faults.force("status.401")
        assert isinstance(await bench.trouble(), Denied)
        assert await bench.types() == {}
        server.faults.force("status.401", after=1)
        with logged() as lines:
            note = await bench.poll()
        assert await bench.poll() == note
    assert note == (
        "the inquiry for customer 0004027: HTTP 401, it does not accept our credentials"
        " (left out for a while; the others are polled)"
    )
    [told] = named(lines, "poll.broken")
    assert (told["scope"], told["reason"]) == ("/mvet/0004027", note.partition(" (left")[0])
    assert await bench.types() == {"opened": 13}
    asked = [asked.query["customer"] for asked in server.asked]
    assert asked == [OTHER, CUSTOMER, OTHER, CUSTOMER]


async def test_who_is_denied_alone_slows_nobody_down() -> None:
    """On a schedule: the others are polled on and on, the status is up and says who is not."""
    async with MvetServer(world()) as server:
        bench = Bench(mvet(server, CUSTOMER, OTHER, concurrency=1))
        server.faults.force("status.401", after=1)
        async with bench.running():
            await until(lambda: server.requests["list"] >= 6)
            assert bench.status.is_up
    assert [asked.query["customer"] for asked in server.asked].count(OTHER) == 1


async def test_a_429_with_retry_after_is_waited_for() -> None:
    async with MvetServer(world(), Faults(retry_after=1)) as server:
        bench = Bench(mvet(server, attempts=2))
        server.faults.force("status.429")
        began = asyncio.get_running_loop().time()
        assert await bench.poll() == ""
        assert asyncio.get_running_loop().time() - began >= 1  # never earlier than asked for
    assert server.requests["list"] == 2


async def test_a_long_retry_after_postpones_the_round() -> None:
    async with MvetServer(world(), Faults(retry_after=600)) as server:
        bench = Bench(mvet(server, attempts=5))
        server.faults.force("status.429")
        trouble = await bench.trouble()
        assert isinstance(trouble, Unavailable)
        assert trouble.retry_after == 600
    assert server.requests["list"] == 1


# --- validators ------------------------------------------------------------------------------


async def test_an_answer_that_has_not_changed_is_not_sent_again() -> None:
    here = world()
    async with MvetServer(here, etag=True) as server:
        bench = Bench(mvet(server))
        await bench.poll()
        assert await bench.poll() == ""
        assert [bool(asked.validator) for asked in server.asked] == [False, True]
        assert len(bench.surveys.pages) == 1
        here.end(CUSTOMER, 0)
        await bench.poll()
        await bench.poll()
    assert len(bench.surveys.pages) == 2
    assert await bench.types() == {"opened": 13, "cleared": 1}
    assert [tally.seen for tally in bench.surveys.tallies] == [13, 13, 12, 12]


async def test_a_cache_is_no_second_witness() -> None:
    """While lines are held a 304 is not believed: the whole answer is asked for."""
    here = world()
    async with MvetServer(here, etag=True) as server:
        bench = Bench(mvet(server))
        await bench.poll()
        for _ in ROWS:
            here.end(CUSTOMER, 0)
        assert "held" in await bench.poll()
        await bench.poll()
        assert [bool(asked.validator) for asked in server.asked][2:] == [True, False]
    assert await bench.types(after=13) == {"cleared": 13}


async def test_the_validators_of_a_broken_answer_stand_for_nothing() -> None:
    async with MvetServer(world(), etag=True) as server:
        server.verbatim["list"] = b"[17]"
        bench = Bench(mvet(server))
        for _ in range(2):
            assert isinstance(await bench.trouble(), Refused)
    assert bench.metric("poll_broken_total") == 2


@asynccontextmanager
async def dated(rows: list[dict[str, Any]], *, modified: str, answered: str) -> AsyncIterator[At]:
    """A service whose answers have dates for validators."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.headers.get("If-Modified-Since") == modified:
            return web.Response(status=304)
        return web.json_response(rows, headers={"Last-Modified": modified, "Date": answered})

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield At(f"http://127.0.0.1:{site.port}")
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    ("answered", "cleared"),
    [("Sun, 22 Nov 2026 03:00:00 GMT", 1), ("Sun, 22 Nov 2026 03:01:00 GMT", 0)],
    ids=["in the same second", "a minute later"],
)
async def test_a_date_is_a_validator_where_nothing_can_have_changed_unseen(
    answered: str, cleared: int
) -> None:
    rows = [*ROWS]
    async with dated(rows, modified="Sun, 22 Nov 2026 03:00:00 GMT", answered=answered) as server:
        bench = Bench(mvet(server))
        await bench.poll()
        rows.pop()  # and the service says that this was in the very same second
        await bench.poll()
    assert await bench.types() == {"opened": 13} | ({"cleared": 1} if cleared else {})


# --- customers -------------------------------------------------------------------------------


async def test_one_customer_that_fails_holds_up_no_other() -> None:
    async with MvetServer(world(x0004027=for_customer(OTHER, ROWS[:2]))) as server:
        bench = Bench(mvet(server, CUSTOMER, OTHER))
        server.faults.force("status.500")
        trouble = await bench.trouble()
        assert trouble is not None
        assert "customer 0002789: HTTP 500" in trouble.reason
        assert await bench.types() == {"opened": 2}
        assert await bench.poll() == ""
    assert {source for source, _ in await bench.open()} == {"/mvet/0002789", "/mvet/0004027"}


async def test_several_that_fail_are_counted() -> None:
    async with MvetServer(world()) as server:
        bench = Bench(mvet(server, CUSTOMER, OTHER, "0000003"))
        server.faults.set("status.500")
        trouble = await bench.trouble()
    assert trouble is not None
    assert trouble.reason.endswith("(and 2 more of 3)")


async def test_the_number_is_asked_for_with_its_zeros() -> None:
    async with MvetServer(world()) as server:
        await Bench(mvet(server)).poll()
    assert [dict(asked.query) for asked in server.asked] == [{"customer": "0002789"}]


async def test_an_account_with_a_ship_to_is_the_customers_own() -> None:
    rows = for_customer("0002789-0004029", ROWS[:1])
    async with MvetServer(MvetWorld.of({CUSTOMER: rows})) as server:
        bench = Bench(mvet(server))
        await bench.poll()
    [event] = await bench.events()
    assert (event.source, event.data.order.account) == ("/mvet/0002789", "0002789-0004029")


async def test_the_same_item_twice_on_an_order_stays_apart_in_any_order() -> None:
    twice = [{**ROWS[0], "backorderedQuantity": each} for each in (1, 2, 5)]
    here = MvetWorld.of({CUSTOMER: [*twice, *ROWS[1:]]})
    async with MvetServer(here, Faults(1)) as server:
        bench = Bench(mvet(server))
        await bench.poll()
        server.faults.set("reordered")
        for _ in range(5):
            assert await bench.poll() == ""
        assert await bench.types() == {"opened": 15}
        subject = "45929940/350.81827.2"
        lines = {s: d.quantity.backordered for (_, s), d in (await bench.open()).items()}
        assert [lines[subject + mark] for mark in ("", "#2", "#3")] == ["1", "2", "5"]
        here.end(CUSTOMER, 1)
        await bench.poll()
    [cleared] = await bench.events(after=15)
    assert (cleared.type, cleared.subject) == ("backorder.cleared", f"{subject}#2")


async def test_a_customer_that_is_polled_no_more_keeps_its_lines() -> None:
    async with MvetServer(world(x0004027=for_customer(OTHER, ROWS[:2]))) as server:
        bench = Bench(mvet(server, CUSTOMER, OTHER))
        await bench.poll()
        bench.source = mvet(server, CUSTOMER)
        with logged() as lines:
            await bench.poll()
            await bench.poll()
    assert named(lines, "lines.unwatched") == [
        {"source": "mvet", "scope": "/mvet/0004027", "open": 2}
    ]
    assert bench.metric("unwatched_lines") == 2
    assert bench.metric("watched_lines") == 13
    assert await bench.types() == {"opened": 15}


# --- how it runs -----------------------------------------------------------------------------


async def test_rounds_go_on_through_trouble_and_the_status_tells() -> None:
    async with MvetServer(world()) as server:
        bench = Bench(mvet(server))
        server.faults.force("status.500", times=2)
        async with bench.running():
            await until(lambda: bench.status.is_up)
    assert bench.status.said[:3] == [
        *["the inquiry for customer 0002789: HTTP 500, it has a problem of its own"] * 2,
        None,
    ]
    assert await bench.types() == {"opened": 13}
    assert server.connections <= 2  # a 500 may cost one


async def test_a_daemon_may_start_before_its_upstream() -> None:
    async with MvetServer(world()) as server:
        port = int(server.url.rpartition(":")[2])
    bench = Bench(mvet(server))
    async with bench.running():
        await until(lambda: bool(bench.status.said))
        assert "Connection refused" in bench.status.reason
        async with MvetServer(world(), port=port):
            await until(lambda: bench.status.is_up)
    assert await bench.types() == {"opened": 13}


async def test_a_stop_gives_the_round_up() -> None:
    async with MvetServer(world(), Faults(delay=60)) as server:
        bench = Bench(mvet(server))
        server.faults.set("slow")
        async with bench.running():
            await until(lambda: server.requests["list"] == 1)
    assert bench.status.said == []
    assert await bench.events() == []


# --- check -----------------------------------------------------------------------------------


async def test_a_check_counts_the_lines_and_keeps_nothing() -> None:
    async with MvetServer(world()) as server:
        found = await mvet(server, CUSTOMER, OTHER).check()
    assert found == [
        "customer 0002789: 13 lines on backorder",
        (
            "customer 0004027: nothing on backorder"
            " (a customer number that MVET does not know may look the same)"
        ),
    ]


async def test_a_check_of_very_many_customers_asks_for_those_it_has_time_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mvet_module, "_ASKING", 0.0)
    async with MvetServer(world()) as server:
        found = await mvet(server, CUSTOMER, *(f"{number:07}" for number in range(199))).check()
        assert server.requests["list"] == 1
    assert found == [
        "customer 0002789: 13 lines on backorder",
        "1 of 200 customers asked; there was no more time",
    ]


async def test_a_check_tells_of_one_that_is_denied_alone() -> None:
    async with MvetServer(world()) as server:
        server.faults.force("status.401", after=1)
        with pytest.raises(Denied, match="customer 0004027: HTTP 401"):
            await mvet(server, CUSTOMER, OTHER).check()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (for_customer(OTHER, ROWS[:1]), "another account than the one asked for; check customers"),
        ({"error": "no such customer"}, "the inquiry for customer 0002789: not a JSON array"),
    ],
)
async def test_a_check_tells_of_answers_that_make_no_sense(body: object, reason: str) -> None:
    async with MvetServer(world()) as server:
        server.verbatim["list"] = json.dumps(body).encode()
        with pytest.raises(Refused, match=reason):
            await mvet(server).check()
