"""The part of the journal's suite that is about what it remembers beside the log itself.

Cursors, parked events, the state of order lines, and what pruning leaves. `JournalSuite` has it.
"""
# ruff: noqa: D102, PLR2004 - a test's name says what it shows, numbers in expectations likewise

import asyncio
from datetime import timedelta

from consumer.model import utc_now
from consumer.ports import Journal
from consumer.testing.builders import MOMENT, entry, event, message


class JournalStateSuite:
    """Tests for a journal; the fixture `journal` is the subclass's to give."""

    # --- cursors -----------------------------------------------------------------------------

    async def test_new_sinks_start_at_the_oldest_event_or_now(self, journal: Journal) -> None:
        await journal.append([entry(event(1), event(2))])
        head = (await journal.positions()).head
        cursors = await journal.enroll({"all": True, "new": False})
        assert len(await journal.read(cursors["all"], limit=9)) == 2
        assert cursors["new"] == head
        await journal.append([entry(event(3))])
        assert await journal.enroll({"new": True, "all": False}) == cursors

    async def test_positions_tell_what_is_before_each_sink(self, journal: Journal) -> None:
        await journal.enroll({"fast": True, "slow": True})
        await journal.append([entry(*(event(n) for n in range(5)))])
        records = await journal.read(0, limit=9)
        await journal.advance("fast", records[-1].seq, {records[0].seq: "no", records[1].seq: "no"})
        await journal.advance("slow", records[1].seq, {})
        positions = await journal.positions()
        assert len(positions.journal) >= 16
        assert (positions.head, positions.oldest) == (records[-1].seq, records[0].seq)
        fast, slow = positions.cursors
        assert (fast.sink, fast.seq, fast.pending) == ("fast", positions.head, 0)
        assert (fast.oldest_pending, fast.parked) == (None, 2)
        assert (slow.sink, slow.seq, slow.pending) == ("slow", records[1].seq, 3)
        assert (slow.oldest_pending, slow.parked) == (records[2].recorded, 0)

    async def test_a_cursor_can_go_back(self, journal: Journal) -> None:
        await journal.append([entry(event(1), event(2))])
        await journal.enroll({"sink": False})
        await journal.advance("sink", 0, {})
        assert (await journal.positions()).cursors[0].pending == 2

    async def test_refused_events_are_parked_by_sink(self, journal: Journal) -> None:
        await journal.append([entry(*(event(n) for n in range(3)))])
        records = await journal.read(0, limit=9)
        one, two, three = (record.seq for record in records)
        await journal.advance("b", three, {three: "too long", one: "too short"})
        await journal.advance("a", two, {two: "not mine"})
        rows = await journal.parked()
        assert [(row.sink, row.seq, row.reason, row.record) for row in rows] == [
            ("b", one, "too short", records[0]),
            ("a", two, "not mine", records[1]),
            ("b", three, "too long", records[2]),
        ]
        assert [row.seq for row in await journal.parked("b")] == [one, three]
        assert [row.seq for row in await journal.parked(limit=1)] == [one]

    # --- the state of order lines ------------------------------------------------------------

    async def test_a_line_is_carried_from_event_to_event(self, journal: Journal) -> None:
        await journal.append([entry(event(1, time="2024-05-01"))])
        (opened,) = await journal.backorders()
        assert (opened.order, opened.line, opened.item) == ("000000000001", "1", "73-00000001")
        assert (opened.quantity, opened.delay, opened.ended) == ("1", "backorder", None)
        assert opened.description == "Product Description"
        assert opened.updated.isoformat() == "2024-05-01T00:00:00+00:00"
        await journal.append([entry(event(1, type="backorder.updated"))])
        (updated,) = await journal.backorders()
        assert (updated.type, updated.since) == ("backorder.updated", opened.since)
        assert updated.updated == MOMENT
        assert updated.seq > opened.seq

    async def test_a_cleared_line_ends_and_may_come_back(self, journal: Journal) -> None:
        said = [
            event(1),
            event(1, type="backorder.cleared"),
            event(1, type="backorder.cleared", time="2017-01-01T00:00:00Z"),
            event(1, type="backorder.updated"),
        ]
        await journal.append([entry(*said[:2])])
        assert list(await journal.backorders()) == []
        (ended,) = await journal.backorders(ended=True)
        assert ended.ended is not None
        await journal.append([entry(said[2])])
        (still,) = await journal.backorders(ended=True)
        assert (still.since, still.ended) == (ended.since, ended.ended)
        await journal.append([entry(said[3])])
        (back,) = await journal.backorders()
        assert back.ended is None
        assert back.since > ended.since

    async def test_lines_are_listed_longest_first_by_source(self, journal: Journal) -> None:
        for n in (3, 1, 2):
            await journal.append([entry(event(n), message=message(source=f"source-{n % 2}"))])
        orders = [int(line.order or 0) for line in await journal.backorders()]
        assert orders == [3, 1, 2]
        lines = await journal.backorders(source="source-1", limit=1)
        assert [(line.order, line.origin) for line in lines] == [("000000000003", "source-1")]

    async def test_lines_of_different_sources_are_different(self, journal: Journal) -> None:
        await journal.append([entry(event(1), event(1, source="/radial/TMS_CA"))])
        assert {line.source for line in await journal.backorders()} == {
            "/radial/TMS_US",
            "/radial/TMS_CA",
        }

    # --- pruning -----------------------------------------------------------------------------

    async def test_pruning_spares_what_a_sink_has_before_it(self, journal: Journal) -> None:
        await journal.enroll({"fast": True, "slow": True})
        await journal.append([entry(*(event(n) for n in range(10)))])
        seqs = [record.seq for record in await journal.read(0, limit=99)]
        await journal.advance("fast", seqs[-1], {seqs[1]: "parked events stay"})
        await journal.advance("slow", seqs[4], {})
        later = utc_now() + timedelta(seconds=1)
        assert await journal.prune(utc_now() - timedelta(hours=1), ["fast"]) == 0
        assert await journal.prune(later, ["fast", "unknown"]) == 0
        assert await journal.prune(later, ["fast", "slow"]) == 4
        left = [record.seq for record in await journal.read(0, limit=99)]
        assert left == [seqs[1], *seqs[5:]]
        assert [row.record is not None for row in await journal.parked()] == [True]
        assert (await journal.positions()).cursors[1].pending == 5
        await journal.advance("slow", 0, {})
        assert (await journal.positions()).cursors[1].pending == 6

    async def test_the_head_outlives_its_events(self, journal: Journal) -> None:
        await journal.append([entry(*(event(n) for n in range(2_500)))])
        head = (await journal.positions()).head
        assert await journal.prune(utc_now() + timedelta(seconds=1), []) == 2_500
        assert (await journal.positions()).head == head
        assert await journal.enroll({"late": True}) == {"late": head}
        (outcome,) = await journal.append([entry(event(1))])
        assert outcome.accepted == 1  # ids are remembered for as long as their events
        assert [record.seq > head for record in await journal.read(0, limit=9)] == [True]
        assert (await journal.positions()).cursors[0].pending == 1

    async def test_appends_go_on_while_pruning(self, journal: Journal) -> None:
        await journal.append([entry(*(event(n) for n in range(3_000)))])
        moment = utc_now()
        removed, *outcomes = await asyncio.gather(
            journal.prune(moment, []),
            *(journal.append([entry(event(10_000 + n))]) for n in range(20)),
        )
        assert removed == 3_000
        assert len(outcomes) == 20
        assert len(await journal.read(0, limit=99)) == 20
