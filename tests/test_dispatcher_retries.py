"""Another try for what a sink refused."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import pytest

from consumer.dispatcher import signals
from consumer.errors import Unavailable
from consumer.model import Record
from consumer.repair import Orders
from consumer.settings import BatchSettings, FilterSettings, RetrySettings
from consumer.values import Duration, Size
from pumping import Bench, bench, options, refuse, unavailable
from waiting import until

Behaviour = Callable[[Sequence[Record]], Mapping[int, str]]

TWO = options(batch=BatchSettings(events=2))
REDELIVERED = "backorder_redelivered_total"


def stuck_at(*seqs: int, reason: str = "HTTP 500") -> Behaviour:
    """The behaviour of a sink that answers these with an error of a passing kind, each time."""

    def behave(batch: Sequence[Record]) -> Mapping[int, str]:
        for position, record in enumerate(batch):
            if record.seq in seqs:
                raise Unavailable(reason, delivered=position)
        return {}

    return behave


async def park(one: Bench, *seqs: int) -> None:
    """Append events up to the last of these, and have the sink refuse these."""
    one.sink.behaviour = refuse(*seqs)
    await one.append(*range(1, seqs[-1] + 1))
    await until(lambda: one.counted("backorder_parked_total") == len(seqs))
    one.sink.got.clear()
    one.sink.offered.clear()


async def test_parked_events_are_offered_once_more_when_asked_for() -> None:
    async with bench(TWO) as one:
        one.sink.behaviour = refuse(1, 2, 3, 4)
        ids = await one.append(*range(1, 6))
        await until(lambda: one.sink.got == ids[4:])
        one.sink.behaviour = refuse(3, reason="HTTP 413")
        assert await one.order(one.journal.retry_parked, [1, 3, 4]) == 3

        async def as_wanted() -> bool:
            return await one.parked() == [(2, "HTTP 422", False), (3, "HTTP 413", False)]

        await until(as_wanted)
        assert one.sink.replays == [1, 4]
        assert one.sink.offered[-2:] == [[1, 3], [4]]
        assert one.counted(REDELIVERED) == 2
        ids += await one.append(6)
        await until(lambda: one.sink.got[-1] == ids[-1])
    assert await one.cursor() == 6


async def test_retries_go_in_batches_that_the_sink_takes_whatever_its_filter_says_now() -> None:
    async with bench() as one:
        one.sink.behaviour = refuse(1, 2)
        await one.append(1, 2)
        await until(lambda: one.counted("backorder_parked_total") == 2)
    await one.journal.retry_parked("scripted", None)
    narrow = options(batch=BatchSettings(bytes=Size(1)), filter=FilterSettings(types=["cleared"]))
    async with bench(narrow, journal=one.journal) as next_one:
        await until(lambda: next_one.sink.replays == [1, 2])
    assert next_one.sink.offered == [[1], [2]]


async def test_retries_that_a_limit_of_attempts_ends_do_not_go_on_for_ever() -> None:
    retry = RetrySettings(initial=Duration(0.001), max=Duration(0.005), attempts=2)
    async with bench(options(retry=retry)) as one:
        one.sink.behaviour = refuse(1)
        ids = await one.append(1)
        await until(lambda: one.counted("backorder_parked_total") == 1)
        one.sink.offered.clear()
        one.sink.behaviour = unavailable()
        await one.order(one.journal.retry_parked, None)
        await until(lambda: one.counted("backorder_parked_total") == 2)
        [parked] = await one.journal.parked("scripted")
        one.sink.behaviour = lambda _: {}
        ids += await one.append(2)
        await until(lambda: one.sink.got == ids[1:])
    assert (parked.reason, parked.retrying) == ("the receiver is away", False)
    assert one.sink.offered == [[1], [1], [2]]


async def test_while_stopping_a_retry_waits_and_what_is_pending_does_not() -> None:
    one = Bench(options())
    await one.journal.enroll({"scripted": True})
    ids = await one.append(1, 2)
    await one.journal.advance("scripted", 1, {1: "HTTP 422"})
    await one.journal.retry_parked("scripted", None)
    one.pump.finish()
    await asyncio.wait_for(one.pump.run(1), 60)
    assert one.sink.got == ids[1:]
    async with bench(journal=one.journal) as next_one:
        await until(lambda: next_one.sink.got == ids[:1])


# --- a passing failure -----------------------------------------------------------------------


async def test_a_retry_that_fails_each_time_holds_up_nothing_and_is_put_back() -> None:
    async with bench() as one:
        await park(one, 1)
        one.sink.behaviour = stuck_at(1)
        await one.order(one.journal.retry_parked, None)
        ids = await one.append(2)
        await until(lambda: one.sink.got == ids)

        async def put_back() -> bool:
            return await one.parked() == [(1, "HTTP 500", False)]

        await until(put_back)
        assert one.state.ok, "the sink works"
        assert one.sink.offered[-3:] == [[1], [2], [1]]
        ids += await one.append(3)
        await until(lambda: one.sink.got == ids)
    assert one.sink.offered[-1] == [3]


async def test_what_comes_while_a_retry_backs_off_is_delivered_at_once_and_then_the_retry() -> None:
    async with bench() as one:
        await park(one, 1)
        one.sink.behaviour = unavailable(retry_after=3600)
        await one.order(one.journal.retry_parked, None)
        await until(lambda: one.sink.offered == [[1]])
        one.sink.behaviour = lambda _: {}
        await one.append(2)
        await until(lambda: one.sink.offered == [[1], [2], [1]])
        await until(lambda: one.sink.replays == [1])
    assert not await one.parked()


async def test_while_a_sink_is_down_what_is_to_be_retried_stays_marked() -> None:
    async with bench() as one:
        await park(one, 1, 2)
        one.sink.behaviour = unavailable()
        await one.order(one.journal.retry_parked, None)
        ids = await one.append(3)
        for wanted in ([3], [1, 2], [2]):
            await one.until_offered(wanted, times=3)
        assert await one.parked() == [(1, "HTTP 422", True), (2, "HTTP 422", True)]
        one.sink.behaviour = lambda _: {}
        await until(lambda: len(one.sink.got) == 3)
        assert ids[0] in one.sink.got
        assert sorted(one.sink.replays) == [1, 2]
    assert not await one.parked()


async def test_a_retry_with_nothing_else_to_do_is_tried_until_the_sink_is_back() -> None:
    async with bench() as one:
        await park(one, 1)
        one.sink.behaviour = unavailable()
        await one.order(one.journal.retry_parked, None)
        await until(lambda: len(one.sink.offered) >= 4)
        assert await one.parked() == [(1, "HTTP 422", True)]
        one.sink.behaviour = lambda _: {}
        await until(lambda: one.sink.replays == [1])
    assert not await one.parked()


@pytest.mark.parametrize("events", [1, 2, 3, 10])
async def test_retries_that_fail_each_time_do_not_hold_up_other_retries(events: int) -> None:
    async with bench(options(batch=BatchSettings(events=events))) as one:
        await park(one, 1, 2, 3, 4, 5)
        one.sink.behaviour = stuck_at(1, 2, 4)
        await one.order(one.journal.retry_parked, None)

        async def sorted_out() -> bool:
            return await one.parked() == [(seq, "HTTP 500", False) for seq in (1, 2, 4)]

        await until(sorted_out)
        assert sorted(one.sink.replays) == [3, 5]
        assert max(len(batch) for batch in one.sink.offered) <= events


async def test_one_that_was_put_back_may_be_retried_again() -> None:
    async with bench() as one:
        await park(one, 1)
        for reason in ("HTTP 500", "HTTP 502"):
            one.sink.behaviour = stuck_at(1, reason=reason)
            await one.order(one.journal.retry_parked, None)
            await one.append(len(one.sink.got) + 2)

            async def put_back(reason: str = reason) -> bool:
                return await one.parked() == [(1, reason, False)]

            await until(put_back)
        one.sink.behaviour = unavailable()
        await one.order(one.journal.retry_parked, None)
        await until(lambda: one.sink.offered[-3:] == [[1]] * 3)
        assert await one.parked() == [(1, "HTTP 502", True)], "what was proven is old by now"
        one.sink.behaviour = lambda _: {}
        await until(lambda: one.sink.replays == [1])


async def test_a_back_off_of_what_is_pending_does_not_hold_up_a_retry() -> None:
    async with bench() as one:
        await park(one, 1)
        one.sink.behaviour = unavailable(retry_after=3600)
        await one.append(2)
        await until(lambda: one.state.reason == "the receiver is away")
        one.sink.behaviour = lambda _: {}
        await one.order(one.journal.retry_parked, None)
        await until(lambda: one.sink.replays == [1])
    assert one.sink.offered[:2] == [[2], [1]]


async def test_retries_keep_to_their_own_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_ORDERS_STAND", 3600.0)
    async with bench() as one:
        await park(one, 1, 2)
        one.sink.behaviour = unavailable(retry_after=3600)
        await one.append(3)
        await until(lambda: one.state.reason == "the receiver is away")
        one.sink.behaviour = unavailable("busy")
        await one.order(one.journal.retry_parked, [1])
        await one.until_offered([1], times=3)
    assert one.sink.offered.count([3]) == 2, "once, and once more before the stop"


async def test_what_is_marked_next_does_not_wait_for_what_was_discarded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with bench() as one:
        await park(one, 1, 2)
        one.sink.behaviour = unavailable(retry_after=3600)
        await one.order(one.journal.retry_parked, [1])
        await one.until_offered([1])
        really, looked = one.journal.orders, asyncio.Event()

        async def orders(sink: str) -> Orders:
            looked.set()
            return await really(sink)

        monkeypatch.setattr(one.journal, "orders", orders)
        await one.order(one.journal.discard_parked, [1])
        await asyncio.wait_for(looked.wait(), 60)
        await one.order(one.journal.retry_parked, [2])
        await one.until_offered([2])
    assert one.sink.offered == [[1], [2]]
