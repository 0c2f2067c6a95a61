"""What is tried again becomes what it should have been, once; orders reach the sinks."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec.structs import replace
from structlog.testing import capture_logs

from consumer.errors import JournalUnavailable, Refused
from consumer.journal.sqlite import SqliteJournal
from consumer.model import Entry, Message, Outcome
from consumer.repair import Range, RepairableJournal
from consumer.settings import IntakeSettings, PrivacySettings
from consumer.telemetry import Log, Metrics
from consumer.testing.builders import MOMENT, entry, event, message, refusal
from consumer.testing.journal import MemoryJournal
from consumer.understanding import entry_of, refused_whole
from consumer.validation import Schemas
from consumer.values import Secret, Size
from consumer.workshop import Workshop
from radial_messages import DOCUMENTED, OF_2016, TEST, changed, listed

FULL = PrivacySettings()
STRICTLY_WRONG = changed(DOCUMENTED, "<Pricing>", "<Novelty/><Pricing>")


@pytest.fixture(scope="module")
def schemas() -> Schemas:
    return Schemas.load()


@pytest.fixture(scope="module")
def strict() -> Schemas:
    return Schemas.load(strict=True)


@pytest_asyncio.fixture(params=["memory", "sqlite"])
async def journal(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[RepairableJournal]:
    made: dict[str, Callable[[], MemoryJournal | SqliteJournal]] = {
        "memory": MemoryJournal,
        "sqlite": lambda: SqliteJournal(tmp_path / "journal.db"),
    }
    async with made[request.param]() as opened:
        yield opened


class Told:
    """Who was told what."""

    def __init__(self) -> None:
        self.sinks: list[str] = []
        self.commits = 0

    def ordered(self, sink: str) -> None:
        self.sinks.append(sink)

    def committed(self) -> None:
        self.commits += 1


def workshop(
    journal: RepairableJournal,
    schemas: Schemas,
    told: Told | None = None,
    *,
    privacy: PrivacySettings = FULL,
    sinks: Sequence[str] | None = None,
    metrics: Metrics | None = None,
    most: int = 32 << 20,
) -> Workshop:
    told = told or Told()
    return Workshop(
        journal,
        schemas,
        privacy=privacy,
        intake=IntakeSettings(max_message=Size(most)),
        ordered=told.ordered,
        committed=told.committed,
        sinks=sinks,
        metrics=metrics,
        log=Log(),
    )


async def quarantine(journal: RepairableJournal, schemas: Schemas, *messages: Message) -> list[str]:
    """Take messages in as the daemon would; the ids of what is in quarantine then."""
    await journal.append([entry_of(each, schemas.examine(each.body), FULL) for each in messages])
    return [each.id for each in await journal.quarantined()]


async def ids_in(journal: RepairableJournal) -> list[str]:
    return [record.id for record in await journal.read(0, limit=1000)]


async def test_after_a_fix_it_is_what_it_should_have_been(
    journal: RepairableJournal, schemas: Schemas, strict: Schemas
) -> None:
    came = message(body=STRICTLY_WRONG)
    (id_,) = await quarantine(journal, strict, came)
    told = Told()
    (tried,) = await workshop(journal, schemas, told).retry_quarantined([id_])
    assert (tried.id, tried.result, tried.events, tried.duplicates) == (id_, "accepted", 1, 0)
    should_have_been = entry_of(came, schemas.examine(came.body), FULL).events
    assert await ids_in(journal) == [each.id for each in should_have_been]
    (record,) = await journal.read(0, limit=10)
    assert record.body == should_have_been[0].encode()
    assert await journal.quarantined() == []
    assert told.commits == 1


async def test_retried_by_many_at_once_it_counts_once(
    journal: RepairableJournal, schemas: Schemas, strict: Schemas
) -> None:
    (id_,) = await quarantine(journal, strict, message(body=STRICTLY_WRONG))
    shop = workshop(journal, schemas)
    tried = await asyncio.gather(*(shop.retry_quarantined([id_]) for _ in range(8)))
    assert sorted(each.result for (each,) in tried) == ["accepted"] + ["unknown"] * 7
    assert len(await ids_in(journal)) == 1


async def test_what_came_well_meanwhile_is_a_duplicate(
    journal: RepairableJournal, schemas: Schemas, strict: Schemas
) -> None:
    (id_,) = await quarantine(journal, strict, message(body=STRICTLY_WRONG))
    await quarantine(journal, schemas, message(body=STRICTLY_WRONG))
    told = Told()
    (tried,) = await workshop(journal, schemas, told).retry_quarantined([id_])
    assert (tried.result, tried.events, tried.duplicates) == ("accepted", 0, 1)
    assert told.commits == 0


async def test_what_is_still_wrong_stays_with_its_new_reasons(
    journal: RepairableJournal, schemas: Schemas, strict: Schemas
) -> None:
    broken = changed(STRICTLY_WRONG, 'quantity="1"', 'quantity="x"')
    (id_,) = await quarantine(journal, strict, message(body=broken))
    (before,) = await journal.quarantined()
    (tried,) = await workshop(journal, schemas).retry_quarantined([id_])
    assert tried.result == "refused"
    (after,) = await journal.quarantined()
    assert after.problems == tried.problems != before.problems
    assert (after.times, after.last_seen, after.body) == (1, before.last_seen, broken)
    assert await ids_in(journal) == []


async def test_a_broken_part_of_a_list_is_retried_alone(
    journal: RepairableJournal, schemas: Schemas, strict: Schemas
) -> None:
    (id_,) = await quarantine(journal, strict, message(body=listed(OF_2016, STRICTLY_WRONG)))
    before = await ids_in(journal)
    (tried,) = await workshop(journal, schemas).retry_quarantined([id_])
    assert (tried.result, tried.events) == ("accepted", 1)
    assert len(await ids_in(journal)) == len(before) + 1


async def test_of_a_list_that_was_refused_whole_only_what_is_broken_stays(
    journal: RepairableJournal, schemas: Schemas
) -> None:
    broken = changed(DOCUMENTED, 'quantity="1"', 'quantity="x"')
    came = message(body=listed(OF_2016, broken))
    whole = [refused_whole(came, "kept for the test")]
    await journal.append(whole)
    (before,) = await journal.quarantined()
    metrics, told = Metrics(), Told()
    shop = workshop(journal, schemas, told, metrics=metrics)
    with capture_logs() as lines:
        (tried,) = await shop.retry_quarantined([before.id])
    assert (tried.result, len(tried.parts)) == ("divided", 1)
    assert tried.events == len(await ids_in(journal)) > 0
    (part,) = await journal.quarantined()
    assert part.id == tried.parts[0] != before.id
    assert (part.times, part.first_seen, part.origin) == (1, before.first_seen, before.origin)
    assert [line["ids"] for line in lines if line["event"] == "message.quarantined"] == [[part.id]]
    rendered = metrics.render().decode()
    assert f'backorder_events_total{{source="radial-queue"}} {tried.events:.1f}' in rendered
    assert 'backorder_quarantined_total{source="radial-queue"} 1.0' in rendered
    (again,) = await shop.retry_quarantined([part.id])
    assert again.result == "refused"
    (still,) = await journal.quarantined()
    assert still.times == 1


async def test_an_undated_fact_has_the_moment_when_it_first_came(
    journal: RepairableJournal, schemas: Schemas, strict: Schemas
) -> None:
    undated = message(body=re.sub(rb' orderDate="[^"]*"', b"", STRICTLY_WRONG))
    (id_,) = await quarantine(journal, strict, undated)
    (payload,) = await journal.quarantined()
    await workshop(journal, schemas).retry_quarantined([id_])
    (record,) = await journal.read(0, limit=10)
    expected = replace(undated, received=payload.first_seen)
    (should_be,) = entry_of(expected, schemas.examine(undated.body), FULL).events
    assert record.body == should_be.encode()


async def test_a_retry_forgets_nothing_of_where_it_came_from(
    journal: RepairableJournal, schemas: Schemas
) -> None:
    broken = changed(DOCUMENTED, 'quantity="1"', 'quantity="x"')
    came = message(body=listed(OF_2016, broken), attributes={"redelivered": "true"})
    await journal.append([refused_whole(came, "kept for the test")])
    (payload,) = await journal.quarantined()
    await workshop(journal, schemas).retry_quarantined([payload.id])
    (part,) = await journal.quarantined()
    assert (part.source, part.origin) == ("radial-queue", came.origin)
    assert part.attributes == {"redelivered": "true"}


async def test_another_type_is_kept_until_somebody_discards_it(
    journal: RepairableJournal, schemas: Schemas
) -> None:
    other = b'<OrderShipped xmlns="http://api.gsicommerce.com/schema/checkout/1.0"/>'
    (id_,) = await quarantine(journal, schemas, message(body=other))
    (tried,) = await workshop(journal, schemas).retry_quarantined([id_])
    assert tried.result == "refused"
    assert len(await journal.quarantined()) == 1


async def test_what_is_too_large_is_too_large_again(
    journal: RepairableJournal, schemas: Schemas, strict: Schemas
) -> None:
    (id_,) = await quarantine(journal, strict, message(body=STRICTLY_WRONG))
    (tried,) = await workshop(journal, schemas, most=100).retry_quarantined([id_])
    assert tried.result == "refused"
    assert "larger than 100 bytes" in str(tried.problems[0])


async def test_what_was_done_before_a_failure_is_told(schemas: Schemas, strict: Schemas) -> None:
    journal = FailingAfterOne()
    other = changed(STRICTLY_WRONG, "001198000610", "001198000611")
    ids = await quarantine(journal, strict, message(body=STRICTLY_WRONG), message(body=other))
    told = Told()
    with capture_logs() as lines, pytest.raises(JournalUnavailable):
        await workshop(journal, schemas, told).retry_quarantined(ids)
    assert told.commits == 1
    assert [line["id"] for line in lines if line["event"] == "quarantine.retried"] == ids[:1]


class FailingAfterOne(MemoryJournal):
    """A journal whose disk is full after one readmission."""

    async def readmit(self, entries: Mapping[str, Entry]) -> Mapping[str, Outcome]:
        outcomes = await super().readmit(entries)
        self.failure = "disk full"
        return outcomes


class Stumbling(MemoryJournal):
    """A journal that stumbles over every event."""

    async def readmit(self, entries: Mapping[str, Entry]) -> Mapping[str, Outcome]:
        if any(each.events for each in entries.values()):
            raise ZeroDivisionError
        return await super().readmit(entries)


async def test_what_the_journal_stumbles_over_stays_where_it_is(
    schemas: Schemas, strict: Schemas
) -> None:
    journal = Stumbling()
    (id_,) = await quarantine(journal, strict, message(body=STRICTLY_WRONG))
    (tried,) = await workshop(journal, schemas).retry_quarantined([id_])
    assert tried.result == "refused"
    assert "this program failed on it (ZeroDivisionError)" in str(tried.problems[0])
    assert len(await journal.quarantined()) == 1


async def test_privacy_is_that_of_now(
    journal: RepairableJournal, schemas: Schemas, strict: Schemas
) -> None:
    (id_,) = await quarantine(journal, strict, message(body=STRICTLY_WRONG))
    hashed = PrivacySettings(parties="hashed", key=Secret("k" * 16))
    await workshop(journal, schemas, privacy=hashed).retry_quarantined([id_])
    (record,) = await journal.read(0, limit=10)
    assert b"First Name" not in record.body
    assert b"First Name" in STRICTLY_WRONG


async def test_what_was_kept_on_purpose_stays(journal: RepairableJournal, schemas: Schemas) -> None:
    (id_,) = await quarantine(journal, schemas, message(body=TEST, on_test="quarantine"))
    (tried,) = await workshop(journal, schemas).retry_quarantined([id_])
    assert tried.result == "refused"
    assert len(await journal.quarantined()) == 1


async def test_what_a_poll_saw_once_is_not_told_late(
    journal: RepairableJournal, schemas: Schemas
) -> None:
    came = message(system="mvet", source="mvet", body=b"[{}]")
    await journal.append([entry(message=came, refusals=[refusal(b"[{}]")])])
    (payload,) = await journal.quarantined()
    results = await workshop(journal, schemas).retry_quarantined([payload.id, "no such id"])
    assert [each.result for each in results] == ["polled", "unknown"]
    assert len(await journal.quarantined()) == 1


async def test_all_or_nothing_is_thrown_away(journal: RepairableJournal, schemas: Schemas) -> None:
    ids = await quarantine(journal, schemas, message(body=b"<a"), message(body=b"<b"))
    shop = workshop(journal, schemas)
    for unknown in ("0" * 16, ids[0][:5], ""):
        with pytest.raises(Refused, match="not in quarantine: "):
            await shop.discard_quarantined([ids[0], unknown])
    assert len(await journal.quarantined()) == 2
    assert await shop.discard_quarantined(ids) == 2
    assert await journal.quarantined() == []


async def test_orders_are_written_down_before_the_pump_is_told(
    journal: RepairableJournal, schemas: Schemas
) -> None:
    await journal.append([entry(*(event(n) for n in range(1, 6)))])
    await journal.enroll({"out": True})
    await journal.advance("out", 5, {2: "no", 4: "never"})
    told = Told()
    shop = workshop(journal, schemas, told)
    await shop.pause("out")
    assert (await journal.orders("out")).paused is not None
    await shop.resume("out")
    assert (await journal.orders("out")).paused is None
    replay = await shop.replay("out", Range(start=2, end=4))
    assert (replay.start, replay.end, replay.done) == (2, 4, 1)
    assert (await journal.orders("out")).replay == replay
    assert await shop.end_replay("out") == replay
    assert await shop.end_replay("out") is None
    assert await shop.retry_parked("out", [4]) == 1
    assert (await journal.orders("out")).retrying == 1
    assert await shop.discard_parked("out", None) == 2
    assert await shop.retry_parked("out", None) == 0  # nothing changed: nobody is told
    assert told.sinks == ["out"] * 6


async def test_nobody_would_carry_out_what_is_wanted_of_a_sink_that_is_not_configured(
    journal: RepairableJournal, schemas: Schemas
) -> None:
    await journal.append([entry(event(1))])
    await journal.enroll({"gone": True})
    await journal.advance("gone", 1, {1: "no"})
    shop = workshop(journal, schemas, sinks=["out", "archive"])
    for refused in (
        shop.pause("gone"),
        shop.resume("gone"),
        shop.replay("gone", Range(start=1)),
        shop.retry_parked("gone", None),
    ):
        with pytest.raises(Refused, match=r"no sink gone is configured.*archive, out"):
            await refused
    assert await shop.end_replay("gone") is None
    assert await shop.discard_parked("gone", [1]) == 1  # what it left behind can be cleared away


async def test_what_cannot_be_done_is_refused_and_nobody_is_told(
    journal: RepairableJournal, schemas: Schemas
) -> None:
    await journal.append([entry(event(1))])
    await journal.enroll({"out": True})
    told = Told()
    shop = workshop(journal, schemas, told)
    for refused in (
        shop.pause("other"),
        shop.resume("other"),
        shop.replay("other", Range(start=1)),
        shop.replay("out", Range(start=1)),  # it has passed nothing yet
        shop.end_replay("other"),
        shop.retry_parked("other", None),
        shop.retry_parked("out", [1]),
        shop.discard_parked("out", [1, 2, 3, 4, 5, 6]),
    ):
        with pytest.raises(Refused):
            await refused
    assert told.sinks == []


async def test_a_replay_begins_at_a_moment(journal: RepairableJournal, schemas: Schemas) -> None:
    await journal.append([entry(event(1), event(2))])
    await journal.enroll({"out": True})
    await journal.advance("out", 2, {})
    replay = await workshop(journal, schemas).replay("out", Range(since=MOMENT))
    assert (replay.start, replay.end) == (1, 2)
