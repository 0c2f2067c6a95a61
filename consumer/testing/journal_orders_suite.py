"""The part of the repairing journal's suite that is about what persons want of sinks.

A sink that holds still, a replay, parked events that are offered once more. `JournalRepairSuite`
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


async def _passed(journal: RepairableJournal, count: int = 10, *sinks: str) -> Sequence[int]:
    """`count` events that the sinks have passed; their sequence numbers."""
    sinks = sinks or ("sink",)
    await journal.enroll(dict.fromkeys(sinks, True))
    await journal.append([entry(*(event(n) for n in range(count)))])
    seqs = [record.seq for record in await journal.read(0, limit=count)]
    for sink in sinks:
        await journal.advance(sink, seqs[-1], {})
    return seqs


async def _cursor(journal: RepairableJournal, sink: str = "sink") -> Cursor:
    return next(c for c in (await journal.positions()).cursors if c.sink == sink)


def _range(replay: Replay) -> tuple[int, int]:
    return replay.start, replay.end


class JournalOrdersSuite:
    """Tests for a journal; the fixture `journal` is the subclass's to give."""

    # --- pause -------------------------------------------------------------------------------

    async def test_a_sink_is_paused_until_it_is_resumed(self, journal: RepairableJournal) -> None:
        before = utc_now()
        seqs = await _passed(journal, 2, "sink", "other")
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
            journal.retrying("archiv", limit=1),
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
        seqs = await _passed(journal, 10, "sink", "other")
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
        await journal.redelivered("sink", seqs[5:7], {}, replayed=replace(replay, done=seqs[6]))
        assert await journal.orders("sink") == Orders()

    async def test_an_ended_replay_does_not_come_back(self, journal: RepairableJournal) -> None:
        seqs = await _passed(journal)
        replay = await journal.replay("sink", Range(start=seqs[0]))
        with pytest.raises(Refused, match=r"^sink sink gets events \d+ to \d+ again already"):
            await journal.replay("sink", Range(start=seqs[2]))
        assert await journal.end_replay("sink") == replay
        assert await journal.end_replay("sink") is None
        await journal.redelivered("sink", seqs[:2], {}, replayed=replace(replay, done=seqs[1]))
        assert await journal.orders("sink") == Orders()

    async def test_what_came_of_one_replay_does_not_move_another(
        self, journal: RepairableJournal
    ) -> None:
        seqs = await _passed(journal)
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
        seqs = await _passed(journal, 10, "sink", "partly", "other")
        for sink in ("sink", "partly", "other"):
            await journal.advance(sink, seqs[3], {})
        whole = await journal.replay("sink", Range(start=seqs[1]))
        part = await journal.replay("partly", Range(start=seqs[1], end=seqs[2]))
        await journal.advance("other", seqs[4], {})
        assert (await journal.orders("sink")).replay == whole
        for passed in (seqs[5], seqs[6]):
            for sink in ("sink", "partly"):
                await journal.advance(sink, passed, {})
            assert (await journal.orders("sink")).replay == replace(whole, end=passed)
        assert (await journal.orders("partly")).replay == part
        assert (await journal.orders("other")).replay is None
        assert (await _cursor(journal)).seq == seqs[6]
        further = replace(whole, end=seqs[6], done=seqs[3])
        await journal.redelivered("sink", seqs[1:4], {}, replayed=further)
        assert (await journal.orders("sink")).replay == further

    async def test_a_replay_ends_where_the_sink_is(self, journal: RepairableJournal) -> None:
        seqs = await _passed(journal)
        await journal.advance("sink", seqs[6], {})
        assert _range(await journal.replay("sink", Range(start=0))) == (seqs[0], seqs[6])
        await journal.end_replay("sink")
        replay = await journal.replay("sink", Range(start=seqs[5], end=seqs[9]))
        assert _range(replay) == (seqs[5], seqs[6])

    async def test_a_replay_without_events_is_refused(self, journal: RepairableJournal) -> None:
        await journal.enroll({"sink": True})
        with pytest.raises(Refused, match="has passed events up to 0; nothing there"):
            await journal.replay("sink", Range(start=0))
        seqs = await _passed(journal)
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
        seqs = await _passed(journal)
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
        seqs = await _passed(journal)
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

    # --- parked events -----------------------------------------------------------------------

    async def test_parked_events_are_read_page_by_page(self, journal: RepairableJournal) -> None:
        seqs = await _passed(journal, 4, "a", "b")
        for sink in ("a", "b"):
            await journal.advance(sink, seqs[-1], dict.fromkeys(seqs, "no"))
        for one, wanted in ((None, ["a", "b"]), ("b", ["b"])):
            after, found = (0, ""), []
            while page := await journal.parked(one, limit=3, after=after):
                found += [(row.seq, row.sink) for row in page]
                after = found[-1]
            assert found == [(seq, name) for seq in seqs for name in wanted]

    async def test_parked_events_are_offered_once_more(self, journal: RepairableJournal) -> None:
        seqs = await _passed(journal, 6, "sink", "other")
        refused = dict.fromkeys(seqs[:5], "too long")
        for sink in ("sink", "other"):
            await journal.advance(sink, seqs[-1], refused)
        assert await journal.retry_parked("sink", [seqs[3], seqs[1], seqs[5], 10**30]) == 2
        assert await journal.retry_parked("sink", [seqs[1], seqs[2]]) == 2
        assert (await journal.orders("sink")).retrying == 3
        assert (await journal.orders("other")).retrying == 0
        rows = await journal.retrying("sink", limit=9)
        assert [row.seq for row in rows] == seqs[1:4]
        assert [row.record.seq for row in rows if row.record] == seqs[1:4]
        assert [row.seq for row in await journal.retrying("sink", limit=1)] == [seqs[1]]
        marked = [row.seq for row in await journal.parked("sink") if row.retrying]
        assert marked == seqs[1:4]

        (before,) = [row for row in await journal.parked("sink") if row.seq == seqs[2]]
        await journal.redelivered("sink", [seqs[1]], {seqs[2]: "still too long"})
        left = {row.seq: row for row in await journal.parked("sink")}
        assert sorted(left) == [seqs[0], *seqs[2:5]]
        assert (left[seqs[2]].reason, left[seqs[2]].retrying) == ("still too long", False)
        assert left[seqs[2]].parked >= before.parked
        assert [row.seq for row in await journal.retrying("sink", limit=9)] == [seqs[3]]
        assert await journal.retry_parked("sink", None) == 4
        assert len(await journal.parked("other")) == 5

    async def test_what_a_replay_offers_is_parked_and_unparked_too(
        self, journal: RepairableJournal
    ) -> None:
        seqs = await _passed(journal, 4)
        await journal.advance("sink", seqs[-1], {seqs[0]: "no", seqs[1]: "no"})
        replay = await journal.replay("sink", Range(start=0))
        over = replace(replay, done=seqs[3])
        await journal.redelivered("sink", [seqs[0], seqs[2]], {seqs[3]: "now"}, replayed=over)
        assert [(row.seq, row.reason) for row in await journal.parked()] == [
            (seqs[1], "no"),
            (seqs[3], "now"),
        ]

    async def test_a_marked_event_is_not_pruned(self, journal: RepairableJournal) -> None:
        seqs = await _passed(journal, 4)
        await journal.advance("sink", seqs[-1], {seqs[1]: "no"})
        await journal.retry_parked("sink", None)
        assert await journal.prune(utc_now() + timedelta(seconds=1), ["sink"]) == 3
        assert [row.seq for row in await journal.retrying("sink", limit=9)] == [seqs[1]]
        await journal.redelivered("sink", [seqs[1]], {})
        assert await journal.prune(utc_now() + timedelta(seconds=1), ["sink"]) == 1

    async def test_an_event_that_is_gone_cannot_be_offered(
        self, journal: RepairableJournal
    ) -> None:
        seqs = await _passed(journal, 3)
        await journal.prune(utc_now() + timedelta(seconds=1), ["sink"])
        await journal.redelivered("sink", [], {seqs[1]: "it was in hand when it was pruned"})
        assert await journal.retry_parked("sink", None) == 0
        assert await journal.retry_parked("sink", [seqs[1]]) == 0
        assert await journal.orders("sink") == Orders()
        assert list(await journal.retrying("sink", limit=9)) == []
        (row,) = await journal.parked("sink")
        assert (row.record, row.retrying) == (None, False)

    async def test_parked_events_are_discarded(self, journal: RepairableJournal) -> None:
        seqs = await _passed(journal, 5, "sink", "other")
        for sink in ("sink", "other"):
            await journal.advance(sink, seqs[-1], dict.fromkeys(seqs[:4], "no"))
        assert await journal.discard_parked("sink", [seqs[0], seqs[4], 10**30]) == 1
        assert [row.seq for row in await journal.parked("sink")] == seqs[1:4]
        assert await journal.discard_parked("sink", []) == 0
        assert await journal.discard_parked("sink", None) == 3
        assert await journal.discard_parked("sink", None) == 0
        assert len(await journal.parked("other")) == 4
