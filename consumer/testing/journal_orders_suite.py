"""The part of the repairing journal's suite that is about what persons want of sinks.

A sink that holds still, a replay, and, by `JournalParkedSuite`, parked events. `JournalRepairSuite`
has it.
"""
# ruff: noqa: D102, PLR2004 - a test's name says what it shows, numbers in expectations likewise

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from msgspec.structs import replace

from consumer.errors import Refused
from consumer.model import Cursor, Replay, utc_now
from consumer.repair import Orders, Range, RepairableJournal
from consumer.testing.builders import entry, event, message
from consumer.testing.journal_parked_suite import FIT, JournalParkedSuite, passed


async def _cursor(journal: RepairableJournal, sink: str = "sink") -> Cursor:
    return next(c for c in (await journal.positions()).cursors if c.sink == sink)


def _range(replay: Replay) -> tuple[int, int]:
    return replay.start, replay.end


class JournalOrdersSuite(JournalParkedSuite):
    """Tests for a journal; the fixture `journal` is the subclass's to give."""

    # --- pause -------------------------------------------------------------------------------

    async def test_a_sink_is_paused_until_it_is_resumed(self, journal: RepairableJournal) -> None:
        before = utc_now()
        seqs = await passed(journal, 2, "sink", "other")
        await journal.pause("sink", paused=True)
        orders = await journal.orders("sink")
        assert orders.paused is not None
        assert before <= orders.paused <= utc_now()
        await journal.pause("sink", paused=True)
        await journal.advance("sink", seqs[0], {})  # what it had in hand
        assert await journal.orders("sink") == orders
        assert (await _cursor(journal)).paused == orders.paused
        assert (await _cursor(journal, "other")).paused is None
        for _ in range(2):
            await journal.pause("sink", paused=False)
            assert await journal.orders("sink") == Orders()

    async def test_an_unknown_sink_is_refused_and_spoils_nothing(
        self, journal: RepairableJournal
    ) -> None:
        await journal.enroll({"archive": True})
        refusals = await asyncio.gather(
            journal.pause("archiv", paused=True),
            journal.replay("archiv", Range(start=0)),
            journal.end_replay("archiv"),
            journal.retry_parked("archiv", None),
            journal.discard_parked("archiv", [1]),
            journal.redelivered("archiv", [], {1: "no"}),
            journal.orders("archiv"),
            journal.retrying("archiv", limit=1, max_bytes=FIT),
            journal.append([entry(event(1))]),
            return_exceptions=True,
        )
        *refusals, appended = refusals
        assert not isinstance(appended, BaseException)
        for refused in refusals:
            assert isinstance(refused, Refused)
            assert refused.reason == "no sink of this name: archiv; is it archive?"
        with pytest.raises(Refused, match=r"^no sink of this name: 'x\\\?$"):
            await journal.pause("'x\\?", paused=True)
        assert await journal.parked() == []
        assert [c.sink for c in (await journal.positions()).cursors] == ["archive"]

    # --- replay ------------------------------------------------------------------------------

    async def test_a_replay_is_written_down_and_carried_along(
        self, journal: RepairableJournal
    ) -> None:
        seqs = await passed(journal, 10, "sink", "other")
        before = utc_now()
        replay = await journal.replay("sink", Range(start=seqs[3], end=seqs[6]))
        assert (replay.start, replay.end, replay.done) == (seqs[3], seqs[6], seqs[3] - 1)
        assert before <= replay.requested <= utc_now()
        assert (await journal.orders("sink")).replay == replay
        assert (await _cursor(journal)).replay == replay
        assert (await journal.orders("other")).replay is None
        further = replace(replay, done=seqs[4])
        await journal.redelivered("sink", seqs[3:5], {}, replayed=further)
        assert await journal.orders("sink") == Orders(replay=further)
        assert (await _cursor(journal)).seq == seqs[-1]
        over = replace(replay, done=seqs[6])
        await journal.redelivered("sink", seqs[5:7], {}, replayed=over)
        assert await journal.orders("sink") == Orders()
        assert (await _cursor(journal)).replay == over

    async def test_a_replay_that_is_over_is_remembered(self, journal: RepairableJournal) -> None:
        seqs = await passed(journal)
        await journal.advance("sink", seqs[5], {})
        replay = await journal.replay("sink", Range(start=seqs[3]))
        over = replace(replay, done=seqs[5])
        await journal.redelivered("sink", seqs[3:6], {}, replayed=over)
        await journal.advance("sink", seqs[6], {})  # it ended at the cursor, but it is over
        await journal.redelivered("sink", [], {}, replayed=replace(replay, done=seqs[3]))
        assert await journal.end_replay("sink") is None
        assert (await _cursor(journal)).replay == over
        assert over.over
        assert await journal.orders("sink") == Orders()
        another = await journal.replay("sink", Range(start=seqs[1], end=seqs[2]))
        assert (await _cursor(journal)).replay == another
        assert await journal.end_replay("sink") == another
        assert (await _cursor(journal)).replay is None  # a person ended that one

    async def test_what_a_replay_still_has_to_send_is_not_pruned(
        self, journal: RepairableJournal
    ) -> None:
        seqs = await passed(journal, 10, "sink", "other", "third")
        sinks, later = ["sink", "other"], utc_now() + timedelta(seconds=1)
        replay = await journal.replay("sink", Range(start=seqs[3], end=seqs[6]))
        await journal.replay("third", Range(start=seqs[2]))
        await journal.pause("sink", paused=True)
        assert await journal.prune(later, sinks) == 3
        further = replace(replay, done=seqs[4])
        await journal.redelivered("sink", seqs[3:5], {}, replayed=further)
        assert await journal.prune(later, sinks) == 2
        assert [record.seq for record in await journal.read(0, limit=99)] == seqs[5:]
        await journal.redelivered("sink", seqs[5:7], {}, replayed=replace(replay, done=seqs[6]))
        await journal.replay("sink", Range(start=seqs[8]))
        await journal.advance("sink", seqs[5], {})  # back again, before its replay
        assert await journal.prune(later, sinks) == 1
        await journal.advance("sink", seqs[9], {})
        assert await journal.prune(later, sinks) == 2
        await journal.end_replay("sink")
        assert await journal.prune(later, sinks) == 2

    async def test_an_ended_replay_does_not_come_back(self, journal: RepairableJournal) -> None:
        seqs = await passed(journal)
        replay = await journal.replay("sink", Range(start=seqs[0]))
        with pytest.raises(Refused, match=r"^sink sink has a replay already, of events \d+ to \d+"):
            await journal.replay("sink", Range(start=seqs[2]))
        assert await journal.end_replay("sink") == replay
        assert await journal.end_replay("sink") is None
        await journal.redelivered("sink", seqs[:2], {}, replayed=replace(replay, done=seqs[1]))
        assert await journal.orders("sink") == Orders()

    async def test_what_came_of_one_replay_does_not_move_another(
        self, journal: RepairableJournal
    ) -> None:
        seqs = await passed(journal)
        await journal.replay("sink", Range(start=seqs[2], source="radial-queue"))
        orders = await journal.orders("sink")
        assert orders.replay is not None
        others: Sequence[dict[str, object]] = [
            {"requested": orders.replay.requested - timedelta(microseconds=1)},
            {"start": seqs[1]},
            {"end": seqs[8]},
            {"source": None},
            {"source": "mvet"},
        ]
        for other in others:
            for done in (seqs[4], seqs[9]):
                told = replace(orders.replay, done=done, **other)
                await journal.redelivered("sink", [seqs[3]], {}, replayed=told)
                assert await journal.orders("sink") == orders

    async def test_what_a_sink_has_in_hand_becomes_part_of_a_replay_of_all_that_it_has_passed(
        self, journal: RepairableJournal
    ) -> None:
        seqs = await passed(journal, 10, "sink", "partly", "other")
        for sink in ("sink", "partly", "other"):
            await journal.advance(sink, seqs[3], {})
        whole = await journal.replay("sink", Range(start=seqs[1]))
        part = await journal.replay("partly", Range(start=seqs[1], end=seqs[2]))
        await journal.advance("other", seqs[4], {})
        assert (await journal.orders("sink")).replay == whole
        for behind in (seqs[5], seqs[6]):
            for sink in ("sink", "partly"):
                await journal.advance(sink, behind, {})
            assert (await journal.orders("sink")).replay == replace(whole, end=behind)
        assert (await journal.orders("partly")).replay == part
        assert (await journal.orders("other")).replay is None
        assert (await _cursor(journal)).seq == seqs[6]
        further = replace(whole, end=seqs[6], done=seqs[3])
        await journal.redelivered("sink", seqs[1:4], {}, replayed=further)
        assert (await journal.orders("sink")).replay == further

    async def test_a_replay_goes_along_with_every_step_of_its_sink(
        self, journal: RepairableJournal
    ) -> None:
        seqs = await passed(journal, 10, "sink", "other")
        await journal.advance("sink", seqs[2], {})
        replay = await journal.replay("sink", Range(start=seqs[0]))
        steps = [("sink", 3), ("other", 4), ("sink", 4), ("sink", 6), ("other", 5)]
        await asyncio.gather(*(journal.advance(sink, seqs[n], {}) for sink, n in steps))
        assert (await journal.orders("sink")).replay == replace(replay, end=seqs[6])
        assert (await _cursor(journal)).seq == seqs[6]
        assert (await _cursor(journal, "other")).seq == seqs[5]

    async def test_a_replay_ends_where_the_sink_is(self, journal: RepairableJournal) -> None:
        seqs = await passed(journal)
        await journal.advance("sink", seqs[6], {})
        assert _range(await journal.replay("sink", Range(start=0))) == (seqs[0], seqs[6])
        await journal.end_replay("sink")
        replay = await journal.replay("sink", Range(start=seqs[5], end=seqs[9]))
        assert _range(replay) == (seqs[5], seqs[6])

    async def test_a_replay_without_events_is_refused(self, journal: RepairableJournal) -> None:
        await journal.enroll({"sink": True})
        with pytest.raises(Refused, match="has passed events up to 0; nothing there"):
            await journal.replay("sink", Range(start=0))
        seqs = await passed(journal)
        await journal.advance("sink", seqs[6], {})
        wanted = [
            Range(start=seqs[7]),
            Range(start=10**30),
            Range(since=utc_now() + timedelta(hours=1)),
            Range(start=0, end=seqs[0] - 1),
        ]
        for each in wanted:
            with pytest.raises(Refused, match=f"has passed events up to {seqs[6]}; nothing there"):
                await journal.replay("sink", each)
        with pytest.raises(Refused, match="nothing of source mvet there to send again"):
            await journal.replay("sink", Range(start=0, source="mvet"))
        assert await journal.orders("sink") == Orders()

    async def test_a_replay_of_what_was_pruned_begins_behind_it(
        self, journal: RepairableJournal
    ) -> None:
        seqs = await passed(journal)
        await journal.advance("sink", seqs[4], {})
        assert await journal.prune(utc_now() + timedelta(seconds=1), ["sink"]) == 5
        await journal.advance("sink", seqs[6], {})
        assert _range(await journal.replay("sink", Range(start=0))) == (seqs[5], seqs[6])
        await journal.end_replay("sink")
        await journal.advance("sink", seqs[9], {seqs[5]: "parked, so it stays"})
        assert await journal.prune(utc_now() + timedelta(seconds=1), ["sink"]) == 4
        with pytest.raises(Refused, match="nothing there"):
            await journal.replay("sink", Range(start=seqs[6]))

    async def test_a_replay_from_a_moment_on(self, journal: RepairableJournal) -> None:
        seqs = await passed(journal)
        later = utc_now()
        await journal.append([entry(event(11), event(12), message=message(source="mvet"))])
        *_, one, two = await journal.read(0, limit=99)
        await journal.advance("sink", two.seq, {})
        replay = await journal.replay("sink", Range(since=later))
        assert _range(replay) == (one.seq, two.seq)
        await journal.end_replay("sink")
        replay = await journal.replay("sink", Range(since=one.recorded, source="mvet"))
        assert (_range(replay), replay.source) == ((one.seq, two.seq), "mvet")
        assert (await _cursor(journal)).replay == replay
        await journal.end_replay("sink")
        hour_ago = Range(since=later - timedelta(hours=1))
        assert _range(await journal.replay("sink", hour_ago)) == (seqs[0], two.seq)
