"""What is tried again becomes what it should have been, once; orders reach the sinks."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from consumer.errors import Refused
from consumer.journal.sqlite import SqliteJournal
from consumer.model import Message
from consumer.repair import Range, RepairableJournal
from consumer.settings import IntakeSettings, PrivacySettings
from consumer.telemetry import Log
from consumer.testing.builders import MOMENT, entry, event, message, refusal
from consumer.testing.journal import MemoryJournal
from consumer.understanding import entry_of
from consumer.validation import Schemas
from consumer.values import Secret
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
) -> Workshop:
    told = told or Told()
    return Workshop(
        journal,
        schemas,
        privacy=privacy,
        intake=IntakeSettings(),
        ordered=told.ordered,
        committed=told.committed,
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
        with pytest.raises(Refused, match="is in quarantine"):
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
    assert told.sinks == ["out"] * 6


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
