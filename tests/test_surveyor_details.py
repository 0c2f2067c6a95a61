"""Details that cannot be read or are not asked for, what is kept of people, and for how long."""

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from consumer.event import Change, Event
from consumer.model import Watched, utc_now
from consumer.normalisation import polled
from consumer.privacy import protect
from consumer.settings import PrivacySettings
from consumer.surveyor import memory, telling
from consumer.testing.journal import MemoryJournal
from consumer.values import Secret
from surveying import CINX, MVET, Bench, cinx, detail, encoded, fold, mvet

FULL = PrivacySettings()
NONE = PrivacySettings(parties="none")
HASHED, OTHER_KEY = (PrivacySettings(parties="hashed", key=Secret(key * 20)) for key in "ab")


@pytest.fixture
def bench() -> Bench:
    return Bench(MemoryJournal(), CINX)


def many(*quantities: int) -> list[dict[str, Any]]:
    return [cinx(f"g{number}", each) for number, each in enumerate(quantities)]


# --- details ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dates",
    [{"informed": "N/A"}, {"cleared": "soon"}, {"cleared": "2026-02-30T10:00:00Z"}],
)
async def test_a_detail_that_cannot_be_read_is_one_that_is_lacking(
    bench: Bench, dates: dict[str, str]
) -> None:
    first = {"g0": detail("g0", unit_price=2.5)}
    await bench.poll(many(1, 1, 1, 1), details=first)
    bad = encoded({"cinx_guid": "g0", "dates": dates})
    with capture_logs() as log:
        tally = await bench.poll(many(2, 1, 1), details={"g0": bad})
    assert (tally.incomplete, tally.updated, tally.cleared) == (None, 1, 1)
    assert [line["event"] for line in log] == ["poll.broken", "poll.done"]
    [kept] = await bench.journal.quarantined()
    assert kept.body == bad
    update = (await bench.events())[4]
    assert update.data.changes == (Change(field="quantity.backordered", before="1", after="2"),)
    assert update.data.line.unit_price == "2.5"  # carried over
    # and it is asked for again
    tally = await bench.poll(many(2, 1, 1), details={"g0": detail("g0", unit_price=3)})
    assert tally.updated == 1


async def test_of_what_is_over_a_broken_detail_says_nothing(bench: Bench) -> None:
    await bench.poll(many(1, 1))
    await bench.poll(many(2, 1), details={"g0": detail("g0", cleared="2026-01-05")})
    commits = bench.commits
    await bench.poll(many(3, 1), details={"g0": detail("g0", cleared="soon")})
    assert (await bench.facts())[2:] == ["cleared g0"]
    assert bench.commits == commits + 1  # the quarantine


async def test_a_row_that_is_broken_is_refused_whatever_its_detail_says(bench: Bench) -> None:
    row = cinx("g0", date_need_by="soon")
    tally = await bench.poll([row], details={"g0": detail("g0")})
    assert tally.incomplete
    [kept] = await bench.journal.quarantined()
    assert kept.body == encoded(row)


async def test_a_timestamp_tells_that_a_line_is_over(bench: Bench) -> None:
    await bench.poll(many(1, 1))
    await bench.poll(many(2, 1), details={"g0": detail("g0", cleared="2026-01-05T10:00:00Z")})
    end = (await bench.events())[2]
    assert (end.type, end.data.dates.cleared) == ("backorder.cleared", "2026-01-05")


async def test_who_asks_for_details_no_more_loses_none(bench: Bench) -> None:
    await bench.poll(many(1), details={"g0": detail("g0", unit_price=2.5)})
    bench.restart()
    await bench.poll(many(2))
    update = (await bench.events())[1]
    assert update.data.changes == (Change(field="quantity.backordered", before="1", after="2"),)
    commits = bench.commits
    await bench.poll(many(2))
    assert bench.commits == commits  # the row is known


async def test_a_large_detail_is_read_on_a_thread(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = []

    def line(row: bytes, *, account: str, detail: bytes | None = None) -> Any:
        here.append(threading.current_thread() is threading.main_thread())
        return polled.POLLED["cinx"].line(row, account=account, detail=detail)

    reader = {"cinx": replace(polled.POLLED["cinx"], line=line)}
    monkeypatch.setattr(telling, "POLLED", reader)
    large = detail("g1", note="x" * 100_000)
    await bench.poll(many(1, 1), details={"g0": detail("g0"), "g1": large})
    assert here == [True, False]
    await bench.poll(many(1, 2), details={"g1": detail("g1", note="short")})
    assert here == [True, False, False]  # what was told before is as large


async def test_details_that_are_not_large_leave_others_their_turn(bench: Bench) -> None:
    turns = 0
    at_commit = []

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def committing() -> None:
        at_commit.append(turns)

    bench.before_commit = committing
    rows = many(*[1] * 20)
    details = {row["cinx_guid"]: detail(row["cinx_guid"], note="x" * 30_000) for row in rows}
    other = asyncio.create_task(take_turns())
    await bench.poll(rows, details=details)
    other.cancel()
    assert at_commit[0] >= 6


# --- people -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("then", "now"),
    [
        (FULL, NONE),
        (NONE, FULL),
        (FULL, HASHED),
        (HASHED, FULL),
        (HASHED, NONE),
        (NONE, HASHED),
        (HASHED, OTHER_KEY),
    ],
)
async def test_another_setting_is_no_news(then: PrivacySettings, now: PrivacySettings) -> None:
    bench = Bench(MemoryJournal(), CINX, then)
    vendor, customer = {"name": "Hilti AG"}, {"name": "Ada Archer"}
    said = {"g0": detail("g0", vendor=vendor, customer=customer)}
    rows = [[cinx("g0", vendor_name="Hilti", note=note)] for note in (None, "", "news", "more")]
    await bench.poll(rows[0], details=said)
    bench.privacy = now
    bench.restart()
    await bench.poll(rows[1], details=said)
    assert await bench.facts() == ["opened g0"]
    await bench.poll(rows[2], details=said)
    await bench.poll(rows[3], details={"g0": None})
    assert [event.data.changes for event in (await bench.events())[1:]] == [
        (Change(field="extra.note", after="news"),),
        (Change(field="extra.note", before="news", after="more"),),
    ]


@pytest.mark.parametrize("privacy", [FULL, HASHED])
async def test_people_who_change_are_told(privacy: PrivacySettings) -> None:
    bench = Bench(MemoryJournal(), CINX, privacy)
    await bench.poll([cinx("g0", vendor_name="Hilti", project_name="HQ")])
    await bench.poll([cinx("g0", vendor_name="Hilti", project_name="Mill")])
    assert (await bench.events())[1].data.changes == (Change(field="parties.project.name"),)


async def test_what_carries_over_is_compared_as_it_is_kept_now() -> None:
    bench = Bench(MemoryJournal(), CINX, FULL)
    said = {"g0": detail("g0", vendor={"name": "Hilti AG"})}
    await bench.poll([cinx("g0", vendor_name="hilti")], details=said)
    bench.privacy = HASHED
    bench.restart()
    await bench.poll([cinx("g0", 2, vendor_name="hilti")], details={"g0": None})
    first, second = await bench.events()
    assert _changed(second) == ["quantity.backordered"]
    assert second.data.parties == protect(first, HASHED).data.parties


async def test_the_history_of_a_line_is_not_repeated(bench: Bench) -> None:
    await bench.poll(many(1), details={"g0": detail("g0", updates=[{"by": "Ada"}])})
    await bench.poll(many(2), details={"g0": detail("g0", updates=[{"by": "Bo"}])})
    update = (await bench.events())[1]
    assert update.data.extra["updates"] == [{"by": "Bo"}]
    assert Change(field="extra.updates") in (update.data.changes or ())


def _changed(event: Event) -> list[str]:
    return [change.field for change in event.data.changes or ()]


# --- what the journal forgets -----------------------------------------------------------------


async def test_ended_lines_are_forgotten_with_the_journal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[int] = []

    class Counting(memory.Lines):
        def __init__(self, watched: Watched) -> None:
            read.append(len(watched.lines))
            super().__init__(watched)

    monkeypatch.setattr(memory, "Lines", Counting)
    bench = Bench(MemoryJournal(), replace(MVET, hold_share=1.0))
    for good_for in (1e9, 0.0):
        monkeypatch.setattr(memory, "_GOOD_FOR", good_for)
        for order in range(3):
            await bench.poll([mvet(order)])
            await bench.journal.prune(utc_now() + timedelta(seconds=1), [])
    assert read == [0, 1, 1, 1]


@pytest.mark.parametrize("good_for", [0.0, 1e9])
async def test_a_surveyor_that_goes_on_after_pruning_repeats_no_id(
    monkeypatch: pytest.MonkeyPatch, good_for: float
) -> None:
    monkeypatch.setattr(memory, "_GOOD_FOR", good_for)
    bench = Bench(MemoryJournal(), replace(MVET, hold_share=1.0))
    told: dict[str, Event] = {}
    for world in ([1, 2], [2], [1, 2], [], [1], [1, 2], [2]):
        await bench.poll([mvet(order) for order in world])
        told |= {event.id: event for event in await bench.events()}
        assert len(told) == (await bench.journal.positions()).head
        await bench.journal.prune(utc_now() + timedelta(seconds=1), [])
    assert set(fold([*told.values()])) == {"2/a"}
