import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from consumer.errors import JournalUnavailable
from consumer.event import Change, Parties
from consumer.journal.sqlite import SqliteJournal
from consumer.model import Entry, Outcome, Watched
from consumer.normalisation import polled
from consumer.ports import Journal
from consumer.settings import PrivacySettings
from consumer.survey import Page
from consumer.surveyor import telling
from consumer.testing.journal import MemoryJournal
from consumer.testing.surveys import RecordingSurveys
from consumer.values import Secret
from surveying import CINX, MVET, Bench, Row, cinx, detail, mvet, page, quantities
from waiting import until

HASHED = PrivacySettings(parties="hashed", key=Secret("a key of sufficient length"))


@pytest.fixture(params=["memory", "sqlite"])
async def journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Journal]:
    if request.param == "memory":
        yield MemoryJournal()
        return
    async with SqliteJournal(tmp_path / "journal.db") as sqlite:
        yield sqlite


@pytest.fixture
def bench(journal: Journal) -> Bench:
    return Bench(journal)


@pytest.fixture
def listed(journal: Journal) -> Bench:
    """A scope whose lines have ids and details."""
    return Bench(journal, CINX)


def many(count: int, **fields: Any) -> list[Row]:
    return [mvet(order, **fields) for order in range(count)]


# --- transitions -----------------------------------------------------------------------------


async def test_lines_open_change_end_and_come_back(bench: Bench) -> None:
    await bench.poll([mvet(1, "a", 2), mvet(2, "b")])
    await bench.poll([mvet(1, "a", 1), mvet(2, "b")])
    tally = await bench.poll([mvet(2, "b")])
    assert (tally.seen, tally.cleared) == (1, 1)
    await bench.poll([mvet(2, "b"), mvet(1, "a", 2)])

    events = await bench.events()
    assert await bench.facts() == [
        "opened 1/a",
        "opened 2/b",
        "updated 1/a",
        "cleared 1/a",
        "opened 1/a",
    ]
    assert events[2].data.changes == (Change(field="quantity.backordered", before="2", after="1"),)
    assert events[3].data.quantity.backordered == "1"
    assert events[4].data == events[0].data
    assert events[4].id != events[0].id
    assert {event.source for event in events} == {MVET.source}
    assert quantities(await bench.open_lines()) == {"1/a": "2", "2/b": "1"}


async def test_what_was_said_before_can_be_said_again(bench: Bench) -> None:
    for quantity in (2, 1, 2, 1):
        await bench.poll([mvet(1, quantity=quantity), mvet(2)])
    await bench.poll([mvet(2)])
    await bench.poll([mvet(1, quantity=1), mvet(2)])  # the very row that ended
    facts = [fact for fact in await bench.facts() if fact.endswith("1/a")]
    assert facts == ["opened 1/a", *["updated 1/a"] * 3, "cleared 1/a", "opened 1/a"]
    assert quantities(await bench.open_lines()) == {"1/a": "1", "2/a": "1"}


async def test_a_poll_that_finds_nothing_new_writes_nothing(bench: Bench) -> None:
    await bench.poll(many(3))
    commits = bench.commits
    assert commits == 1
    tally = await bench.poll(many(3))
    assert tally.seen == 3
    await bench.poll(list(reversed(many(3))))
    bench.restart()
    await bench.poll(many(3))
    assert bench.commits == commits


async def test_a_row_that_is_written_otherwise_and_says_the_same_is_no_event(bench: Bench) -> None:
    await bench.poll([mvet(1, note=None)])
    await bench.poll([mvet(1)])
    assert (bench.commits, await bench.facts()) == (2, ["opened 1/a"])
    await bench.poll([mvet(1)])
    assert bench.commits == 2  # the new spelling is known


# --- what may clear ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda row: row | {"itemNumber": ""}, id="a row without its key"),
        pytest.param(lambda row: row | {"accountNumber": "0009999"}, id="a foreign account"),
        pytest.param(lambda row: row | {"backorderedQuantity": "many"}, id="a row without sense"),
    ],
)
async def test_a_broken_row_lets_the_others_count_and_nothing_end(bench: Bench, spoil: Any) -> None:
    await bench.poll(many(3))
    with capture_logs() as log:
        tally = await bench.poll([mvet(1, quantity=7), mvet(9), spoil(mvet(2))])
    assert tally.incomplete
    assert (await bench.facts())[3:] == ["updated 1/a", "opened 9/a"]
    assert [line["event"] for line in log] == ["poll.broken", "poll.done"]
    assert log[0]["reason"] == tally.incomplete
    assert (log[0]["source"], log[0]["scope"]) == ("mvet", MVET.source)
    [kept] = await bench.journal.quarantined()
    assert kept.problems
    assert bench.counted('backorder_poll_broken_total{source="mvet"} 1.0')
    assert bench.counted('backorder_polls_total{outcome="incomplete",source="mvet"} 1.0')


@pytest.mark.parametrize("content", [b"[{", b"{}", b"", b"null", b"<html>"])
async def test_what_cannot_be_read_is_set_aside_whole(bench: Bench, content: bytes) -> None:
    await bench.poll(many(3))
    async with bench.survey() as survey:
        reading = await survey.see(Page(content=content, body=b"body of " + content))
        assert (*reading.keys, *reading.fresh, *survey.missing()) == ()
        tally = await survey.finish({"0/a": None})
    assert tally.incomplete
    assert len(await bench.facts()) == 3
    [kept] = await bench.journal.quarantined()
    assert (kept.body, kept.source, kept.origin) == (b"body of " + content, "mvet", MVET.source)


async def test_an_answer_that_never_came_clears_nothing(bench: Bench) -> None:
    await bench.poll(many(3))
    assert (await bench.poll(broken="no route")).incomplete == "no route"
    assert (await bench.poll(many(2), broken="total changed")).incomplete == "total changed"
    bench.scope = replace(MVET, hold_share=1.0)
    async with bench.survey() as survey:  # not a single page
        assert not survey.missing()
        assert (await survey.finish({"0/a": None})).incomplete
    assert len(await bench.facts()) == 3


async def test_what_is_broken_beside_the_list_leaves_it_whole(bench: Bench) -> None:
    await bench.poll(many(3))
    async with bench.survey() as survey:
        await survey.see(page(many(2)))
        await survey.lacking("no such detail", b"<html>")
        tally = await survey.finish({"2/a": None})
    assert (tally.incomplete, tally.cleared) == (None, 1)
    assert [kept.body for kept in await bench.journal.quarantined()] == [b"<html>"]


async def test_what_is_left_out_of_the_end_stays_open(bench: Bench) -> None:
    await bench.poll(many(5))
    tally = await bench.poll(many(3), ended={"3/a": None, "0/a": None})
    assert (tally.cleared, tally.unconfirmed) == (1, 1)
    assert set(await bench.open_lines()) == {"0/a", "1/a", "2/a", "4/a"}


async def test_our_own_mistakes_are_broken_answers(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*_: object, **__: object) -> Any:
        raise ZeroDivisionError("secret@example.com")

    await bench.poll(many(3))
    for function in ("line", "rows"):
        reader = {"mvet": replace(polled.POLLED["mvet"], **{function: stumble})}
        monkeypatch.setattr(telling, "POLLED", reader)
        with capture_logs() as log:
            tally = await bench.poll([mvet(7)])
        assert tally.incomplete == "this program failed on it (ZeroDivisionError)"
        assert [line["event"] for line in log] == ["bug", "poll.broken"]
        assert "secret" not in repr(log)
    assert len(await bench.facts()) == 3


async def test_an_end_that_we_cannot_tell_is_no_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*_: object) -> Any:
        raise ZeroDivisionError

    await bench.poll(many(3))
    with monkeypatch.context() as patched:
        patched.setattr(telling, "cleared", stumble)
        assert (await bench.poll(many(2))).cleared == 0
    assert (await bench.poll(many(2))).cleared == 1


# --- what is held -----------------------------------------------------------------------------


async def test_an_empty_answer_is_believed_the_second_time(bench: Bench) -> None:
    await bench.poll(many(3))
    with capture_logs() as log:
        tally = await bench.poll([])
    assert (tally.held, tally.cleared, tally.incomplete) == (3, 0, None)
    assert log == [
        {
            "event": "poll.held",
            "source": "mvet",
            "scope": MVET.source,
            "missing": 3,
            "open": 3,
            "log_level": "warning",
        }
    ]
    assert bench.counted('backorder_held_lines{source="mvet"} 3.0')
    assert bench.counted('backorder_polls_total{outcome="held",source="mvet"} 1.0')
    bench.restart()  # who saw it first need not be the one who sees it again
    tally = await bench.poll([])
    assert (tally.held, tally.cleared) == (0, 3)
    assert bench.counted('backorder_held_lines{source="mvet"} 0.0')
    assert await bench.open_lines() == {}


async def test_held_lines_that_are_seen_again_were_never_gone(bench: Bench) -> None:
    await bench.poll(many(4))
    await bench.poll([])
    tally = await bench.poll(many(2))
    assert (tally.held, tally.cleared) == (0, 2)
    assert set(await bench.open_lines()) == {"0/a", "1/a"}
    assert (await bench.poll([])).held == 2


async def test_an_incomplete_answer_is_no_second_witness(bench: Bench) -> None:
    await bench.poll(many(4))
    await bench.poll([])
    assert (await bench.poll(many(1), broken="cut short")).held == 3
    assert (await bench.poll([], broken="cut short")).cleared == 0
    tally = await bench.poll([])
    assert (tally.cleared, tally.held) == (3, 1)


async def test_new_lines_do_not_make_up_for_those_that_are_gone(bench: Bench) -> None:
    await bench.poll(many(30))
    tally = await bench.poll([mvet(order, "b") for order in range(100)])
    assert (tally.opened, tally.held, tally.cleared) == (100, 30, 0)


async def test_what_nobody_confirms_is_asked_for_again_and_not_held(bench: Bench) -> None:
    await bench.poll(many(3))
    await bench.poll([])
    tally = await bench.poll([], ended={"0/a": None})
    assert (tally.cleared, tally.unconfirmed, tally.held) == (1, 2, 0)
    assert bench.counted('backorder_held_lines{source="mvet"} 0.0')
    tally = await bench.poll(broken="cut short")
    assert tally.held == 0  # they wait for no second answer
    assert (await bench.poll([])).cleared == 2


async def test_who_wants_it_is_always_believed(journal: Journal) -> None:
    bench = Bench(journal, replace(MVET, hold_share=1.0))
    await bench.poll(many(30))
    assert (await bench.poll([])).cleared == 30


# --- several rows with one key ----------------------------------------------------------------


async def test_rows_of_one_key_stay_apart_in_any_order(bench: Bench) -> None:
    rows = [mvet(1, "a", 5), mvet(1, "a", 3), mvet(1, "a", 5), mvet(2)]
    await bench.poll(rows)
    before = await bench.facts()
    assert sorted(before) == ["opened 1/a", "opened 1/a#2", "opened 1/a#3", "opened 2/a"]
    for order in ([3, 2, 1, 0], [1, 0, 2, 3], [2, 3, 0, 1]):
        bench.restart()
        await bench.poll([rows[place] for place in order])
    assert await bench.facts() == before

    await bench.poll([rows[3], rows[0], rows[2]])  # the 3 is gone
    await bench.poll([rows[2], rows[3], mvet(1, "a", 4)])  # a 5 became a 4
    events = await bench.events()
    assert [event.type for event in events[4:]] == ["backorder.cleared", "backorder.updated"]
    assert events[4].data.quantity.backordered == "3"
    assert events[5].data.changes == (Change(field="quantity.backordered", before="5", after="4"),)
    assert sorted((await bench.open_lines()).keys() | {events[4].subject}) == [
        "1/a",
        "1/a#2",
        "1/a#3",
        "2/a",
    ]


async def test_the_same_id_twice_is_one_line(listed: Bench) -> None:
    await listed.poll([cinx("g1"), cinx("g2")], [cinx("g2"), cinx("g1", 4)])
    assert await listed.facts() == ["opened g1", "opened g2", "updated g1"]
    await listed.poll([cinx("g1", 4), cinx("g2"), cinx("g1", 5)])
    assert quantities(await listed.open_lines()) == {"g1": "5", "g2": "1"}


# --- details ----------------------------------------------------------------------------------


async def test_a_detail_says_that_it_is_over_though_the_list_shows_it(listed: Bench) -> None:
    await listed.poll([cinx("g1")], details={"g1": detail("g1")})
    over = {"g1": detail("g1", cleared="2026-01-05")}
    tally = await listed.poll([cinx("g1", 2)], details=over)
    assert (tally.cleared, tally.updated) == (1, 0)
    end = (await listed.events())[-1]
    assert (end.type, end.data.dates.cleared) == ("backorder.cleared", "2026-01-05")
    assert end.data.extra["item_type"] == "MATERIAL"

    for _ in range(2):  # the row that ended is not opened again
        async with listed.survey() as survey:
            assert not (await survey.see(page([cinx("g1", 2)]))).fresh
        listed.restart()
    await listed.poll([cinx("g1", 3)], details=over)  # nor is another one
    await listed.poll([cinx("g1", 4)], details={"g1": None})  # nor one of which nothing is known
    assert await listed.facts() == ["opened g1", "cleared g1"]
    await listed.poll([cinx("g1", 5)], details={"g1": detail("g1")})
    assert await listed.facts() == ["opened g1", "cleared g1", "opened g1"]


async def test_what_was_over_before_it_was_ever_told_is_no_event(listed: Bench) -> None:
    over = {"g1": detail("g1", cleared="2026-01-05")}
    tally = await listed.poll([cinx("g1")], details=over)
    assert (tally.opened, tally.cleared, listed.commits) == (0, 0, 0)
    async with listed.survey() as survey:
        assert not (await survey.see(page([cinx("g1")]))).fresh  # looked at, and remembered
    await listed.poll([cinx("g1", 2)], details={"g1": detail("g1")})
    assert await listed.facts() == ["opened g1"]
    assert (await listed.journal.watched(CINX.source)).lines["g1"].revision == 0


async def test_a_line_without_its_detail_is_told_and_looked_at_again(listed: Bench) -> None:
    await listed.poll([cinx("g1"), cinx("g2")], details={"g1": None, "g2": detail("g2")})
    async with listed.survey() as survey:
        reading = await survey.see(page([cinx("g1"), cinx("g2")]))
    assert [row.key for row in reading.fresh] == ["g1"]
    commits = listed.commits
    await listed.poll([cinx("g1"), cinx("g2")], details={"g1": None})
    assert listed.commits == commits  # still not known, and nothing new
    await listed.poll([cinx("g1"), cinx("g2")], details={"g1": detail("g1", price_uom="E")})
    [*_, update] = await listed.events()
    assert update.data.changes == (
        Change(field="extra.item_type", after="MATERIAL"),
        Change(field="extra.price_uom", after="E"),
    )


@pytest.mark.parametrize("privacy", [PrivacySettings(), HASHED, PrivacySettings(parties="none")])
async def test_what_details_said_is_carried_over_where_one_is_lacking(
    journal: Journal, privacy: PrivacySettings
) -> None:
    bench = Bench(journal, CINX, privacy)
    said = detail("g1", unit_price=2.5, customer={"name": "Ada Archer", "number": "C101"})
    await bench.poll([cinx("g1")], details={"g1": said})
    await bench.poll([cinx("g1", 2)], details={"g1": None})
    first, update = await bench.events()
    assert update.data.changes == (Change(field="quantity.backordered", before="1", after="2"),)
    assert (update.data.line, update.data.parties) == (first.data.line, first.data.parties)
    assert first.data.line.unit_price == "2.5"
    assert (await bench.poll([cinx("g1", 2)], details={"g1": said})).updated == 0


async def test_the_end_tells_since_when(listed: Bench) -> None:
    await listed.poll([cinx("g1"), cinx("g2"), cinx("g3")])
    ended = {"g1": detail("g1", cleared="2026-01-05"), "g2": None}
    tally = await listed.poll([cinx("g3")], ended=ended)
    assert tally.cleared == 2
    dates = {event.subject: event.data.dates for event in (await listed.events())[3:]}
    assert (dates["g1"].cleared, dates["g2"].cleared) == ("2026-01-05", None)


# --- privacy ----------------------------------------------------------------------------------


async def test_what_is_kept_of_people_follows_the_settings_as_they_are_now(
    journal: Journal,
) -> None:
    bench = Bench(journal, CINX)
    said = {key: detail(key, customer={"name": "Ada Archer"}) for key in ("g1", "g2")}
    await bench.poll([cinx("g1"), cinx("g2")], details=said)
    bench.privacy = PrivacySettings(parties="none")
    bench.restart()
    await bench.poll([cinx("g2", 2)], details={"g2": None})
    opened, _, updated, cleared = await bench.events()
    assert opened.data.parties != Parties()
    assert (updated.type, updated.data.parties) == ("backorder.updated", Parties())
    assert (cleared.type, cleared.data.parties) == ("backorder.cleared", Parties())


async def test_what_was_hashed_is_not_hashed_again(journal: Journal) -> None:
    bench = Bench(journal, CINX, HASHED)
    await bench.poll(
        [cinx("g1"), cinx("g2")],
        details={key: detail(key, customer={"name": "Ada Archer"}) for key in ("g1", "g2")},
    )
    await bench.poll([cinx("g2")])
    first, _, end = await bench.events()
    assert (end.type, end.data.parties) == ("backorder.cleared", first.data.parties)


# --- pages ------------------------------------------------------------------------------------


async def test_a_page_is_recognised_as_long_as_all_of_it_is_known(bench: Bench) -> None:
    async with bench.survey() as survey:
        reading = await survey.see(page(many(3)))
        assert survey.see_again(reading.digest) is None  # not told yet
        await survey.tell(reading.fresh)
        await survey.finish({})
    async with bench.survey() as survey:
        again = survey.see_again(reading.digest)
        assert again is not None
        assert (again.keys, again.fresh) == (reading.keys, ())
        assert survey.see_again(b"another") is None
        tally = await survey.finish({})
    assert (tally.seen, tally.incomplete) == (3, None)
    bench.scope = replace(MVET, view="v2")
    async with bench.survey() as survey:
        assert survey.see_again(reading.digest) is None


async def test_a_cache_is_no_second_witness(bench: Bench) -> None:
    await bench.poll(many(30))
    async with bench.survey() as survey:
        reading = await survey.see(page(many(2)))
        assert (await survey.finish({})).held == 28
    async with bench.survey() as survey:
        assert survey.see_again(reading.digest) is None


async def test_a_page_with_a_broken_row_is_read_every_time(bench: Bench) -> None:
    rows = [mvet(1), mvet(2, "")]
    for _ in range(2):
        assert (await bench.poll(rows)).incomplete
    assert bench.counted('backorder_poll_broken_total{source="mvet"} 2.0')
    [kept] = await bench.journal.quarantined()
    assert (kept.times, kept.body) == (2, page(rows).content)


async def test_a_change_is_seen_through_pages_that_are_known(listed: Bench) -> None:
    await listed.poll([cinx("g1"), cinx("g2")])
    await listed.poll([cinx("g1"), cinx("g2")], [cinx("g2", 2)])
    await listed.poll([cinx("g1"), cinx("g2")])
    assert quantities(await listed.open_lines()) == {"g1": "1", "g2": "1"}


async def test_large_pages_are_read_on_a_thread_and_the_loop_gets_its_turn(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = []

    def rows(content: bytes, account: str) -> Any:
        threads.append(threading.current_thread() is threading.main_thread())
        return polled.POLLED["mvet"].rows(content, account)

    monkeypatch.setattr(telling, "POLLED", {"mvet": replace(polled.POLLED["mvet"], rows=rows)})
    turns = 0
    at_commit = []

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def committing() -> None:
        at_commit.append(turns)

    other = asyncio.create_task(take_turns())
    async with bench.survey() as survey:
        await survey.see(page([mvet(1, note="x" * 300_000)]))
        reading = await survey.see(page(many(450)))
        before = turns
        bench.before_commit = committing
        await survey.tell(reading.fresh)
    other.cancel()
    assert threads == [False, True]
    assert at_commit[0] >= before + 4


# --- views and names --------------------------------------------------------------------------


async def test_another_view_clears_only_what_it_has_seen_itself(bench: Bench) -> None:
    await bench.poll(many(4))
    bench.scope = replace(MVET, view="filtered")
    tally = await bench.poll(many(3))
    assert (tally.cleared, tally.held) == (0, 0)
    bench.restart()  # the views are kept, too
    assert (await bench.poll(many(2))).cleared == 1
    assert set(await bench.open_lines()) == {"0/a", "1/a", "3/a"}
    assert len(await bench.facts()) == 5


async def test_a_source_with_another_name_goes_on_where_the_first_one_ended(bench: Bench) -> None:
    await bench.poll(many(3))
    bench.scope = replace(MVET, origin="renamed")
    bench.restart()
    with capture_logs() as log:
        await bench.surveyor.tell_unwatched(["renamed"], polled=[MVET.source])
        await bench.surveyor.watching("renamed", [MVET.source])
        await bench.poll(many(3))
    assert (len(await bench.facts()), log) == (3, [])


async def test_lines_that_nobody_polls_are_told_once_and_counted(bench: Bench) -> None:
    await bench.poll(many(3))
    bench.scope = replace(MVET, source="/mvet/0000001")
    await bench.poll([mvet(accountNumber="0000001")])
    bench.restart()
    with capture_logs() as log:
        await bench.surveyor.watching("mvet", ["/mvet/0000001"])
        await bench.surveyor.watching("mvet", ["/mvet/0000001"])
        assert bench.counted('backorder_unwatched_lines{source="mvet"} 3.0')
        await bench.surveyor.watching("mvet", ["/mvet/0000002"])
    assert [(line["event"], line["scope"], line["open"]) for line in log] == [
        ("lines.unwatched", "/mvet/0002789", 3),
        ("lines.unwatched", "/mvet/0000001", 1),
    ]
    assert bench.counted('backorder_unwatched_lines{source="mvet"} 4.0')
    await bench.surveyor.watching("mvet", ["/mvet/0002789", "/mvet/0000001"])
    assert bench.counted('backorder_unwatched_lines{source="mvet"} 0.0')
    assert len(await bench.facts()) == 4


async def test_lines_of_a_source_that_is_gone_are_told_at_the_start(bench: Bench) -> None:
    await bench.poll(many(3))
    bench.restart()
    with capture_logs() as log:
        await bench.surveyor.tell_unwatched(["cinx"])
    assert [(line["event"], line["source"], line["open"]) for line in log] == [
        ("lines.unwatched", "mvet", 3)
    ]
    with capture_logs() as log:
        await bench.surveyor.tell_unwatched(["mvet"])
    assert log == []


# --- crashes ----------------------------------------------------------------------------------

WORLDS: Sequence[list[Row]] = (
    [mvet(order, quantity=order + 1) for order in range(6)] + [mvet(0, quantity=9)],
    [mvet(order, quantity=order + 2) for order in range(1, 8)] + [mvet(1, quantity=2)],
    [],
    [],
    [mvet(order) for order in range(3, 6)],
)


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("restarted", [False, True])
async def test_a_commit_that_fails_neither_repeats_nor_loses_anything(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, *, kept: bool, restarted: bool
) -> None:
    """Each commit fails once, before it is kept or after that; the poll is then repeated."""
    monkeypatch.setattr("consumer.surveyor.keeping.EVENTS", 3)
    monkeypatch.setattr("consumer.surveyor.ending.EVENTS", 3)
    undisturbed = Bench(MemoryJournal())
    for world in WORLDS:
        await undisturbed.poll(world)
    failing: set[int] = set()

    async def fail() -> None:
        if bench.commits not in failing and bench.commits - 1 not in failing:
            failing.add(bench.commits)
            raise JournalUnavailable("disk full")

    bench.before_commit, bench.after_commit = (_none, fail) if kept else (fail, _none)
    for world in WORLDS:
        while True:
            with suppress(JournalUnavailable):
                await bench.poll(world)
                break
            if restarted:
                bench.restart()
    assert sorted(await bench.facts()) == sorted(await undisturbed.facts())
    assert await bench.open_lines() == await undisturbed.open_lines()
    assert len(failing) > 5


async def _none() -> None:
    """Nothing fails here."""


async def test_after_a_commit_that_failed_nothing_more_is_committed(bench: Bench) -> None:
    async def fail() -> None:
        raise JournalUnavailable("disk full")

    async with bench.survey() as survey:
        reading = await survey.see(page(many(2)))
        bench.after_commit = fail
        with pytest.raises(JournalUnavailable):
            await survey.tell(reading.fresh[:1])
        bench.after_commit = _none
        with pytest.raises(JournalUnavailable):
            await survey.tell(reading.fresh)
    assert bench.counted('backorder_polls_total{outcome="failed",source="mvet"} 1.0')
    await bench.poll(many(2))
    assert await bench.facts() == ["opened 0/a", "opened 1/a"]


async def test_a_cancelled_poll_takes_no_commit_with_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, watched = asyncio.Event(), bench.journal.watched
    order: list[str] = []

    async def wait() -> None:
        await gate.wait()

    async def through() -> None:
        order.append("a commit is through")

    async def noted(source: str) -> Watched:
        order.append("what is known is read")
        return await watched(source)

    bench.before_commit, bench.after_commit = wait, through
    first = asyncio.create_task(bench.poll(many(2)))
    await until(lambda: bench.commits == 1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    bench.before_commit = _none
    monkeypatch.setattr(bench.journal, "watched", noted)
    gate.set()  # the commit goes on when this poll waits for the first time, and not before
    await bench.poll([mvet(0, quantity=5)], broken="cut short")
    assert order[:2] == ["a commit is through", "what is known is read"]
    assert await bench.facts() == ["opened 0/a", "opened 1/a", "updated 0/a"]


async def test_what_the_journal_set_aside_was_not_told(journal: Journal) -> None:
    class Stumbling(Bench):
        """Where the journal stumbles over an entry, intake sets that aside in its place."""

        async def _commit(self, entries: Sequence[Entry]) -> Sequence[Outcome]:
            return [Outcome(quarantined=1) for _ in entries]

    bench = Stumbling(journal)
    with pytest.raises(JournalUnavailable, match="did not keep"):
        await bench.poll(many(2))
    working = Bench(journal)
    assert (await working.poll(many(2))).opened == 2


async def test_a_journal_that_cannot_be_read_fails_the_poll() -> None:
    journal = MemoryJournal()
    bench = Bench(journal)
    journal.failure = "disk full"
    with pytest.raises(JournalUnavailable):
        await bench.poll(many(2))
    assert bench.counted('backorder_polls_total{outcome="failed",source="mvet"} 1.0')
    journal.failure = None
    assert (await bench.poll(many(2))).opened == 2


# --- one at a time, and what is counted -------------------------------------------------------


async def test_a_scope_is_looked_at_by_one_survey_at_a_time(bench: Bench) -> None:
    async with bench.survey() as survey:
        second = asyncio.create_task(bench.poll([mvet(1, quantity=2)]))
        other = Bench(bench.journal, replace(MVET, source="/mvet/0000001"))
        other.surveyor = bench.surveyor
        await other.poll([mvet(accountNumber="0000001")])  # another scope does not wait
        reading = await survey.see(page([mvet(1)]))
        await survey.tell(reading.fresh)
        assert not second.done()
    assert (await second).updated == 1


async def test_gauges_add_up_the_scopes_of_a_source(bench: Bench) -> None:
    scopes = [MVET, replace(MVET, source="/mvet/0000001")]
    for scope in scopes:
        bench.scope = scope
        await bench.poll([mvet(n, accountNumber=scope.source[6:]) for n in range(2)])
    assert bench.counted('backorder_watched_lines{source="mvet"} 4.0')
    assert bench.counted('backorder_polls_total{outcome="complete",source="mvet"} 2.0')
    await bench.poll([])
    assert bench.counted('backorder_held_lines{source="mvet"} 2.0')
    await bench.surveyor.watching("mvet", [MVET.source, scopes[1].source])
    await bench.surveyor.watching("mvet", [MVET.source])
    assert bench.counted('backorder_watched_lines{source="mvet"} 2.0')
    assert bench.counted('backorder_held_lines{source="mvet"} 0.0')


async def test_many_lines_are_told_in_several_commits(bench: Bench) -> None:
    sizes: list[int] = []

    class Measuring(Bench):
        async def _commit(self, entries: Sequence[Entry]) -> Sequence[Outcome]:
            sizes.extend(len(entry.events) for entry in entries)
            return await super()._commit(entries)

    measuring = Measuring(bench.journal)
    await measuring.poll([*many(1201), mvet(9999, note="x" * (5 << 20)), mvet(99999)])
    assert sizes == [500, 500, 202, 1]
    assert len(await bench.open_lines()) == 1203


async def test_the_first_subscription_that_ends_is_counted_and_warned_of_once(bench: Bench) -> None:
    surveyor = bench.surveyor
    with capture_logs() as log:
        ends = {"WTS": date(2030, 1, 2), "HPH": date(2026, 1, 2), "ABC": None}
        for _ in range(2):
            surveyor.subscribed("cinx", ends, warn=["HPH", "ABC"])
    assert [(line["organisation"], line["date"]) for line in log] == [
        ("HPH", "2026-01-02"),
        ("ABC", "not known"),
    ]
    assert bench.metrics.registry.get_sample_value(*FIRST_END) == moment(2026)


FIRST_END = "backorder_subscription_end_timestamp_seconds", {"source": "cinx"}


def moment(year: int) -> float:
    return datetime(year, 1, 2, tzinfo=UTC).timestamp()


async def test_a_subscription_that_is_gone_is_counted_no_more(bench: Bench) -> None:
    surveyor, value = bench.surveyor, bench.metrics.registry.get_sample_value
    surveyor.subscribed("cinx", {"WTS": date(2030, 1, 2), "HPH": date(2026, 1, 2)}, warn=())
    surveyor.subscribed("cinx", {"WTS": date(2030, 1, 2)}, warn=())
    assert value(*FIRST_END) == moment(2030)
    for ends in ({"WTS": None}, {}):
        surveyor.subscribed("cinx", ends, warn=())
        assert value(*FIRST_END) is None


async def test_recording_surveys_are_surveys_that_remember() -> None:
    surveys = RecordingSurveys()
    await surveys.watching("mvet", [MVET.source])
    surveys.subscribed("cinx", {"WTS": None}, warn=())
    async with surveys.survey(MVET) as survey:
        reading = await survey.see(page(many(2)))
        await survey.tell(reading.fresh)
        assert survey.see_again(reading.digest) is not None
        await survey.lacking("no detail")
        await survey.broken("cut short")
        assert not survey.missing()
        await survey.finish({})
    assert [event.subject for event in await surveys.events()] == ["0/a", "1/a"]
    assert (surveys.lacking, surveys.broken) == (["no detail"], ["cut short"])
    assert [tally.incomplete for tally in surveys.tallies] == ["cut short"]
    assert surveys.pages == [page(many(2))]
    assert surveys.watched == {"mvet": {MVET.source}}
    assert surveys.subscriptions == [("cinx", "WTS", None, False)]
