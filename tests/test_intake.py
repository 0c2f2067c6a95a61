import asyncio
import gc
import json
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

import pytest
from structlog.testing import capture_logs

from consumer import understanding
from consumer.errors import JournalUnavailable, Refused
from consumer.intake import Intake
from consumer.journal.sqlite import SqliteJournal
from consumer.model import Entry, Message, Outcome, Watch
from consumer.settings import IntakeSettings, PrivacySettings
from consumer.telemetry import Log, Metrics
from consumer.testing.builders import entry, message
from consumer.testing.journal import MemoryJournal
from consumer.validation import Examination, Schemas
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
        self.stumbles_over: Callable[[Entry], bool] = lambda _: False

    async def append(self, entries: Sequence[Entry]) -> Sequence[Outcome]:
        self.calls.append(len(entries))
        await self.open.wait()
        if self.failures:
            self.failures -= 1
            raise JournalUnavailable("disk full")
        if any(self.stumbles_over(entry) for entry in entries):
            raise ZeroDivisionError("secret@example.com")
        return await super().append(entries)


class Bench:
    def __init__(self, schemas: Schemas, **settings: Any) -> None:
        self.journal = settings.pop("journal", None) or SwitchedJournal()
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

    monkeypatch.setattr(understanding, "normalise", stumble)
    [first] = await bench.take(sample())
    [again] = await bench.take(sample())
    assert (first.quarantined, again.quarantined) == (1, 1)
    [kept] = await bench.journal.quarantined()
    assert (kept.times, kept.body) == (2, SAMPLE)
    assert kept.problems[0].reason == "this program failed on it (ZeroDivisionError)"


async def test_who_goes_away_takes_no_commit_along(schemas: Schemas) -> None:
    bench = Bench(schemas)
    bench.journal.open.clear()
    committed = await bench.intake.accept([sample()])

    async def wait() -> Sequence[Outcome]:
        return await committed

    gone, stays = asyncio.create_task(wait()), asyncio.create_task(wait())
    await until(lambda: bool(bench.journal.calls))
    gone.cancel()
    bench.journal.open.set()
    [outcome] = await stays
    assert (gone.cancelled(), outcome.accepted) == (True, 1)
    assert await committed == [outcome]
    assert len(await bench.journal.read(0, limit=10)) == 1


async def test_what_cannot_be_told_is_quarantined_with_every_blank(
    schemas: Schemas, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise Refused("no event type stands for it")

    monkeypatch.setattr(understanding, "normalise", refuse)
    bench = Bench(schemas)
    [outcome] = await bench.take(sample())
    assert outcome.quarantined == 1
    [kept] = await bench.journal.quarantined()
    between = re.compile(rb">\s+<")
    assert between.findall(kept.body) == between.findall(SAMPLE)


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
    watched = WatchedSchemas(schemas)
    bench = Bench(watched, settings=IntakeSettings(offload_above=Size(3000)))
    padded = sample("1").body.replace(b"</OrderBackorder>", b" " * 5000 + b"</OrderBackorder>")
    committed = await bench.intake.accept([message(body=padded), sample("2")])
    assert [outcome.accepted for outcome in await committed] == [1, 1]
    records = await bench.journal.read(0, limit=10)
    assert [record.subject for record in records] == ["1/1", "2/1"]
    assert watched.asked == [("glance", False), ("glance", True)]


async def test_large_payloads_are_glanced_at_one_after_the_other(schemas: Schemas) -> None:
    watched = WatchedSchemas(schemas)
    bench = Bench(watched, settings=IntakeSettings(offload_above=Size(100)))
    outcomes = await asyncio.gather(*(bench.take(sample(str(n))) for n in range(20)))
    assert [outcome.accepted for (outcome,) in outcomes] == [1] * 20
    assert watched.most_at_once == 1


async def test_a_large_payload_that_takes_long_to_explain_holds_up_no_other(
    schemas: Schemas,
) -> None:
    watched = WatchedSchemas(schemas)
    bench = Bench(watched, settings=IntakeSettings(offload_above=Size(100)))
    watched.explain.clear()
    refused = asyncio.create_task(
        bench.take(message(body=SAMPLE.replace(b'quantity="1"', b'quantity="x"')))
    )
    try:
        await until(lambda: ("examine", False) in watched.asked)
        [outcome] = await bench.take(sample("2"))
        assert (outcome.accepted, refused.done()) == (1, False)
    finally:
        watched.explain.set()
    [outcome] = await refused
    assert outcome.quarantined == 1


async def test_a_payload_beyond_the_limit_is_not_even_glanced_at(schemas: Schemas) -> None:
    watched = WatchedSchemas(schemas)
    bench = Bench(watched, settings=IntakeSettings(max_message=Size(100)))
    [outcome] = await bench.take(sample())
    assert (outcome.quarantined, watched.asked) == (1, [])


class WatchedSchemas(Schemas):
    """Remembers on which threads it was asked what; can be made to wait before it explains."""

    def __init__(self, schemas: Schemas) -> None:
        super().__init__(schemas._judge)
        self.asked: list[tuple[str, bool]] = []
        self.most_at_once = 0
        self.explain = threading.Event()
        self.explain.set()
        self._glances = 0

    def glance(self, body: bytes) -> Examination | None:
        self.asked.append(("glance", current_thread() is main_thread()))
        self._glances += 1
        self.most_at_once = max(self.most_at_once, self._glances)
        try:
            return super().glance(body)
        finally:
            self._glances -= 1

    def examine(self, body: bytes) -> Examination:
        self.asked.append(("examine", current_thread() is main_thread()))
        self.explain.wait(30)
        return super().examine(body)


async def test_only_what_a_glance_settles_is_understood_on_the_loop(schemas: Schemas) -> None:
    watched = WatchedSchemas(schemas)
    bench = Bench(watched)
    [outcome] = await bench.take(sample())
    assert (outcome.accepted, watched.asked) == (1, [("glance", True)])

    watched.asked.clear()
    [outcome] = await bench.take(message(body=b"<x"))
    assert (outcome.quarantined, outcome.unreadable) == (1, True)
    assert watched.asked == [("glance", True), ("examine", False)]


async def test_the_loop_gets_its_turn_between_the_messages_of_a_batch(schemas: Schemas) -> None:
    bench = Bench(schemas)
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(take_turns())
    padding = b" " * (33 << 10)
    batch = [
        message(body=sample(str(n)).body.replace(b"</Name>", b"</Name>" + padding))
        for n in range(8)
    ]
    committed = await bench.intake.accept(batch)
    seen = turns
    other.cancel()
    assert seen >= 4
    assert [outcome.accepted for outcome in await committed] == [1] * 8
    records = await bench.journal.read(0, limit=10)
    assert [record.subject for record in records] == [f"{n}/1" for n in range(8)]


async def test_what_the_journal_stumbles_over_is_quarantined_and_all_else_kept(
    schemas: Schemas,
) -> None:
    bench = Bench(schemas)
    bench.journal.stumbles_over = lambda entry: any(e.subject == "2/1" for e in entry.events)
    outcomes = await bench.take(sample("1"), sample("2"), sample("3"))
    assert [(o.accepted, o.quarantined) for o in outcomes] == [(1, 0), (0, 1), (1, 0)]
    records = await bench.journal.read(0, limit=10)
    assert [record.subject for record in records] == ["1/1", "3/1"]
    [kept] = await bench.journal.quarantined()
    assert kept.body == sample("2").body
    assert [str(problem) for problem in kept.problems] == [
        "/: this program failed on it (ZeroDivisionError)"
    ]
    assert bench.counted('backorder_messages_total{outcome="accepted",source="radial-queue"} 2.0')
    assert bench.counted('backorder_quarantined_total{source="radial-queue"} 1.0')
    assert bench.intake.failure is None


async def test_what_the_transport_said_may_be_what_cannot_be_kept(
    schemas: Schemas, tmp_path: Path
) -> None:
    async with SqliteJournal(tmp_path / "journal.db") as journal:
        bench = Bench(schemas, journal=journal)
        bad = message(body=b"not XML", attributes={"note": "\udcff"})
        bad_origin = message(body=b"nor this", origin="\udcff")
        outcomes = await bench.take(bad, sample(), bad_origin)
        assert [(o.accepted, o.quarantined) for o in outcomes] == [(0, 1), (1, 0), (0, 1)]
        kept = await journal.quarantined()
        assert {one.body for one in kept} == {b"not XML", b"nor this"}
        assert all(one.attributes == {} for one in kept)


async def test_a_journal_that_cannot_even_quarantine_is_no_matter_of_the_message(
    schemas: Schemas,
) -> None:
    bench = Bench(schemas)
    bench.journal.stumbles_over = lambda _: True
    with pytest.raises(ZeroDivisionError):
        await bench.take(sample())
    assert await bench.journal.quarantined() == []


async def test_a_poll_that_the_journal_stumbles_over_pauses_nothing(schemas: Schemas) -> None:
    bench = Bench(schemas)
    bench.journal.stumbles_over = lambda entry: bool(entry.watch and entry.watch.held)
    watch = Watch(source="/mvet/0002789", view="list", held=frozenset(["1/a"]))
    with capture_logs() as log:
        with pytest.raises(JournalUnavailable, match="ZeroDivisionError"):
            await bench.intake.commit([entry(message=message(body=b""), watch=watch)])
        assert bench.intake.failure is None
        await bench.take(sample())
    assert [line["event"] for line in log] == ["bug"]


async def test_drain_waits_for_what_polls_have_said(schemas: Schemas) -> None:
    bench = Bench(schemas)
    bench.journal.open.clear()
    watch = Watch(source="/mvet/0002789", view="list")
    poll = asyncio.create_task(bench.intake.commit([entry(message=message(body=b""), watch=watch)]))
    await until(lambda: bench.journal.calls == [1])
    poll.cancel()
    with pytest.raises(asyncio.CancelledError):
        await poll
    draining = asyncio.create_task(bench.intake.drain(5))
    await asyncio.sleep(0)
    assert not draining.done()
    bench.journal.open.set()
    await draining
    assert [scope.source for scope in await bench.journal.scopes()] == ["/mvet/0002789"]


async def test_a_caller_that_goes_away_takes_no_commit_with_it(schemas: Schemas) -> None:
    bench = Bench(schemas)
    bench.journal.open.clear()
    caller = asyncio.create_task(bench.take(sample()))
    await until(lambda: bench.journal.calls == [1])
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    bench.journal.open.set()
    await bench.intake.drain(5)
    assert bench.rings == 1
    assert bench.counted('backorder_messages_total{outcome="accepted",source="radial-queue"} 1.0')


async def test_nobody_has_to_look_at_a_commit_that_failed(
    schemas: Schemas, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(schemas)
    bench.journal.failures = 2
    await bench.intake.accept([sample()])  # never awaited
    bench.journal.open.clear()
    caller = asyncio.create_task(bench.take(sample()))  # gone before it fails
    await until(lambda: bench.journal.calls == [1, 1])
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    bench.journal.open.set()
    await until(lambda: bench.journal.failures == 0)
    await bench.intake.drain(5)
    gc.collect()
    assert caplog.records == []


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
