import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from consumer import intake as intake_module
from consumer.errors import JournalUnavailable
from consumer.intake import Intake
from consumer.model import Entry, Message, Outcome
from consumer.settings import IntakeSettings, PrivacySettings
from consumer.telemetry import Log, Metrics
from consumer.testing.builders import message
from consumer.testing.journal import MemoryJournal
from consumer.validation import Schemas
from consumer.values import Size
from waiting import until

RADIAL = Path(__file__).parent / "data" / "radial"
SAMPLE = (RADIAL / "OrderBackorder-Backorder.xml").read_bytes()
TEST_MESSAGE = (
    b'<test xmlns="http://api.gsicommerce.com/schema/checkout/1.0"'
    b' timestamp="2016-07-13T13:47:54Z">hello</test>'
)
OTHER = b'<OrderShipped xmlns="http://api.gsicommerce.com/schema/checkout/1.0"/>'


@pytest.fixture(scope="module")
def schemas() -> Schemas:
    return Schemas.load(None)


class SwitchedJournal(MemoryJournal):
    """An in-memory journal whose commits can be held back or made to fail."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()
        self.open.set()
        self.failures = 0
        self.calls: list[int] = []

    async def append(self, entries: Sequence[Entry]) -> Sequence[Outcome]:
        self.calls.append(len(entries))
        await self.open.wait()
        if self.failures:
            self.failures -= 1
            raise JournalUnavailable("disk full")
        return await super().append(entries)


class Bench:
    def __init__(self, schemas: Schemas, **settings: Any) -> None:
        self.journal = SwitchedJournal()
        self.metrics = Metrics()
        self.rings = 0
        self.intake = Intake(
            self.journal,
            schemas,
            settings=settings.pop("settings", IntakeSettings()),
            privacy=settings.pop("privacy", PrivacySettings()),
            metrics=self.metrics,
            log=Log(),
            committed=self._ring,
        )

    def _ring(self) -> None:
        self.rings += 1

    async def take(self, *messages: Message) -> Sequence[Outcome]:
        return await (await self.intake.accept(messages))

    def counted(self, line: str) -> bool:
        return line.encode() in self.metrics.render()


def sample(order: str = "001198000610", **overrides: Any) -> Message:
    return message(body=SAMPLE.replace(b"001198000610", order.encode()), **overrides)


async def test_a_message_becomes_events_in_the_journal(schemas: Schemas) -> None:
    bench = Bench(schemas)
    outcomes = await bench.take(sample(), sample("2"), sample())
    assert [(o.accepted, o.duplicates, o.quarantined) for o in outcomes] == [
        (1, 0, 0),
        (1, 0, 0),
        (0, 1, 0),
    ]
    records = await bench.journal.read(0, limit=10)
    assert [record.subject for record in records] == ["001198000610/1", "2/1"]
    assert bench.rings == 1
    assert bench.counted('backorder_messages_total{outcome="accepted",source="radial-queue"} 2.0')
    assert bench.counted('backorder_duplicates_total{source="radial-queue"} 1.0')


async def test_there_is_no_outcome_before_the_commit(schemas: Schemas) -> None:
    bench = Bench(schemas)
    bench.journal.open.clear()
    committed = asyncio.ensure_future(await bench.intake.accept([sample()]))
    await until(lambda: bench.journal.calls == [1])
    assert not committed.done()
    assert bench.rings == 0
    bench.journal.open.set()
    [outcome] = await committed
    assert outcome.accepted == 1


async def test_what_cannot_be_understood_is_quarantined_with_its_bytes(schemas: Schemas) -> None:
    bench = Bench(schemas)
    broken = SAMPLE.replace(b'quantity="1"', b'quantity="one"')
    outcomes = await bench.take(message(body=b"not XML"), message(body=broken))
    assert [outcome.quarantined for outcome in outcomes] == [1, 1]
    kept = await bench.journal.quarantined()
    assert {one.body for one in kept} == {b"not XML", broken}
    assert all(one.problems for one in kept)


@pytest.mark.parametrize(
    ("body", "overrides", "kind", "quarantined"),
    [
        (TEST_MESSAGE, {}, "test", 0),
        (TEST_MESSAGE, {"on_test": "quarantine"}, "test", 1),
        (OTHER, {}, "other", 1),
        (OTHER, {"on_other_type": "acknowledge"}, "other", 0),
    ],
)
async def test_what_is_no_back_order_follows_the_configuration(
    schemas: Schemas, body: bytes, overrides: dict[str, Any], kind: str, quarantined: int
) -> None:
    bench = Bench(schemas)
    [outcome] = await bench.take(message(body=body, **overrides))
    assert (outcome.kind, outcome.quarantined, outcome.accepted) == (kind, quarantined, 0)
    word = "quarantined" if quarantined else kind
    assert bench.counted(f'backorder_messages_total{{outcome="{word}",source="radial-queue"}} 1.0')


async def test_a_message_that_our_code_stumbles_over_is_quarantined_once(
    schemas: Schemas, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(schemas)

    def stumble(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret@example.com")

    monkeypatch.setattr(intake_module, "normalise", stumble)
    [first] = await bench.take(sample())
    [again] = await bench.take(sample())
    assert (first.quarantined, again.quarantined) == (1, 1)
    [kept] = await bench.journal.quarantined()
    assert (kept.times, kept.body) == (2, SAMPLE)
    assert kept.problems[0].reason == "this program failed on it (ZeroDivisionError)"


async def test_a_failing_commit_is_told_to_who_must_answer_at_once(schemas: Schemas) -> None:
    bench = Bench(schemas)
    bench.journal.failures = 1
    with pytest.raises(JournalUnavailable):
        await bench.take(sample())
    assert bench.intake.failure == "disk full"
    assert await bench.journal.read(0, limit=10) == []
    [outcome] = await bench.take(sample())
    assert outcome.accepted == 1
    assert bench.intake.failure is None


async def test_who_can_wait_waits_and_order_holds_across_the_failure(schemas: Schemas) -> None:
    bench = Bench(schemas)
    bench.journal.failures = 3
    waits = [await bench.intake.accept_patiently([sample(str(n))]) for n in range(1, 5)]
    for wait in waits:
        [outcome] = await wait
        assert outcome.accepted == 1
    records = await bench.journal.read(0, limit=10)
    assert [record.subject for record in records] == ["1/1", "2/1", "3/1", "4/1"]


async def test_large_payloads_are_understood_off_the_loop_and_in_order(schemas: Schemas) -> None:
    bench = Bench(schemas, settings=IntakeSettings(offload_above=Size(3000)))
    padded = sample("1").body.replace(b"</OrderBackorder>", b" " * 5000 + b"</OrderBackorder>")
    committed = await bench.intake.accept([message(body=padded), sample("2")])
    assert [outcome.accepted for outcome in await committed] == [1, 1]
    records = await bench.journal.read(0, limit=10)
    assert [record.subject for record in records] == ["1/1", "2/1"]


async def test_an_oversized_message_is_quarantined_unparsed(schemas: Schemas) -> None:
    bench = Bench(schemas, settings=IntakeSettings(max_message=Size(100)))
    [outcome] = await bench.take(sample())
    assert outcome.quarantined == 1
    assert outcome.problems[0].reason == "larger than 100 bytes"


async def test_parties_are_kept_back_where_privacy_says_so(schemas: Schemas) -> None:
    bench = Bench(schemas, privacy=PrivacySettings(parties="none"))
    await bench.take(sample())
    [record] = await bench.journal.read(0, limit=10)
    assert set(json.loads(record.body)["data"]["parties"].values()) == {None}
    assert b"email@example.com" not in record.body

    open_bench = Bench(schemas)
    await open_bench.take(sample())
    [full] = await open_bench.journal.read(0, limit=10)
    assert full.id == record.id
    assert b"email@example.com" in full.body


async def test_drain_gives_up_what_can_never_be_committed(schemas: Schemas) -> None:
    bench = Bench(schemas)
    bench.journal.open.clear()
    committed = asyncio.ensure_future(await bench.intake.accept([sample()]))
    await bench.intake.drain(0.05)
    with pytest.raises(asyncio.CancelledError):
        await committed
