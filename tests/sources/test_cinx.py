"""CINX: from the simulated API over a socket to events in a journal. The list and the details."""

import json
from collections.abc import Sequence
from time import monotonic
from typing import Any, NamedTuple

import msgspec
import pytest

from cinx_bench import ACME, TOKEN, cinx, guids, in_rounds, server, world
from cinx_rows import CINX, DETAIL, GUID, ROW, as_json
from consumer.errors import Denied, JournalUnavailable, Refused, Unavailable, Unreadable
from consumer.event import Event, timestamp
from consumer.model import utc_now
from consumer.simulators.cinx_world import CinxWorld
from consumer.simulators.faults import Faults, faults_of, spellings
from consumer.sources.cinx import details as details_module
from consumer.testing.journal import MemoryJournal
from consumer.values import PositiveDuration
from polled_bench import Bench, logged, named
from waiting import until

# --- what the published answers become -------------------------------------------------------

NOBODY: dict[str, Any] = {
    **dict.fromkeys(("id", "number", "name", "honorific", "first_name", "middle_name")),
    **dict.fromkeys(("last_name", "email", "phone", "address")),
    "extra": {},
}
VENDOR = {**NOBODY, "number": "V101", "name": "Hilti"}
VENDOR_ID = {"id": "7880c854-017f-5359-96de-fdef626c33cf"}

FROM_LIST: dict[str, Any] = {
    "order": {
        **dict.fromkeys(("date", "locale", "currency", "total")),
        "number": "P19-062819",
        "account": "cinx",
        "purchase_order": "P19-062819",
    },
    "line": {
        **dict.fromkeys(("number", "item", "description", "title", "sku", "manufacturer_part")),
        **dict.fromkeys(("vendor_item", "color", "size", "unit_price", "amount")),
        "upc": "67024006745",
        "manufacturer": "ZURN",
    },
    "quantity": {"backordered": "1", "ordered": "1", "shipped": "0"},
    "delay": "backorder",
    "reason": None,
    "dates": {
        **dict.fromkeys(("expected_ship", "expected_delivery_until", "cleared")),
        "need_by": "2019-06-08",
        "informed": "2019-06-08",
        "expected_delivery": "2019-06-11",
        "updated": "2019-06-11",
    },
    "parties": {
        **dict.fromkeys(("customer", "bill_to", "ship_to", "store")),
        "vendor": VENDOR,
        "project": {**NOBODY, "number": "WTS-2017-03", "name": "HPH HQ Renovation"},
        "submitter": {**NOBODY, "name": "Will Stone"},
    },
    "extra": {"hph_code": "326ZU6542"},
}

WITH_DETAIL: dict[str, Any] = {
    **FROM_LIST,
    "order": {**FROM_LIST["order"], "date": "2019-06-28", "currency": "USD"},
    "line": {
        **FROM_LIST["line"],
        "description": "Floor, Z1400 Adjustable, 4",
        "size": "4",
        "unit_price": "270.05",
    },
    "parties": {
        **FROM_LIST["parties"],
        "customer": {**NOBODY, **VENDOR_ID, "number": "C101", "name": "WTS Mechanical -DEV"},
        "vendor": {**VENDOR, **VENDOR_ID},
        "project": {
            **NOBODY,
            "id": "bb613aff-4256-5359-b7cd-391505d19e01",
            "number": "WTS-2017-03",
            "name": "WHPH HQ Renovation",
            "extra": {"list_row": {"project_name": "HPH HQ Renovation"}},
        },
        "submitter": {
            **NOBODY,
            "id": "185aabe1-3487-5f59-9ad5-c577a76bd392",
            "name": "Will Stone",
            "email": "willstone@cinx.com",
        },
    },
    "extra": {
        "price_uom": "E",
        "allow_substitutes": True,
        "hph_code": "326ZU6542",
        "item_type": "MATERIAL",
        "procurement_status": "BACKORDERED",
        "update_count": "0",
        "quantities": {"received": "0"},
        "purchase_order": {"cinx_guid": "0435078e-fc66-53a8-b69e-7641e2247437"},
        "delivery": {"location_type": "JOB SITE"},
        "work_breakdown": {"level": "MAIN", "system": "GREASE WASTE UG"},
        "job_cost": {"phase_name": "124"},
        "taxes": {"taxable": True, "tax_rate": "0", "tax_amount": "0"},
        "design": {"drawing_number": "P1.0"},
    },
}


@pytest.mark.parametrize("form", ["json", "xml"])
@pytest.mark.parametrize(
    ("detail", "identity", "data"),
    [
        ("changed", "d3efd64dd919bb5146229c10422bbd38", WITH_DETAIL),
        ("never", "337294534ee77dcc7a88d550d9387da1", FROM_LIST),
    ],
)
async def test_the_published_answers_become_one_event(
    form: str, detail: str, identity: str, data: object
) -> None:
    here = CinxWorld.of({ACME: [ROW]}, tokens={ACME: TOKEN}, details=[DETAIL])
    async with server(here) as at:
        at.verbatim["list"] = (CINX / f"cinx-back-orders-list.{form}").read_bytes()
        at.verbatim["detail"] = (CINX / f"cinx-back-order-detail.{form}").read_bytes()
        bench = Bench(cinx(at, detail=detail, format=form, page_size=50))
        before = timestamp(utc_now())
        assert await bench.poll() == ""
        after = timestamp(utc_now())
    [event] = [json.loads(event.encode()) for event in await bench.events()]
    assert before <= event.pop("time") <= after
    assert event == {
        "specversion": "1.0",
        "id": identity,
        "source": "/cinx/cinx",
        "type": "backorder.opened",
        "subject": GUID,
        "datacontenttype": "application/json",
        "dataschema": "urn:backorder-consumer:event:1",
        "partitionkey": f"/cinx/cinx/{GUID}",
        "data": data,
    }
    asked = at.requests["list"], at.requests["detail"]
    assert asked == (1, 1 if detail == "changed" else 0)


async def test_json_and_xml_give_the_same_events() -> None:
    said = []
    for form in ("json", "xml"):
        async with server(world()) as at:
            bench = Bench(cinx(at, format=form))
            await bench.poll()
            said.append([(event.id, event.data) for event in await bench.events()])
    assert len(said[0]) == 23
    assert said[0] == said[1]


# --- the list --------------------------------------------------------------------------------


@pytest.mark.parametrize("counts", ["true", "zero", "absent"])
@pytest.mark.parametrize("concurrency", [1, 4])
async def test_every_page_is_read_and_every_line_told_once(counts: Any, concurrency: int) -> None:
    here = world()
    async with server(here, counts=counts) as at:
        bench = Bench(cinx(at, concurrency=concurrency))
        assert await bench.poll() == ""
        assert at.requests["detail"] == 23
        assert await bench.poll() == ""
    assert await bench.types() == {"opened": 23}
    assert {subject for _, subject in await bench.open()} == guids(here)
    assert at.requests["detail"] == 23


async def test_a_server_with_a_page_size_of_its_own_is_read_to_the_end() -> None:
    here = world(130)
    async with server(here, largest=50) as at:
        bench = Bench(cinx(at, page_size=100, detail="never"))
        assert await bench.poll() == ""
    assert {subject for _, subject in await bench.open()} == guids(here)


async def test_a_list_whose_rows_move_meanwhile_is_read_again() -> None:
    here = world()
    async with server(here) as at:
        bench = Bench(cinx(at))
        at.faults.force("shift.inserted", after=1)
        assert await bench.poll() == ""
        once = at.requests["list"]
    assert at.faults.done["shift"] == 1
    assert await bench.types() == {"opened": 24}
    assert {subject for _, subject in await bench.open()} == guids(here)
    assert once > 6  # what one reading takes


async def test_the_filters_are_the_lists_own_and_only_what_they_show_may_end() -> None:
    here = world(40)
    row = here.rows(TOKEN)[0]
    filters = {"vendor": row["vendor_number"]}
    shown = {r["cinx_guid"] for r in here.rows(TOKEN, filters)}
    assert 0 < len(shown) < 40
    async with server(here) as at:
        bench = Bench(cinx(at))
        await bench.poll()
        bench.source = cinx(at, **filters)
        gone_inside = next(iter(shown))
        gone_outside = next(iter(guids(here) - shown))
        here.end(gone_inside)
        here.end(gone_outside)
        await bench.poll()
        assert await bench.types(after=40) == {}  # seen with other eyes: nothing is missing yet
        here.end(next(iter(shown - {gone_inside})))
        await bench.poll()
        assert await bench.types(after=40) == {"cleared": 1}
    assert len(await bench.open()) == 39


async def test_all_filters_reach_the_server() -> None:
    here = world(40)
    async with server(here) as at:
        bench = Bench(
            cinx(at, delivery="JOB SITE", project="a guid", vendor="V 01&x", po_guid="p/o")
        )
        assert await bench.poll() == ""
    [asked] = [asked for asked in at.asked if asked.kind == "list"]
    assert dict(asked.query) == {
        "delivery": "JOB SITE",
        "project": "a guid",
        "vendor": "V 01&x",
        "po-guid": "p/o",
        "offset": "0",
        "limit": "6",
    }


async def test_two_sources_may_ask_for_different_parts_of_one_organisation() -> None:
    here = world(40)
    vendors = sorted({row["vendor_number"] for row in here.rows(TOKEN)})
    async with server(here) as at:
        bench = Bench(cinx(at, vendor=vendors[0]))
        sources = [cinx(at, vendor=vendor) for vendor in vendors]
        for _ in range(2):
            for bench.source in sources:
                assert await bench.poll() == ""
    assert await bench.types() == {"opened": 40}


# --- what may go wrong -----------------------------------------------------------------------


class Expected(NamedTuple):
    """What comes of a fault: the error of the round, its words, whether bytes were set aside.

    `lasting`: it takes a fault at every answer; what spoils one reading is mended by the next.
    """

    error: type[Exception]
    reason: str
    kept: bool = False
    lasting: bool = False


SHIFTED = "rows moved from page to page while they were read"
FAULTS = {
    "slow": Expected(Unavailable, "CINX's list: no answer in time"),
    "status.429": Expected(Unavailable, "CINX's list: HTTP 429, it wants fewer requests"),
    "status.500": Expected(Unavailable, "CINX's list: HTTP 500, it has a problem of its own"),
    "status.401": Expected(Denied, "CINX's list: HTTP 401, it does not accept our credentials"),
    "cut.length": Expected(Unavailable, "CINX's list: its answer was cut short or garbled"),
    "cut.chunked": Expected(Unavailable, "CINX's list: its answer was cut short or garbled"),
    "cut.json": Expected(Unreadable, "CINX's list: not JSON: it is cut short", kept=True),
    "not_json": Expected(Unreadable, "CINX's list: a web page instead", kept=True),
    "huge": Expected(Refused, "CINX's list: the answer is larger than max_body, 262,144 bytes"),
    "broken_row.key": Expected(Refused, "a row without one has no key", kept=True),
    "broken_row.type": Expected(Refused, "quantity_back_ordered: not a number", kept=True),
    "broken_row.shape": Expected(Refused, "a row without one has no key", kept=True),
    "short": Expected(Refused, "rows, which a total of", lasting=True),
    "duplicate": Expected(Refused, "a row came twice", lasting=True),
    "shift.inserted": Expected(Refused, "the total was", lasting=True),
    "shift.removed": Expected(Refused, "the total was", lasting=True),
    "shift.moved": Expected(Refused, SHIFTED, lasting=True),
    "total": Expected(Refused, "the total was", lasting=True),
    "envelope.500": Expected(Unavailable, "CINX's list: the envelope says status 500"),
    "envelope.429": Expected(Unavailable, "CINX's list: the envelope says status 429"),
    "envelope.401": Expected(Denied, "CINX's list: the envelope says status 401"),
    "expired": Expected(Denied, "CINX's list: HTTP 401, it does not accept our credentials"),
}


def test_every_fault_of_the_simulator_is_in_the_table() -> None:
    names = {
        name for name in spellings("cinx") if "." in name or not faults_of("cinx")[name].variants
    }
    assert names == FAULTS.keys() | {"empty", "reordered"}  # which have tests of their own


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_clears_nothing_that_is_there_and_is_told_once(fault: str) -> None:
    expected, here = FAULTS[fault], world()
    async with server(here, Faults(3, delay=5, huge=8 << 20)) as at:
        bench = Bench(cinx(at, timeout=PositiveDuration(0.5 if fault == "slow" else 20)))
        await bench.poll()
        here.end(next(iter(guids(here))))
        if expected.lasting:
            at.faults.set(fault)
        else:
            at.faults.force(fault, after=1, kind="list")
        with logged() as lines:
            trouble = await bench.trouble()
        assert type(trouble) is expected.error
        assert expected.reason in str(trouble)
        [told] = named(lines, "poll.broken")
        assert (told["source"], told["scope"]) == ("cinx", "/cinx/cinx")
        assert expected.reason in told["reason"]
        assert bench.metric("poll_broken_total") == 1
        assert len(await bench.quarantined()) == expected.kept
        assert not (await bench.types(after=23))["cleared"]
        at.faults.calm()
        assert await bench.poll() == ""
        assert {subject for _, subject in await bench.open()} == guids(here)


async def test_what_is_new_on_the_pages_beside_a_broken_one_is_told() -> None:
    here = world()
    async with server(here) as at:
        bench = Bench(cinx(at, concurrency=4))
        at.faults.force("not_json", after=2, kind="list")
        assert isinstance(await bench.trouble(), Refused)
    assert (await bench.types())["opened"] >= 12


async def test_a_list_in_another_order_is_no_news() -> None:
    here = world()
    async with server(here) as at:
        bench = Bench(cinx(at))
        await bench.poll()
        at.faults.force("reordered")
        assert await bench.poll() == ""
    assert at.faults.done["reordered"] == 1
    assert await bench.types() == {"opened": 23}


async def test_empty_after_full_is_held_and_then_asked_for_one_by_one() -> None:
    here = world()
    async with server(here) as at:
        bench = Bench(cinx(at))
        await bench.poll()
        at.faults.force("empty", times=2, kind="list")
        note = await bench.poll()
        assert note == (
            "cinx: 23 lines are missing at once; held until a second complete answer agrees"
        )
        assert bench.metric("held_lines") == 23
        assert at.requests["detail"] == 23
        note = await bench.poll()  # it agrees; but every detail says that its line is there
        assert "23 lines are missing from the list, but their details do not say" in note
        assert await bench.types() == {"opened": 23}
        assert bench.surveys.tallies[-1].unconfirmed == 23
        assert await bench.poll() == ""
    assert bench.metric("held_lines") == 0


async def test_a_journal_that_fails_is_no_broken_answer() -> None:
    journal = MemoryJournal()
    async with server(world()) as at:
        bench = Bench(cinx(at), journal)
        journal.failure = "the disk is full"
        with logged() as lines:
            assert isinstance(await bench.trouble(), JournalUnavailable)
        assert named(lines, "poll.broken") == []
        journal.failure = None
        assert await bench.poll() == ""


# --- the end of a line -----------------------------------------------------------------------


async def of(bench: Bench, guid: str) -> Sequence[Event]:
    return [event for event in await bench.events() if event.subject == guid]


async def test_a_detail_tells_since_when_a_line_is_over() -> None:
    here = world()
    guid = str(here.rows(TOKEN)[3]["cinx_guid"])
    async with server(here) as at:
        bench = Bench(cinx(at))
        await bench.poll()
        here.end(guid)
        await bench.poll()
        detail = here.detail(guid)
    opened, cleared = await of(bench, guid)
    assert detail is not None
    assert cleared.type == "backorder.cleared"
    assert cleared.data.dates.cleared == detail["dates"]["cleared"]
    assert cleared.data.line == opened.data.line


async def test_a_line_without_a_detail_is_over_too() -> None:
    here = world()
    guid = str(here.rows(TOKEN)[3]["cinx_guid"])
    async with server(here) as at:
        bench = Bench(cinx(at, detail="never"))
        await bench.poll()
        here.forget(guid)
        await bench.poll()
    assert [event.type for event in await of(bench, guid)] == [
        "backorder.opened",
        "backorder.cleared",
    ]
    assert at.requests["detail"] == 2  # the line's, and one of a line that is listed


async def test_an_api_that_answers_every_question_with_nothing_ends_nothing() -> None:
    here = world(100)
    async with server(here) as at:
        bench = Bench(cinx(at, page_size=50, detail="never"))
        await bench.poll()
        at.faults.set("empty")
        assert "100 lines are missing at once" in await bench.poll()
        for _ in range(3):
            before = len(bench.surveys.lacking)
            assert "100 lines are missing from the list, but their details" in await bench.poll()
            [said] = bench.surveys.lacking[before:]
            assert said == (
                "CINX's detail: answers without a row, and nothing is listed that would show"
                " whether details work; the 100 lines that are missing and have such a detail stay"
                " open"
            )
        at.faults.calm()
        assert await bench.poll() == ""
    assert await bench.types() == {"opened": 100}


@pytest.mark.parametrize("absent", ["empty", "404"])
@pytest.mark.parametrize("works", [False, True])
async def test_a_line_without_a_detail_is_over_where_a_listed_one_has_its_own(
    absent: str, works: bool
) -> None:
    here = world()
    guid = str(here.rows(TOKEN)[3]["cinx_guid"])
    async with server(here) as at:
        bench = Bench(cinx(at, detail="never"))
        await bench.poll()
        here.forget(guid)
        if absent == "empty":
            at.faults.force("empty", times=1 if works else 2, kind="detail")
        elif not works:
            at.verbatim["detail"] = as_json({"response": {"status_code": 404}})
        note = await bench.poll()
    assert at.requests["detail"] == 2
    if works:
        assert (note, bench.surveys.lacking) == ("", [])
        assert await bench.types(after=23) == {"cleared": 1}
    else:
        [said] = bench.surveys.lacking
        assert said == (
            "CINX's detail: no row came for a line that is listed either; the 1 lines that are"
            " missing and have no detail stay open"
        )
        assert await bench.types(after=23) == {}
        assert bench.surveys.tallies[-1].unconfirmed == 1


async def test_a_detail_that_was_wanted_anyway_is_witness_enough() -> None:
    here = world()
    guids_ = [str(row["cinx_guid"]) for row in here.rows(TOKEN)]
    async with server(here) as at:
        bench = Bench(cinx(at))
        await bench.poll()
        here.forget(guids_[3])
        here.change(guids_[4], quantity_shipped=99)
        assert await bench.poll() == ""
    assert at.requests["detail"] == 23 + 2
    assert await bench.types(after=23) == {"updated": 1, "cleared": 1}


async def test_where_nothing_is_listed_a_404_counts_after_the_hold() -> None:
    here = world()
    async with server(here) as at:
        bench = Bench(cinx(at, detail="never"))
        await bench.poll()
        for guid in guids(here):
            here.forget(guid)
        assert "23 lines are missing at once" in await bench.poll()
        assert await bench.poll() == ""
    assert await bench.types(after=23) == {"cleared": 23}


async def test_a_line_that_the_list_leaves_out_stays_while_its_detail_says_backordered() -> None:
    """The list is consistent, page by page and in total: only the detail knows better."""
    here = world()
    listed = here.lines(TOKEN)
    left_out = listed[4]
    async with server(here) as at:
        bench = Bench(cinx(at, page_size=50))
        await bench.poll()
        rows = [dict(line.row) for line in listed if line is not left_out]
        at.verbatim["list"] = json.dumps({"response": {"total_count": 22}, "rows": rows}).encode()
        for _ in range(2):
            note = await bench.poll()
            assert note.startswith("cinx: 1 lines are missing from the list, but their details")
            assert bench.surveys.tallies[-1].unconfirmed == 1
        del at.verbatim["list"]
        assert await bench.poll() == ""
    assert await bench.types() == {"opened": 23}


async def test_a_detail_that_cannot_be_had_ends_nothing() -> None:
    here = world()
    guid = str(here.rows(TOKEN)[3]["cinx_guid"])
    async with server(here) as at:
        bench = Bench(cinx(at))
        await bench.poll()
        here.end(guid)
        at.faults.force("status.500", kind="detail")
        assert "CINX's detail: HTTP 500" in await bench.poll()
        assert await bench.types(after=23) == {}
        assert await bench.poll() == ""
    assert await bench.types(after=23) == {"cleared": 1}


async def test_a_row_whose_detail_says_cleared_is_over_and_comes_back_as_a_new_fact() -> None:
    here = CinxWorld.of({ACME: [ROW]}, tokens={ACME: TOKEN}, details=[DETAIL])
    over = {**DETAIL, "dates": {**DETAIL["dates"], "cleared": "2019-07-01"}}
    async with server(here) as at:
        bench = Bench(cinx(at))
        await bench.poll()
        here.put(ACME, {**ROW, "update_count": "1"}, over)
        await bench.poll()
        await bench.poll()
        assert await bench.types() == {"opened": 1, "cleared": 1}
        here.put(ACME, ROW, DETAIL)
        await bench.poll()
    first, cleared, again = await bench.events()
    assert cleared.data.dates.cleared == "2019-07-01"
    assert (first.type, first.data) == (again.type, again.data)
    assert first.id != again.id


async def test_details_that_fail_for_ever_keep_no_line_from_being_cleared() -> None:
    here = world()
    failing = [str(row["cinx_guid"]) for row in here.rows(TOKEN)[:7]]
    gone = str(here.rows(TOKEN)[9]["cinx_guid"])
    async with server(here) as at:
        bench = Bench(cinx(at, concurrency=1))
        await bench.poll()
        here.end(gone)
        for guid in failing:
            here.change(guid, quantity_shipped=99)
        at.faults.force("status.500", times=5, kind="detail")
        await bench.poll()
    assert (await bench.types(after=23))["cleared"] == 1


# --- details ---------------------------------------------------------------------------------


async def test_details_are_asked_for_where_a_row_is_new_or_changed() -> None:
    here = world()
    guid = str(here.rows(TOKEN)[3]["cinx_guid"])
    async with server(here) as at:
        bench = Bench(cinx(at))
        await bench.poll()
        assert at.requests["detail"] == 23
        here.change(guid, quantity_shipped=99)
        await bench.poll()
    assert at.requests["detail"] == 24
    [_, updated] = await of(bench, guid)
    changes = json.loads(msgspec.json.encode(updated.data.changes))
    assert [(change["field"], change["after"]) for change in changes] == [
        ("quantity.shipped", "99")
    ]


DETAIL_FAULTS = ("status.500", "cut.length", "cut.json", "not_json", "huge", "envelope.500")


@pytest.mark.parametrize("fault", DETAIL_FAULTS)
async def test_a_row_whose_detail_fails_is_told_and_completed_next_time(fault: str) -> None:
    here = CinxWorld.of({ACME: [ROW]}, tokens={ACME: TOKEN}, details=[DETAIL])
    async with server(here, Faults(3, huge=8 << 20)) as at:
        bench = Bench(cinx(at))
        at.faults.force(fault, kind="detail")
        with logged() as lines:
            note = await bench.poll()
        assert note.startswith("cinx: some details cannot be had now (CINX's detail: ")
        [told] = named(lines, "poll.broken")
        assert told["reason"].startswith("CINX's detail: ")
        assert len(await bench.quarantined()) == (fault in {"cut.json", "not_json"})
        assert bench.surveys.tallies[-1].incomplete is None
        assert await bench.poll() == ""
        # Once more, now that there is something to lose: what the detail said is carried over.
        here.put(ACME, {**ROW, "quantity_shipped": 7}, DETAIL)
        at.faults.force(fault, kind="detail")
        await bench.poll()
    opened, completed, updated = await bench.events()
    assert json.loads(msgspec.json.encode(opened.data)) == FROM_LIST
    assert completed.type == updated.type == "backorder.updated"
    assert completed.data.line.unit_price == updated.data.line.unit_price == "270.05"
    assert json.loads(msgspec.json.encode(updated.data.changes)) == [
        {"field": "quantity.shipped", "before": "0", "after": "7"}
    ]


async def test_a_detail_service_that_is_down_is_left_alone_soon() -> None:
    async with server(world()) as at:
        bench = Bench(cinx(at, page_size=50, concurrency=2))
        at.faults.set("status.500", 0)
        at.faults.force("status.500", times=1000, kind="detail")
        assert "details cannot be had" in await bench.poll()
    assert await bench.types() == {"opened": 23}
    assert 5 <= at.requests["detail"] <= 6


async def test_details_that_ask_for_time_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    here = world()
    async with server(here, Faults(retry_after=600)) as at:
        bench = Bench(cinx(at, concurrency=1))
        at.faults.force("status.429", kind="detail")
        for _ in range(3):
            note = await bench.poll()
            assert "some details cannot be had now (CINX's detail: HTTP 429, it wants" in note
        assert at.requests["detail"] == 1
        clock = monotonic() + 601
        monkeypatch.setattr(details_module, "monotonic", lambda: clock)
        assert await bench.poll() == ""
    assert at.requests["detail"] == 1 + 23
    assert (await bench.types())["opened"] == 23


async def test_of_pages_that_fail_together_the_longest_wait_counts() -> None:
    async with server(world(40), Faults(retry_after=600)) as at:
        bench = Bench(cinx(at, concurrency=4, detail="never"))
        at.faults.force("status.500", after=1, kind="list")
        at.faults.force("status.429", after=1, kind="list")
        trouble = await bench.trouble()
    assert isinstance(trouble, Unavailable)
    assert trouble.retry_after == 600


async def test_details_that_are_denied_cost_one_request_and_hold_up_nothing() -> None:
    async with server(world()) as at:
        bench = Bench(cinx(at, concurrency=1))
        at.faults.force("status.401", times=1000, kind="detail")
        note = await bench.poll()
        assert "(CINX's detail: HTTP 401, it does not accept our credentials)" in note
    assert await bench.types() == {"opened": 23}
    assert at.requests["detail"] == 1


async def test_where_the_list_is_denied_no_detail_is_asked_for() -> None:
    async with server(world()) as at:
        bench = Bench(cinx(at, concurrency=1))
        at.faults.force("status.401", after=1, kind="list")
        assert isinstance(await bench.trouble(), Denied)
        assert at.requests == {"list": 2}
        assert await bench.types() == {"opened": 6}
        assert await bench.poll() == ""
    assert await bench.types() == {"opened": 23, "updated": 6}


async def test_detail_of_another_line_is_none() -> None:
    here = CinxWorld.of({ACME: [ROW]}, tokens={ACME: TOKEN}, details=[DETAIL])
    async with server(here) as at:
        at.verbatim["detail"] = json.dumps({"rows": [{**DETAIL, "cinx_guid": "other"}]}).encode()
        bench = Bench(cinx(at))
        assert "the answer is about another back-order" in await bench.poll()
    assert len(await bench.quarantined()) == 1


# --- validators, schedule, stop --------------------------------------------------------------


async def test_pages_that_have_not_changed_are_not_sent_again() -> None:
    here = world()
    async with server(here, etag=True) as at:
        source = cinx(at)
        bench = Bench(source)
        async with in_rounds(source, bench.ground) as poll:
            for _ in range(3):
                assert await poll() == ""
            assert len(bench.surveys.pages) == 5
            here.end(next(iter(guids(here))))
            await poll()
    asked = [asked for asked in at.asked if asked.kind == "list"]
    assert [bool(each.validator) for each in asked[:15]] == [False] * 5 + [True] * 10
    assert [tally.seen for tally in bench.surveys.tallies] == [23, 23, 23, 22]
    assert {subject for _, subject in await bench.open()} == guids(here)


async def test_a_total_that_was_remembered_keeps_no_list_incomplete() -> None:
    """The validator of a page that has not changed stands for its rows: its old total is wrong."""
    here = world(120)
    extra = dict(world(1, seed=8).rows(TOKEN)[0])
    async with server(here, etag="rows") as at:
        bench = Bench(cinx(at, page_size=50, detail="never"))
        for _ in range(2):
            assert await bench.poll() == ""
        here.put(ACME, extra)
        before = len(at.asked)
        assert await bench.poll() == ""
        asked = [bool(each.validator) for each in list(at.asked)[before:]]
        assert asked == [True] * 3 + [False] * 3
        assert await bench.poll() == ""
        assert all(each.validator for each in list(at.asked)[-3:])
    assert await bench.types() == {"opened": 121}


async def test_a_cache_is_no_second_witness() -> None:
    here = world()
    async with server(here, etag=True) as at:
        source = cinx(at)
        bench = Bench(source)
        async with in_rounds(source, bench.ground) as poll:
            await poll()
            for guid in guids(here):
                here.forget(guid)
            assert "23 lines are missing at once" in await poll()
            before = len(at.asked)
            assert await poll() == ""
    asked = [each for each in list(at.asked)[before:] if each.kind == "list"]
    assert [bool(each.validator) for each in asked] == [True, False]
    assert await bench.types(after=23) == {"cleared": 23}


async def test_a_stop_gives_the_round_up_and_the_next_one_goes_on() -> None:
    here = world()
    async with server(here, Faults(delay=60)) as at:
        bench = Bench(cinx(at, concurrency=1))
        at.faults.force("slow", times=100, after=2, kind="list")
        async with bench.running():
            await until(lambda: at.requests["list"] == 3)
        assert (await bench.types())["opened"] < 23
        assert bench.status.said == []
        at.faults.calm()
        bench.source = cinx(at)
        assert await bench.poll() == ""
    assert await bench.types() == {"opened": 23}


async def test_a_429_with_retry_after_is_waited_for() -> None:
    async with server(world(3), Faults(retry_after=1)) as at:
        bench = Bench(cinx(at, attempts=2, detail="never"))
        at.faults.force("status.429", kind="list")
        assert await bench.poll() == ""
        assert at.requests["list"] == 2
        at.faults.retry_after = 600
        at.faults.force("status.429", kind="list")
        trouble = await bench.trouble()
        assert isinstance(trouble, Unavailable)
        assert trouble.retry_after == 600
        assert at.requests["list"] == 3
