"""The part of the repairing journal's suite that is about parked events.

They are listed, offered once more, discarded. `JournalOrdersSuite` has it.
"""
# ruff: noqa: D102, PLR2004 - a test's name says what it shows, numbers in expectations likewise

from collections.abc import Sequence
from datetime import timedelta

import pytest
from msgspec.structs import replace

from consumer.errors import Refused
from consumer.model import utc_now
from consumer.repair import Orders, Range, RepairableJournal
from consumer.testing.builders import data, entry, event

FIT = 1 << 20
"""Bytes into which all bodies of a test fit."""


async def passed(journal: RepairableJournal, count: int = 10, *sinks: str) -> Sequence[int]:
    """`count` events that the sinks have passed; their sequence numbers."""
    sinks = sinks or ("sink",)
    await journal.enroll(dict.fromkeys(sinks, True))
    await journal.append([entry(*(event(n) for n in range(count)))])
    seqs = [record.seq for record in await journal.read(0, limit=count)]
    for sink in sinks:
        await journal.advance(sink, seqs[-1], {})
    return seqs


class JournalParkedSuite:
    """Tests for a journal; the fixture `journal` is the subclass's to give."""

    # --- parked events -----------------------------------------------------------------------

    async def test_parked_events_are_read_page_by_page(self, journal: RepairableJournal) -> None:
        seqs = await passed(journal, 4, "a", "b")
        for sink in ("a", "b"):
            await journal.advance(sink, seqs[-1], dict.fromkeys(seqs, "no"))
        for one, wanted in ((None, ["a", "b"]), ("b", ["b"])):
            after, found = (0, ""), []
            while page := await journal.parked(one, limit=3, after=after):
                found += [(row.seq, row.sink) for row in page]
                after = found[-1]
            assert found == [(seq, name) for seq in seqs for name in wanted]

    async def test_parked_events_are_listed_without_bodies(
        self, journal: RepairableJournal
    ) -> None:
        seqs = await passed(journal, 3)
        await journal.prune(utc_now() + timedelta(seconds=1), ["sink"])
        await journal.append([entry(event(8))])
        (kept,) = await journal.read(0, limit=9)
        await journal.advance("sink", kept.seq, {seqs[1]: "gone", kept.seq: "no"})
        for sink in (None, "sink"):
            rows = await journal.parked(sink, bodies=False)
            assert [(row.seq, row.record) for row in rows] == [
                (seqs[1], None),
                (kept.seq, replace(kept, body=b"")),
            ]
            assert [row.record for row in await journal.parked(sink)] == [None, kept]

    async def test_parked_events_are_offered_once_more(self, journal: RepairableJournal) -> None:
        seqs = await passed(journal, 6, "sink", "other")
        refused = dict.fromkeys(seqs[:5], "too long")
        for sink in ("sink", "other"):
            await journal.advance(sink, seqs[-1], refused)
        assert await journal.retry_parked("sink", [seqs[3], seqs[1]]) == 2
        assert await journal.retry_parked("sink", [seqs[1], seqs[2], seqs[1]]) == 2
        assert (await journal.orders("sink")).retrying == 3
        assert (await journal.orders("other")).retrying == 0
        rows = await journal.retrying("sink", limit=9, max_bytes=FIT)
        assert [row.seq for row in rows] == seqs[1:4]
        assert [row.record.seq for row in rows if row.record] == seqs[1:4]
        assert [row.seq for row in await journal.retrying("sink", limit=1, max_bytes=FIT)] == [
            seqs[1]
        ]
        marked = [row.seq for row in await journal.parked("sink") if row.retrying]
        assert marked == seqs[1:4]

        (before,) = [row for row in await journal.parked("sink") if row.seq == seqs[2]]
        await journal.redelivered("sink", [seqs[1]], {seqs[2]: "still too long"})
        left = {row.seq: row for row in await journal.parked("sink")}
        assert sorted(left) == [seqs[0], *seqs[2:5]]
        assert (left[seqs[2]].reason, left[seqs[2]].retrying) == ("still too long", False)
        assert left[seqs[2]].parked >= before.parked
        assert [row.seq for row in await journal.retrying("sink", limit=9, max_bytes=FIT)] == [
            seqs[3]
        ]
        assert await journal.retry_parked("sink", None) == 4
        assert len(await journal.parked("other")) == 5

    async def test_what_a_replay_offers_is_parked_and_unparked_too(
        self, journal: RepairableJournal
    ) -> None:
        seqs = await passed(journal, 4)
        await journal.advance("sink", seqs[-1], {seqs[0]: "no", seqs[1]: "no"})
        replay = await journal.replay("sink", Range(start=0))
        over = replace(replay, done=seqs[3])
        await journal.redelivered("sink", [seqs[0], seqs[2]], {seqs[3]: "now"}, replayed=over)
        assert [(row.seq, row.reason) for row in await journal.parked()] == [
            (seqs[1], "no"),
            (seqs[3], "now"),
        ]

    async def test_a_marked_event_is_not_pruned(self, journal: RepairableJournal) -> None:
        seqs = await passed(journal, 4)
        await journal.advance("sink", seqs[-1], {seqs[1]: "no"})
        await journal.retry_parked("sink", None)
        assert await journal.prune(utc_now() + timedelta(seconds=1), ["sink"]) == 3
        assert [row.seq for row in await journal.retrying("sink", limit=9, max_bytes=FIT)] == [
            seqs[1]
        ]
        await journal.redelivered("sink", [seqs[1]], {})
        assert await journal.prune(utc_now() + timedelta(seconds=1), ["sink"]) == 1

    async def test_an_event_that_is_gone_cannot_be_offered(
        self, journal: RepairableJournal
    ) -> None:
        seqs = await passed(journal, 3)
        await journal.prune(utc_now() + timedelta(seconds=1), ["sink"])
        await journal.advance("sink", seqs[2], {seqs[1]: "it was in hand when it was pruned"})
        assert await journal.retry_parked("sink", None) == 0
        assert await journal.retry_parked("sink", [seqs[1]]) == 0
        assert await journal.orders("sink") == Orders()
        assert list(await journal.retrying("sink", limit=9, max_bytes=FIT)) == []
        (row,) = await journal.parked("sink")
        assert (row.record, row.retrying) == (None, False)

    async def test_parked_events_are_offered_as_far_as_they_fit(
        self, journal: RepairableJournal
    ) -> None:
        seqs = await passed(journal, 5)
        await journal.advance("sink", seqs[-1], dict.fromkeys(seqs, "no"))
        await journal.retry_parked("sink", seqs[1:])
        sizes = [len(record.body) for record in await journal.read(seqs[0], limit=9)]
        assert len(set(sizes)) == 1
        for room, count in ((0, 1), (sizes[0], 1), (2 * sizes[0] - 1, 1), (2 * sizes[0], 2)):
            rows = await journal.retrying("sink", limit=9, max_bytes=room)
            assert [row.seq for row in rows] == seqs[1 : 1 + count]
        await journal.append([entry(event(99, data=data(99, delay="x" * 10_000)))])
        *_, large = await journal.read(0, limit=99)
        await journal.advance("sink", large.seq, {large.seq: "no"})
        await journal.retry_parked("sink", None)
        await journal.redelivered("sink", seqs[:4], {})
        for room, wanted in ((sizes[0], [seqs[4]]), (FIT, [seqs[4], large.seq])):
            rows = await journal.retrying("sink", limit=9, max_bytes=room)
            assert [row.seq for row in rows] == wanted
        await journal.redelivered("sink", [seqs[4]], {})
        assert [
            row.record for row in await journal.retrying("sink", limit=9, max_bytes=sizes[0])
        ] == [large]

    async def test_a_discarded_event_is_not_parked_once_more(
        self, journal: RepairableJournal
    ) -> None:
        seqs = await passed(journal, 4)
        await journal.advance("sink", seqs[-1], dict.fromkeys(seqs[:2], "no"))
        await journal.retry_parked("sink", None)
        await journal.discard_parked("sink", [seqs[0]])
        await journal.redelivered("sink", [], {seqs[0]: "still no", seqs[1]: "still no"})
        assert [(row.seq, row.reason, row.retrying) for row in await journal.parked()] == [
            (seqs[1], "still no", False)
        ]

    async def test_a_choice_of_parked_events_is_taken_whole_or_not_at_all(
        self, journal: RepairableJournal
    ) -> None:
        seqs = await passed(journal, 9, "sink", "other")
        await journal.advance("other", seqs[-1], {seqs[4]: "no"})
        await journal.advance("sink", seqs[-1], {seqs[0]: "no", seqs[1]: "no"})
        before = await journal.parked()
        few, many = [seqs[0], seqs[4], 10**30], [seqs[1], *seqs[2:9]]
        first_five = ", ".join(map(str, seqs[2:7]))
        for verb in (journal.retry_parked, journal.discard_parked):
            with pytest.raises(Refused, match=f"^not parked for sink sink: {seqs[4]}, {10**30}$"):
                await verb("sink", few)
            with pytest.raises(Refused, match=f": {first_five} and 2 more$"):
                await verb("sink", many)
            assert await verb("sink", []) == 0
        assert await journal.parked() == before

    async def test_parked_events_are_discarded(self, journal: RepairableJournal) -> None:
        seqs = await passed(journal, 5, "sink", "other")
        for sink in ("sink", "other"):
            await journal.advance(sink, seqs[-1], dict.fromkeys(seqs[:4], "no"))
        assert await journal.discard_parked("sink", [seqs[0], seqs[0]]) == 1
        assert [row.seq for row in await journal.parked("sink")] == seqs[1:4]
        assert await journal.discard_parked("sink", []) == 0
        assert await journal.discard_parked("sink", None) == 3
        assert await journal.discard_parked("sink", None) == 0
        assert len(await journal.parked("other")) == 4
