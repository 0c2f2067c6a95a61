"""What persons order of a sink: pause, replay, and another try for what it refused."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from consumer.dispatcher import Bell, signals
from consumer.errors import JournalUnavailable, Unavailable
from consumer.model import Record
from consumer.repair import Orders, Range
from consumer.settings import BatchSettings, FilterSettings, RetrySettings
from consumer.testing.builders import entry, event, message
from consumer.values import Duration
from pumping import Bench, bench, options, refuse, unavailable
from waiting import until

TWO = options(batch=BatchSettings(events=2))
REDELIVERED = "backorder_redelivered_total"
PAUSED = "backorder_sink_paused"


# --- pause -----------------------------------------------------------------------------------


async def test_a_paused_sink_holds_still_and_delays_no_other() -> None:
    bell = Bell()
    async with (
        bench(bell=bell) as one,
        bench(options(name="other"), journal=one.journal, bell=bell) as other,
    ):
        ids = await one.append(1)
        await until(lambda: one.sink.got == other.sink.got == ids)
        await one.order(one.journal.pause, paused=True)
        await until(lambda: (one.state.reason or "").startswith("paused by a person since 20"))
        assert one.state.ok
        assert (one.counted(PAUSED), other.counted(PAUSED)) == (1, 0)
        ids += await one.append(2, 3)
        await until(lambda: other.sink.got == ids)
        assert one.sink.got == ids[:1]
        assert await one.cursor() == 1
        await one.order(one.journal.pause, paused=False)
        await until(lambda: one.sink.got == ids)
        assert one.state.reason is None
        assert one.counted(PAUSED) == 0
    assert one.told.orders == [("paused", "scripted"), ("resumed", "scripted")]


async def test_a_resumed_sink_without_anything_to_do_does_not_say_that_it_is_paused() -> None:
    async with bench() as one:
        before = one.state
        await one.order(one.journal.pause, paused=True)
        await until(lambda: one.is_paused)
        await one.order(one.journal.pause, paused=False)
        await until(lambda: one.state == before)


async def test_a_pause_outlives_the_pump() -> None:
    async with bench() as one:
        ids = await one.append(1)
        await until(lambda: one.sink.got == ids)
        await one.order(one.journal.pause, paused=True)
        ids += await one.append(2)
    async with bench(journal=one.journal) as next_one:
        await until(lambda: next_one.is_paused)
        assert not next_one.sink.offered
        await next_one.order(next_one.journal.pause, paused=False)
        await until(lambda: next_one.sink.got == ids[1:])


async def test_a_pause_takes_effect_behind_the_batch_in_hand() -> None:
    async with bench(TWO) as one:
        one.sink.gate.clear()
        await one.append(*range(1, 6))
        await until(lambda: bool(one.sink.offered))
        await one.order(one.journal.pause, paused=True)
        one.sink.gate.set()
        await until(lambda: one.is_paused)
        assert one.sink.offered == [[1, 2]]
        assert await one.cursor() == 2


async def test_an_order_is_heard_out_of_a_back_off() -> None:
    async with bench() as one:
        one.sink.behaviour = unavailable(retry_after=3600)
        ids = await one.append(1)
        await until(lambda: one.state.reason == "the receiver is away")
        await one.order(one.journal.pause, paused=True)
        await until(lambda: one.is_paused)
        one.sink.behaviour = lambda _: {}
        await one.order(one.journal.pause, paused=False)
        await until(lambda: one.sink.got == ids)


async def test_a_dead_sink_that_is_paused_stays_dead() -> None:
    async with bench() as one:
        ids = await one.append(1)
        await until(lambda: one.sink.got == ids)
        one.sink.behaviour = unavailable(retry_after=3600)
        ids += await one.append(2)
        await until(lambda: one.state.reason == "the receiver is away")
        await one.order(one.journal.pause, paused=True)
        await until(lambda: one.is_paused)
        assert not one.state.ok
        assert (one.state.reason or "").endswith("; the receiver is away")
        one.sink.gate.clear()
        await one.order(one.journal.pause, paused=False)
        await until(lambda: len(one.sink.offered) == 3)
        assert (one.state.ok, one.state.reason) == (False, "the receiver is away")
        assert one.reconnects == 0
        one.sink.behaviour = lambda _: {}
        one.sink.gate.set()
        await until(lambda: one.sink.got == ids)
        await until(lambda: one.reconnects == 1)


async def test_a_pump_that_is_paused_finishes_at_once() -> None:
    one = Bench(options())
    await one.journal.enroll({"scripted": True})
    await one.append(1)
    await one.journal.pause("scripted", paused=True)
    one.pump.finish()
    await asyncio.wait_for(one.pump.run(0), 60)
    assert not one.sink.offered


# --- replay ----------------------------------------------------------------------------------


async def test_a_replay_is_marked_and_counted_apart() -> None:
    async with bench(TWO) as one:
        ids = await one.append(*range(1, 6))
        await until(lambda: one.sink.got == ids)
        await one.order(one.journal.replay, Range(start=2, end=4))
        await until(one.over)
        assert one.sink.got == ids + ids[1:4]
        assert one.sink.replays == [2, 3, 4]
        marks = [b'"replay":true' in record.body for batch in one.sink.batches for record in batch]
        assert marks == [False] * 5 + [True] * 3
        assert one.counted(REDELIVERED) == 3
        assert one.counted("backorder_delivered_total") == 5
        assert one.counted("backorder_delivery_seconds_count") == 5
        assert await one.cursor() == 5
    assert one.told.orders == [("begun", 2, 4, 1), ("ended", 2, 4, 4)]


async def test_a_replay_goes_before_what_is_pending() -> None:
    async with bench(TWO) as one:
        ids = await one.append(1, 2, 3)
        await until(lambda: one.sink.got == ids)
        await one.order(one.journal.pause, paused=True)
        ids += await one.append(4, 5)
        await one.order(one.journal.replay, Range(start=1))
        await one.order(one.journal.pause, paused=False)
        await until(lambda: one.sink.got == ids[:3] + ids)
    assert one.sink.replays == [1, 2, 3]


async def test_the_newest_has_the_last_word_though_a_replay_overtook_it() -> None:
    async with bench(TWO) as one:
        ids = await one.append(1, 2)
        await until(lambda: one.sink.got == ids)
        one.sink.gate.clear()
        ids += await one.append(3)
        await until(lambda: one.sink.offered[-1:] == [[3]])
        await one.order(one.journal.replay, Range(start=1))
        one.sink.gate.set()
        await until(lambda: one.sink.got == [*ids, *ids])
        await until(one.over)
    assert one.sink.replays == [1, 2, 3]
    assert await one.cursor() == 3


async def test_a_replay_keeps_to_its_source_and_to_the_filter_of_the_sink() -> None:
    chosen = options(batch=BatchSettings(events=2), filter=FilterSettings(types=["opened"]))
    async with bench(chosen) as one:
        for n in range(1, 9):
            kind: Any = "backorder.cleared" if n in (3, 7, 8) else "backorder.opened"
            source = "hook" if n % 2 else "queue"
            await one.journal.append([entry(event(n, type=kind), message=message(source=source))])
        one.bell.ring()
        await until(lambda: len(one.sink.got) == 5)
        await one.order(one.journal.replay, Range(start=1, end=8, source="hook"))
        await until(one.over)
    assert one.sink.replays == [1, 5]


async def test_a_replay_goes_on_where_a_failure_stopped_it() -> None:
    async with bench(options(batch=BatchSettings(events=3))) as one:
        ids = await one.append(*range(1, 5))
        await until(lambda: one.sink.got == ids)
        one.sink.offered.clear()
        failures = iter([2, 0, 0])

        def falter(_: Sequence[Record]) -> Mapping[int, str]:
            if (delivered := next(failures, None)) is not None:
                raise Unavailable("the line broke", delivered=delivered)
            return {}

        one.sink.behaviour = falter
        await one.order(one.journal.replay, Range(start=1))
        await until(one.over)
    assert one.sink.offered == [[1, 2, 3], [3, 4], [3, 4], [3, 4]]
    assert one.sink.replays == [1, 2, 3, 4]


async def test_what_a_crash_left_untold_is_delivered_again() -> None:
    """At least once: the pump dies between a delivery and its entry in the journal."""
    one = Bench(TWO)
    await one.journal.enroll({"scripted": True})
    ids = await one.append(*range(1, 6))
    one.pump.finish()
    await one.pump.run(0)
    await one.journal.replay("scripted", Range(start=1))

    dying = Bench(TWO, journal=one.journal)
    really, told = one.journal.redelivered, asyncio.Event()

    async def redelivered(*arguments: Any, **named: Any) -> None:
        if named["replayed"].done > 2:
            told.set()
            await asyncio.Event().wait()
        await really(*arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(one.journal, "redelivered", redelivered)
        running = asyncio.create_task(dying.pump.run(5))
        await asyncio.wait_for(told.wait(), 60)
        running.cancel()
        await asyncio.wait([running])
    assert dying.sink.replays == [1, 2, 3, 4]

    async with bench(TWO, journal=one.journal) as reborn:
        await until(reborn.over)
        assert reborn.sink.replays == [3, 4, 5]
        assert reborn.sink.got == ids[2:]
    assert reborn.told.orders == [("begun", 1, 5, 2), ("ended", 1, 5, 5)]


async def test_a_replay_stops_for_a_stop_and_what_is_pending_waits_behind_it() -> None:
    async with bench(TWO) as one:
        ids = await one.append(*range(1, 5))
        await until(lambda: one.sink.got == ids)
        one.sink.gate.clear()
        await one.order(one.journal.replay, Range(start=1))
        await until(lambda: len(one.sink.offered) == 3)
        ids += await one.append(5)
    assert one.sink.replays == [1, 2], "the batch in hand, and no more"
    async with bench(TWO, journal=one.journal) as next_one:
        await until(lambda: next_one.sink.got == ids[2:])
    assert next_one.sink.replays == [3, 4]
    assert await next_one.cursor() == 5


async def test_a_replay_that_a_person_ends_stops_behind_the_page_in_hand() -> None:
    async with bench(TWO) as one:
        ids = await one.append(*range(1, 8))
        await until(lambda: one.sink.got == ids)
        one.sink.gate.clear()
        await one.order(one.journal.replay, Range(start=1))
        await until(lambda: len(one.sink.offered) == 5)
        await one.order(one.journal.end_replay)
        ids += await one.append(8)
        one.sink.gate.set()
        await until(lambda: one.sink.got[-1] == ids[-1])
    assert one.sink.replays == [1, 2]
    assert one.told.orders == [("begun", 1, 7, 0), ("ended", 1, 7, 2)]


async def test_the_next_replay_does_not_begin_where_the_last_was_ended() -> None:
    async with bench(TWO) as one:
        ids = await one.append(*range(1, 6))
        await until(lambda: one.sink.got == ids)
        one.sink.gate.clear()
        await one.order(one.journal.replay, Range(start=3))
        await until(lambda: len(one.sink.offered) == 4)
        await one.order(one.journal.end_replay)
        await one.order(one.journal.replay, Range(start=1))
        one.sink.gate.set()
        await until(one.over)
    assert one.sink.replays == [3, 4, 1, 2, 3, 4, 5]


async def test_a_replay_of_what_was_pruned_meanwhile_comes_to_its_end() -> None:
    async with bench() as one:
        ids = await one.append(1, 2, 3)
        await until(lambda: one.sink.got == ids)
        await one.order(one.journal.pause, paused=True)
        await one.order(one.journal.replay, Range(start=1))
        one.journal._records.clear()
        await one.order(one.journal.pause, paused=False)
        await until(one.over)
    assert not one.sink.replays


# --- what was refused ------------------------------------------------------------------------


async def test_what_a_sink_refuses_in_a_replay_is_parked() -> None:
    async with bench() as one:
        ids = await one.append(1, 2, 3)
        await until(lambda: one.sink.got == ids)
        one.sink.behaviour = refuse(2)
        await one.order(one.journal.replay, Range(start=1))
        await until(one.over)
        [parked] = await one.journal.parked("scripted")
    assert (parked.seq, parked.reason) == (2, "HTTP 422")
    assert one.sink.replays == [1, 3]
    assert one.counted(REDELIVERED) == 2
    assert one.counted("backorder_parked_total") == 1


async def test_with_a_limit_of_attempts_a_replay_parks_what_is_stuck() -> None:
    retry = RetrySettings(initial=Duration(0.001), max=Duration(0.005), attempts=3)
    async with bench(options(retry=retry)) as one:
        ids = await one.append(1, 2, 3)
        await until(lambda: one.sink.got == ids)

        def stuck_on_two(batch: Sequence[Record]) -> Mapping[int, str]:
            for position, offered in enumerate(batch):
                if offered.seq == 2:
                    raise Unavailable("timeout", delivered=position)
            return {}

        one.sink.behaviour = stuck_on_two
        one.sink.offered.clear()
        await one.order(one.journal.replay, Range(start=1))
        await until(one.over)
        [parked] = await one.journal.parked("scripted")
    assert (parked.seq, parked.reason) == (2, "timeout")
    assert one.sink.offered == [[1, 2, 3], [2, 3], [2, 3], [3]]


async def test_a_replay_unparks_what_goes_through_now() -> None:
    async with bench() as one:
        one.sink.behaviour = refuse(2)
        ids = await one.append(1, 2, 3)
        await until(lambda: one.sink.got == [ids[0], ids[2]])
        one.sink.behaviour = lambda _: {}
        await one.order(one.journal.replay, Range(start=1))
        await until(one.over)
        assert not await one.journal.parked("scripted")


# --- looking at the orders -------------------------------------------------------------------


async def test_orders_cost_no_look_at_each_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench(options(batch=BatchSettings(events=1))) as one:
        really, looks = one.journal.orders, 0

        async def orders(sink: str) -> Orders:
            nonlocal looks
            looks += 1
            return await really(sink)

        monkeypatch.setattr(one.journal, "orders", orders)
        ids = await one.append(*range(1, 201))
        await until(lambda: one.sink.got == ids)
    assert looks <= 2


async def test_an_order_that_nobody_told_of_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "_ORDERS_STAND", 0.05)
    async with bench() as one:
        await one.journal.pause("scripted", paused=True)
        await until(lambda: one.is_paused)
        await one.journal.pause("scripted", paused=False)
        await until(lambda: not one.is_paused)


async def test_an_order_is_carried_out_without_waiting_for_the_next_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Wherever the pump waits: for something to do, while it is paused, in a back-off."""
    monkeypatch.setattr(signals, "_LOOK_AGAIN", 3600.0)
    monkeypatch.setattr(signals, "_ORDERS_STAND", 3600.0)
    async with bench() as one:
        await one.append(1)
        await until(lambda: one.counted("backorder_delivered_total") == 1)
        await one.order(one.journal.pause, paused=True)
        await until(lambda: one.is_paused)
        one.sink.behaviour = unavailable(retry_after=3600)
        await one.append(2)
        await one.order(one.journal.pause, paused=False)
        await until(lambda: one.state.reason == "the receiver is away")
        await one.order(one.journal.pause, paused=True)
        await until(lambda: one.is_paused)


async def test_an_order_that_changes_nothing_does_not_end_a_back_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    retry = RetrySettings(initial=Duration(0.001), max=Duration(0.005), attempts=2)
    async with bench(options(retry=retry)) as one:
        one.sink.behaviour = unavailable(retry_after=3600)
        await one.append(1)
        await until(lambda: one.state.reason == "the receiver is away")
        really, looks = one.journal.orders, 0

        async def orders(sink: str) -> Orders:
            nonlocal looks
            looks += 1
            return await really(sink)

        async def nothing_new() -> None:
            before = looks
            await one.order(one.journal.retry_parked, None)
            await until(lambda: looks > before)

        monkeypatch.setattr(one.journal, "orders", orders)
        for _ in range(3):
            await nothing_new()
        await one.order(one.journal.pause, paused=True)
        await until(lambda: one.is_paused)
        assert one.sink.offered == [[1]]
        assert not await one.parked()


async def test_an_attempt_before_it_was_due_does_not_count() -> None:
    retry = RetrySettings(initial=Duration(0.001), max=Duration(0.005), attempts=2)
    async with bench(options(retry=retry)) as one:
        one.sink.behaviour = unavailable(retry_after=3600)
        await one.append(1)
        for attempts in range(1, 5):
            await one.until_offered([1], times=attempts)
            await one.order(one.journal.pause, paused=True)
            await until(lambda: one.is_paused)
            await one.order(one.journal.pause, paused=False)
        await one.until_offered([1], times=5)
        assert not await one.parked()
    assert not await one.parked(), "nor does the one that is made before a stop"


async def test_a_replay_does_not_wait_for_the_end_of_a_back_off_nor_does_what_follows_its_end() -> (
    None
):
    async with bench() as one:
        ids = await one.append(1)
        await until(lambda: one.sink.got == ids)
        one.sink.behaviour = unavailable(retry_after=3600)
        ids += await one.append(2)
        await until(lambda: one.sink.offered == [[1], [2]])
        await one.order(one.journal.replay, Range(start=1))
        await until(lambda: one.sink.offered == [[1], [2], [1]])
        one.sink.behaviour = lambda _: {}
        await one.order(one.journal.end_replay)
        await until(lambda: one.sink.got == ids)
    assert not one.sink.replays


async def test_what_was_offered_again_is_not_while_the_journal_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with bench() as one:
        ids = await one.append(1, 2)
        await until(lambda: one.sink.got == ids)
        really, failures = one.journal.redelivered, iter(range(2))

        async def redelivered(*arguments: Any, **named: Any) -> None:
            if next(failures, None) is not None:
                raise JournalUnavailable("disk full")
            await really(*arguments, **named)

        monkeypatch.setattr(one.journal, "redelivered", redelivered)
        await one.order(one.journal.replay, Range(start=1))
        await until(one.over)
    assert one.sink.offered == [[1, 2], [1, 2]]
    assert one.told.outages == [("scripted", "disk full")]
