"""The contract that every sink keeps, as a suite of tests to derive from.

    class TestMine(SinkSuite):
        @pytest.fixture
        def outlet(self, tmp_path):
            return MyOutlet(tmp_path)

An `Outlet` is the test's view of the receiver: it builds sinks that send to it, tells what
arrived, and can be down for a while. A sink whose receiver can refuse single events derives from
`RefusingSinkSuite` and gives a `RefusingOutlet`. Needs pytest-asyncio in its automatic mode.

What counts is order of *first* appearance: delivery is at least once, so an event may arrive again
after a failure, but an event that arrives for the first time never overtakes an older one.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress

import pytest

from consumer.dispatcher import marked
from consumer.errors import Refused, Unavailable
from consumer.model import Record
from consumer.ports import Sink
from consumer.testing.builders import record

PATIENCE = 30.0
"""Seconds after which a test gives up waiting for what must happen."""

LEAVING = 10.0
"""Seconds that closing a sink may take: the "few" of `Sink.__aexit__`, and some for slow tests."""


class Outlet(ABC):
    """One receiver as a test sees it."""

    @abstractmethod
    def sink(self) -> Sink:
        """A new sink that sends to this receiver; the suite enters and leaves it."""

    @abstractmethod
    async def arrived(self) -> Sequence[str]:
        """The ids of the events that the receiver has, in order of arrival, repeated ones too."""

    @abstractmethod
    def outage(self) -> AbstractAsyncContextManager[None]:
        """While this is entered the receiver takes nothing; nothing that it has is lost."""


class RefusingOutlet(Outlet):
    """A receiver that can refuse single events for good."""

    @abstractmethod
    def refuse(self, ids: Collection[str]) -> None:
        """Refuse these events from now on, and take all others."""


def records(first: int, last: int) -> list[Record]:
    """Records with the sequence numbers from `first` to `last`."""
    return [record(seq) for seq in range(first, last + 1)]


def replay(first: int, last: int) -> list[Record]:
    """The same as they are offered again when a person asked for it."""
    return [marked(each) for each in records(first, last)]


def first_appearances(ids: Sequence[str]) -> list[str]:
    """The ids without repetitions, in order of first appearance."""
    return list(dict.fromkeys(ids))


def left(batch: Sequence[Record], unavailable: Unavailable) -> Sequence[Record]:
    """What is still to be offered; at least one event, or there was no reason to raise."""
    assert 0 <= unavailable.delivered < len(batch)
    return batch[unavailable.delivered :]


async def deliver_patiently(sink: Sink, batch: Sequence[Record]) -> Mapping[int, str]:
    """Offer a batch until the sink has it all, as the dispatcher does; what it refused."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                return await sink.deliver(batch)
            except Unavailable as unavailable:
                batch = left(batch, unavailable)
                await asyncio.sleep(0.05)


async def deliver_in_vain(sink: Sink, batch: Sequence[Record]) -> Sequence[Record]:
    """Offer a batch while the receiver is down; what is still to be offered."""
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(Unavailable) as caught:
            await sink.deliver(batch)
    assert caught.value.reason
    return left(batch, caught.value)


class SinkSuite:
    """What every sink promises; derive and give the fixture `outlet`."""

    async def test_delivers_everything_in_order(self, outlet: Outlet) -> None:
        """Every event of every batch, in journal order, each once where nothing fails."""
        async with outlet.sink() as sink:
            for first, last in ((1, 1), (2, 40), (41, 60)):
                assert await deliver_patiently(sink, records(first, last)) == {}
        assert list(await outlet.arrived()) == [entry.id for entry in records(1, 60)]

    async def test_an_empty_batch_sends_nothing(self, outlet: Outlet) -> None:
        """Nothing to deliver is not an error."""
        async with outlet.sink() as sink:
            assert await deliver_patiently(sink, []) == {}
        assert not await outlet.arrived()

    async def test_what_was_delivered_is_there_before_the_sink_closes(self, outlet: Outlet) -> None:
        """`deliver` returns when the receiver has the events, not when the sink closes."""
        async with outlet.sink() as sink:
            await deliver_patiently(sink, records(1, 3))
            assert list(await outlet.arrived()) == [entry.id for entry in records(1, 3)]

    async def test_a_second_sink_goes_on_after_the_first(self, outlet: Outlet) -> None:
        """A restart of the daemon loses nothing that was there."""
        for first in (1, 4):
            async with outlet.sink() as sink:
                await deliver_patiently(sink, records(first, first + 2))
        assert list(await outlet.arrived()) == [entry.id for entry in records(1, 6)]

    async def test_recovers_when_the_receiver_does(self, outlet: Outlet) -> None:
        """An outage shows as `Unavailable`; afterwards the same sink goes on in order."""
        async with outlet.sink() as sink:
            await deliver_patiently(sink, records(1, 5))
            async with outlet.outage():
                rest = await deliver_in_vain(sink, records(6, 15))
                rest = await deliver_in_vain(sink, rest)
            await deliver_patiently(sink, rest)
            await deliver_patiently(sink, records(16, 20))
        arrived = first_appearances(await outlet.arrived())
        assert arrived == [entry.id for entry in records(1, 20)]

    async def test_a_replay_arrives_though_the_events_were_there_before(
        self, outlet: Outlet
    ) -> None:
        """In order, and before what is offered behind it."""
        async with outlet.sink() as sink:
            await deliver_patiently(sink, records(1, 5))
            assert await deliver_patiently(sink, replay(2, 4)) == {}
            await deliver_patiently(sink, records(6, 7))
        wanted = [*records(1, 5), *records(2, 4), *records(6, 7)]
        assert list(await outlet.arrived()) == [entry.id for entry in wanted]

    async def test_a_replay_may_come_between_an_outage_and_what_it_left_behind(
        self, outlet: Outlet
    ) -> None:
        """What was under way when the receiver went down is no answer to the replay."""
        async with outlet.sink() as sink:
            await deliver_patiently(sink, records(1, 5))
            async with outlet.outage():
                rest = await deliver_in_vain(sink, records(6, 9))
            arrived = list(await outlet.arrived())
            await deliver_patiently(sink, replay(1, 5))
            await deliver_patiently(sink, rest)
        wanted = [entry.id for entry in [*records(1, 5), *rest]]
        assert list(await outlet.arrived())[len(arrived) :] == wanted

    async def test_starts_while_the_receiver_is_down(self, outlet: Outlet) -> None:
        """Entering a sink needs no receiver, and neither does leaving it."""
        async with outlet.outage():
            async with outlet.sink() as sink:
                await deliver_in_vain(sink, records(1, 2))
            waiting = outlet.sink()
            await waiting.__aenter__()
        try:
            await deliver_patiently(waiting, records(1, 3))
        finally:
            await waiting.__aexit__(None, None, None)
        arrived = first_appearances(await outlet.arrived())
        assert arrived == [entry.id for entry in records(1, 3)]

    async def test_a_cancelled_delivery_is_offered_again(self, outlet: Outlet) -> None:
        """Cancelling `deliver` at any moment costs at most repetitions."""
        async with outlet.sink() as sink:
            await deliver_patiently(sink, records(1, 2))
            for turns in (0, 1, 2, 5, 20):
                delivery = asyncio.ensure_future(sink.deliver(records(3, 30)))
                for _ in range(turns):
                    await asyncio.sleep(0)
                delivery.cancel()
                with suppress(asyncio.CancelledError, Unavailable):
                    await delivery
            await deliver_patiently(sink, records(3, 30))
            await deliver_patiently(sink, records(31, 33))
        arrived = first_appearances(await outlet.arrived())
        assert arrived == [entry.id for entry in records(1, 33)]

    async def test_check_reaches_the_receiver_and_changes_nothing(self, outlet: Outlet) -> None:
        """`check` tells what it found, a line each, and sends nothing."""
        async with asyncio.timeout(PATIENCE):
            lines = await outlet.sink().check()
        assert lines
        assert all(line.strip() and "\n" not in line for line in lines)
        assert not await outlet.arrived()

    async def test_check_says_what_is_wrong(self, outlet: Outlet) -> None:
        """`check` on a receiver that is down raises, with a reason."""
        async with outlet.outage(), asyncio.timeout(PATIENCE):
            with pytest.raises((Unavailable, Refused)) as caught:
                await outlet.sink().check()
        assert str(caught.value)

    async def test_leaves_soon(self, outlet: Outlet) -> None:
        """Leaving is bounded, even where a delivery hangs on a receiver that is down."""
        sink = outlet.sink()
        await sink.__aenter__()
        async with outlet.outage():
            delivery = asyncio.ensure_future(sink.deliver(records(1, 3)))
            await asyncio.sleep(0)
            delivery.cancel()
            with suppress(asyncio.CancelledError, Unavailable):
                await delivery
            async with asyncio.timeout(LEAVING):
                await sink.__aexit__(None, None, None)


class RefusingSinkSuite(SinkSuite):
    """The same and more, for a sink whose receiver may refuse single events for good."""

    async def test_refused_events_are_told_and_spoil_no_other(self, outlet: RefusingOutlet) -> None:
        """`deliver` returns the refused ones by sequence number; every other event arrives."""
        batch = records(1, 12)
        refused = {1, 5, 6, 12}
        outlet.refuse({entry.id for entry in batch if entry.seq in refused})
        async with outlet.sink() as sink:
            told = await deliver_patiently(sink, batch)
        assert set(told) == refused
        assert all(reason.strip() for reason in told.values())
        arrived = first_appearances(await outlet.arrived())
        assert arrived == [entry.id for entry in batch if entry.seq not in refused]

    async def test_a_whole_batch_may_be_refused(self, outlet: RefusingOutlet) -> None:
        """The sink goes on with the next batch."""
        outlet.refuse({entry.id for entry in records(1, 3)})
        async with outlet.sink() as sink:
            assert set(await deliver_patiently(sink, records(1, 3))) == {1, 2, 3}
            assert await deliver_patiently(sink, records(4, 5)) == {}
        assert list(await outlet.arrived()) == [entry.id for entry in records(4, 5)]

    async def test_a_refusal_is_told_though_an_outage_follows(self, outlet: RefusingOutlet) -> None:
        """No event is passed over: each arrives, or is told as refused once `deliver` returns."""
        batch = records(3, 8)
        refused = {3, 5}
        outlet.refuse({entry.id for entry in batch if entry.seq in refused})
        async with outlet.sink() as sink:
            await deliver_patiently(sink, records(1, 2))
            async with outlet.outage():
                rest = await deliver_in_vain(sink, batch)
                rest = await deliver_in_vain(sink, rest)
            told = await deliver_patiently(sink, rest)
        assert set(told) == refused
        arrived = first_appearances(await outlet.arrived())
        assert arrived == [entry.id for entry in records(1, 8) if entry.seq not in refused]
