import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from consumer.dispatcher import wants
from consumer.errors import JournalUnavailable, Refused, Unavailable
from consumer.model import Record
from consumer.settings import BatchSettings, FilterSettings, RetrySettings
from consumer.testing.builders import entry, event, record
from consumer.values import Duration
from pumping import Bench, bench, options
from waiting import until


async def test_everything_arrives_in_order_and_the_cursor_follows() -> None:
    async with bench(options(batch=BatchSettings(events=3))) as one:
        ids = await one.append(*range(1, 8))
        await until(lambda: one.sink.got == ids)
        ids += await one.append(8)
        await until(lambda: one.sink.got == ids)
    assert await one.cursor() == 8
    assert max(len(batch) for batch in one.sink.offered) == 3


async def test_a_sink_that_is_down_is_offered_the_same_again_and_says_so() -> None:
    async with bench() as one:
        failures = iter(range(5))

        def fail_five_times(_: Sequence[Record]) -> Mapping[int, str]:
            if next(failures, None) is not None:
                raise Unavailable("the receiver is away")
            return {}

        one.sink.behaviour = fail_five_times
        ids = await one.append(1, 2)
        await until(lambda: len(one.sink.offered) >= 2)
        await until(lambda: one.sink.got == ids)
        assert one.board.parts["sinks.scripted"].ok
    assert one.sink.offered == [[1, 2]] * 6
    assert await one.cursor() == 2


async def test_what_went_through_before_a_failure_is_not_offered_again() -> None:
    async with bench() as one:
        once = iter([1])

        def break_after_two(_: Sequence[Record]) -> Mapping[int, str]:
            if next(once, None):
                raise Unavailable("the line broke", delivered=2)
            return {}

        one.sink.behaviour = break_after_two
        ids = await one.append(1, 2, 3, 4)
        await until(lambda: one.sink.got == ids)
    assert one.sink.offered == [[1, 2, 3, 4], [3, 4]]


async def test_an_event_refused_for_good_is_parked_and_the_sink_goes_on() -> None:
    async with bench() as one:
        one.sink.behaviour = lambda batch: {r.seq: "HTTP 422" for r in batch if r.seq == 2}
        ids = await one.append(1, 2, 3)
        await until(lambda: one.sink.got == [ids[0], ids[2]])
    [parked] = await one.journal.parked("scripted")
    assert (parked.seq, parked.reason) == (2, "HTTP 422")
    assert await one.cursor() == 3


async def test_with_a_limit_of_attempts_only_the_stuck_event_is_parked() -> None:
    retry = RetrySettings(initial=Duration(0.001), max=Duration(0.005), attempts=3)
    async with bench(options(retry=retry)) as one:

        def stuck_on_two(batch: Sequence[Record]) -> Mapping[int, str]:
            for position, offered in enumerate(batch):
                if offered.seq == 2:
                    raise Unavailable("timeout", delivered=position)
            return {}

        one.sink.behaviour = stuck_on_two
        ids = await one.append(1, 2, 3)
        await until(lambda: one.sink.got == [ids[0], ids[2]])
    [parked] = await one.journal.parked("scripted")
    assert (parked.seq, parked.reason) == (2, "timeout")
    assert one.sink.offered == [[1, 2, 3], [2, 3], [2, 3], [3]]


async def test_a_plug_in_with_a_bug_is_a_sink_that_is_down() -> None:
    async with bench() as one:

        def stumble(_: Sequence[Record]) -> Mapping[int, str]:
            raise KeyError("nobody expected this")

        one.sink.behaviour = stumble
        ids = await one.append(1)
        await until(lambda: one.board.parts["sinks.scripted"].reason is not None)
        await until(lambda: "KeyError" in (one.board.parts["sinks.scripted"].reason or ""))
        one.sink.behaviour = lambda _: {}
        await until(lambda: one.sink.got == ids)


def forgets_to_return(_: Sequence[Record]) -> Mapping[int, str]:
    return None  # type: ignore[return-value]  # as a plug-in that nobody type-checked


def refuses_what_it_was_not_offered(batch: Sequence[Record]) -> Mapping[int, str]:
    return {record.seq + offset: "HTTP 422" for record in batch for offset in (0, 100)}


def gives_no_reason(batch: Sequence[Record]) -> Mapping[int, str]:
    return {record.seq: None for record in batch}  # type: ignore[misc]  # likewise


def says_it_all_went_through(batch: Sequence[Record]) -> Mapping[int, str]:
    raise Unavailable("the line broke", delivered=len(batch))


def says_less_than_nothing_went_through(_: Sequence[Record]) -> Mapping[int, str]:
    raise Unavailable("the line broke", delivered=-1)


def raises_a_refusal(_: Sequence[Record]) -> Mapping[int, str]:
    raise Refused("one of them, and nobody knows which")


@pytest.mark.parametrize(
    "mistaken",
    [
        forgets_to_return,
        refuses_what_it_was_not_offered,
        gives_no_reason,
        says_it_all_went_through,
        says_less_than_nothing_went_through,
        raises_a_refusal,
    ],
)
async def test_a_plug_in_that_breaks_a_promise_is_a_sink_that_is_down(
    mistaken: Callable[[Sequence[Record]], Mapping[int, str]],
) -> None:
    async with bench() as one:
        one.sink.behaviour = mistaken
        await one.append(1, 2)
        reason = "failed unexpectedly"
        await until(lambda: reason in (one.board.parts["sinks.scripted"].reason or ""))
        assert await one.cursor() == 0, "nothing is passed over"
        one.sink.got.clear()
        one.sink.behaviour = lambda _: {}
        await until(lambda: len(one.sink.got) == 2)
    assert await one.cursor() == 2
    assert not await one.journal.parked("scripted")


async def test_an_outage_of_the_journal_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench() as one:
        really = one.journal.read
        failures = iter(range(2))

        async def read(*arguments: Any, **named: Any) -> Sequence[Record]:
            if next(failures, None) is not None:
                raise JournalUnavailable("disk full")
            return await really(*arguments, **named)

        monkeypatch.setattr(one.journal, "read", read)
        ids = await one.append(1)
        await until(lambda: one.sink.got == ids)
    assert one.told.outages == [("scripted", "disk full")]


async def test_while_the_journal_fails_what_was_delivered_is_not_delivered_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with bench() as one:
        really = one.journal.advance
        failures = iter(range(3))

        async def advance(sink: str, seq: int, refused: Mapping[int, str]) -> None:
            if next(failures, None) is not None:
                raise JournalUnavailable("disk full")
            await really(sink, seq, refused)

        monkeypatch.setattr(one.journal, "advance", advance)
        ids = await one.append(1, 2)
        await until(lambda: one.sink.got == ids)
        ids += await one.append(3)
        await until(lambda: one.sink.got == ids)
    assert one.sink.offered == [[1, 2], [3]]
    assert await one.cursor() == 3


async def test_finishing_delivers_what_is_pending_but_does_not_wait_for_a_dead_sink() -> None:
    one = Bench(options(batch=BatchSettings(events=2)))
    await one.journal.enroll({"scripted": True})
    ids = await one.append(*range(1, 6))
    one.pump.finish()
    await asyncio.wait_for(one.pump.run(0), 60)
    assert one.sink.got == ids

    def dead(_: Sequence[Record]) -> Mapping[int, str]:
        raise Unavailable("dead", retry_after=3600)

    one.sink.behaviour = dead
    await one.append(6)
    await asyncio.wait_for(one.pump.run(5), 60)
    assert await one.cursor() == 5


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        (FilterSettings(), True),
        (FilterSettings(sources=["radial-queue"]), True),
        (FilterSettings(sources=["mvet"]), False),
        (FilterSettings(types=["opened"]), True),
        (FilterSettings(types=["backorder.opened", "cleared"]), True),
        (FilterSettings(types=["backorder.cleared"]), False),
        (FilterSettings(sources=["radial-queue"], types=["cleared"]), False),
    ],
)
def test_filters(settings: FilterSettings, wanted: bool) -> None:
    assert wants(settings)(record(1, event(1))) is wanted


async def test_what_a_filter_keeps_back_is_passed_not_pending() -> None:
    chosen = options(filter=FilterSettings(types=["cleared"]))
    async with bench(chosen) as one:
        await one.append(1, 2, 3)
        await one.journal.append([entry(event(9, type="backorder.cleared"))])
        one.bell.ring()
        await until(lambda: bool(one.sink.got))
        assert one.sink.offered == [[4]]
    assert await one.cursor() == 4
