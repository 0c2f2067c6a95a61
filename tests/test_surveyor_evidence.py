"""What was seen counts, whatever became of the survey that saw it; and what nobody saw twice."""

import asyncio
from contextlib import suppress

import pytest
from msgspec.structs import replace

from consumer.errors import JournalUnavailable
from consumer.testing.journal import MemoryJournal
from surveying import CINX, MVET, Bench, Row, cinx, detail, mvet, page, quantities
from waiting import until

OVER = {"g1": detail("g1", cleared="2026-01-05")}


def many(count: int) -> list[Row]:
    return [mvet(order) for order in range(count)]


def listed(count: int) -> list[Row]:
    return [cinx(f"h{number}") for number in range(count)]


async def fail() -> None:
    raise JournalUnavailable("disk full")


async def go_through() -> None:
    """Commits go through."""


@pytest.fixture
def bench() -> Bench:
    return Bench(MemoryJournal())


@pytest.fixture
def details() -> Bench:
    return Bench(MemoryJournal(), CINX)


# --- held, and seen again ---------------------------------------------------------------------


async def test_a_commit_that_fails_takes_back_nothing_that_was_seen(bench: Bench) -> None:
    await bench.poll(many(5))
    assert (await bench.poll([])).held == 5
    bench.before_commit = fail
    with suppress(JournalUnavailable):
        await bench.poll([*many(5), mvet(9)])
    bench.before_commit = go_through
    tally = await bench.poll([])  # the first answer that lies since they were seen
    assert (tally.held, tally.cleared) == (5, 0)
    assert (await bench.poll([])).cleared == 5


@pytest.mark.parametrize("restart", [False, True])
async def test_a_survey_that_breaks_off_takes_back_nothing_that_was_seen(
    bench: Bench, *, restart: bool
) -> None:
    await bench.poll(many(60))
    assert (await bench.poll(many(1))).held == 59
    async with bench.survey() as survey:
        await survey.see(page(many(40)))  # and nothing comes of it
    assert bench.counted('backorder_held_lines{source="mvet"} 20.0')
    if restart:
        bench.restart()
    tally = await bench.poll(many(1))
    assert (tally.held, tally.cleared) == (39, 20)  # those 20 were missing twice


@pytest.mark.parametrize("restart", [False, True])
async def test_a_survey_that_is_cancelled_takes_back_nothing_that_was_seen(
    bench: Bench, *, restart: bool
) -> None:
    await bench.poll(many(5))
    await bench.poll([])
    commits, seen, gate = bench.commits, asyncio.Event(), asyncio.Event()

    async def look() -> None:
        async with bench.survey() as survey:
            await survey.see(page(many(5)))
            seen.set()
            await gate.wait()

    survey = asyncio.create_task(look())
    await seen.wait()
    survey.cancel()
    with pytest.raises(asyncio.CancelledError):
        await survey
    await until(lambda: bench.commits == commits + 1)
    if restart:
        bench.restart()
    assert (await bench.poll([])).held == 5


async def test_who_is_cancelled_does_not_wait_for_the_journal(bench: Bench) -> None:
    await bench.poll(many(5))
    await bench.poll([])
    gate, seen = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    async def look() -> None:
        async with bench.survey() as survey:
            await survey.see(page(many(5)))
            seen.set()
            await asyncio.Event().wait()

    bench.before_commit = wait
    survey = asyncio.create_task(look())
    await seen.wait()
    survey.cancel()
    done, _ = await asyncio.wait([survey], timeout=5)
    assert done == {survey}
    gate.set()
    assert (await bench.poll([])).held == 5


async def test_what_is_unconfirmed_is_no_reason_to_doubt_a_cache(details: Bench) -> None:
    await details.poll(listed(30))
    async with details.survey() as survey:
        reading = await survey.see(page(listed(2)))
        await survey.finish({})
    for _ in range(2):
        async with details.survey() as survey:
            await survey.see(page(listed(2)))
            missing = survey.missing()
            tally = await survey.finish({})
        assert (len(missing), tally.unconfirmed, tally.held) == (28, 28, 0)
    assert details.counted('backorder_held_lines{source="cinx"} 0.0')
    async with details.survey() as survey:
        assert survey.see_again(reading.digest) is not None


async def test_a_line_that_comes_and_goes_at_once_hides_no_empty_answer(details: Bench) -> None:
    await details.poll(listed(10))
    over = detail("g1", cleared="2026-01-05")
    async with details.survey() as survey:
        await survey.tell((await survey.see(page([cinx("g1")]))).fresh)
        await survey.tell((await survey.see(page([cinx("g1", 2)]))).fresh, {"g1": over})
        assert not survey.missing()
        assert (await survey.finish({})).held == 10


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("failing", [1, 2, 3])
async def test_after_a_commit_that_fails_the_world_may_be_another(
    bench: Bench, *, failing: int, kept: bool
) -> None:
    worlds = {order: [mvet(order, quantity=n) for n in (1, 2, 3)] for order in range(6)}
    await bench.poll([worlds[order][0] for order in range(5)])
    commits = bench.commits

    async def fail_once() -> None:
        if bench.commits == commits + failing:
            raise JournalUnavailable("disk full")

    bench.before_commit, bench.after_commit = (
        (go_through, fail_once) if kept else (fail_once, go_through)
    )
    for quantity, orders in ((1, (1, 2, 3, 5)), (2, (0, 1, 2)), (1, (0, 3, 5)), (1, (0, 3, 5))):
        with suppress(JournalUnavailable):
            await bench.poll([worlds[order][quantity] for order in orders])
    assert quantities(await bench.open_lines()) == {"0/a": "2", "3/a": "2", "5/a": "2"}
    assert bench.commits > commits + failing


# --- over, and not opened again ---------------------------------------------------------------


async def test_what_is_over_again_is_kept(details: Bench) -> None:
    both = [cinx("g1", 2), cinx("g2")]
    await details.poll([cinx("g1"), cinx("g2")])
    await details.poll(both, details=OVER)
    await details.poll([cinx("g2")])  # not listed: the same row would open it again
    await details.poll(both, details=OVER)
    details.restart()
    await details.poll(both, details={"g1": None})
    assert await details.facts() == ["opened g1", "opened g2", "cleared g1"]


async def test_an_answer_that_is_not_believed_ends_no_end(details: Bench) -> None:
    rows = [cinx("g1"), *listed(30)]
    await details.poll(rows)
    rows[0] = cinx("g1", 2)
    await details.poll(rows, details=OVER)
    assert (await details.poll([])).held == 30
    await details.poll(rows, details={"g1": None})
    assert [fact for fact in await details.facts() if "g1" in fact] == ["opened g1", "cleared g1"]


async def test_what_was_never_told_is_forgotten_with_its_row(details: Bench) -> None:
    await details.poll([cinx("g2")])
    commits = details.commits
    await details.poll([cinx("g1"), cinx("g2")], details=OVER)
    await details.poll([cinx("g2")])
    assert details.commits == commits
    async with details.survey() as survey:
        assert [row.key for row in (await survey.see(page([cinx("g1")]))).fresh] == ["g1"]


# --- several rows of one line -----------------------------------------------------------------


async def test_of_several_rows_with_one_id_the_last_one_counts(details: Bench) -> None:
    for _ in range(3):
        await details.poll([cinx("g1", 1), cinx("g1", 5)])
    [only] = await details.events()
    assert only.data.quantity.backordered == "5"
    assert details.commits == 1
    async with details.survey() as survey:
        reading = await survey.see(page([cinx("g1", 1), cinx("g1", 5)]))
        assert (list(reading.keys), list(reading.fresh)) == (["g1", "g1"], [])


async def test_the_last_row_counts_though_it_is_known_and_another_is_not(details: Bench) -> None:
    await details.poll([cinx("g1", 5)])
    async with details.survey() as survey:
        first = await survey.see(page([cinx("g1", 1)]))
        assert not (await survey.see(page([cinx("g1", 5), cinx("g2")]))).fresh[1:]
        await survey.tell(first.fresh)
        await survey.finish({})
    assert await details.facts() == ["opened g1"]


async def test_two_ship_tos_of_one_item_are_two_lines(bench: Bench) -> None:
    first, second = (
        [mvet(1, quantity=n, accountNumber=f"0002789-{to}") for n in (5, 2)] for to in (1, 2)
    )
    await bench.poll([first[0], second[0], mvet(2)])
    await bench.poll([second[1], mvet(2)])
    assert (await bench.facts())[3:] == ["updated 1/a@0002789-2", "cleared 1/a@0002789-1"]


# --- what the journal forgets, and whose lines these are --------------------------------------


async def test_lines_move_to_the_new_name_of_their_source(bench: Bench) -> None:
    await bench.poll(many(3))
    bench.scope = replace(MVET, origin="renamed")
    bench.restart()
    commits = bench.commits
    for _ in range(2):
        await bench.poll(many(3))
    assert bench.commits == commits + 1
    assert len(await bench.journal.backorders(source="renamed")) == 3
    assert [scope.origin for scope in await bench.journal.scopes()] == ["renamed"]


async def test_a_scope_that_is_dropped_for_a_while_waits_for_its_commits(bench: Bench) -> None:
    gate = asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    await bench.surveyor.watching("mvet", [MVET.source])
    bench.before_commit = wait
    first = asyncio.create_task(bench.poll([mvet(1, quantity=1)]))
    await until(lambda: bench.commits == 1)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    bench.before_commit = go_through
    for sources in ([], [MVET.source]):
        await bench.surveyor.watching("mvet", sources)
    second = asyncio.create_task(bench.poll([mvet(1, quantity=2)]))
    await asyncio.sleep(0.01)
    gate.set()
    await second
    assert await bench.facts() == ["opened 1/a", "updated 1/a"]
