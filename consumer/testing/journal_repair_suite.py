"""The promises of `repair.RepairableJournal`, as tests that run on any implementation.

Derive a class as for `JournalSuite`; the fixture `journal` gives a new, open and empty one.
"""
# ruff: noqa: D102, PLR2004 - a test's name says what it shows, numbers in expectations likewise

import asyncio
from collections.abc import Sequence

import pytest

from consumer.event import Event
from consumer.model import Problem
from consumer.repair import RepairableJournal
from consumer.testing.builders import entry, event, message, refusal
from consumer.testing.journal_orders_suite import JournalOrdersSuite

_BAD = refusal(b"<not yet understood/>", "no such element")


async def _held(journal: RepairableJournal) -> Sequence[str]:
    return [record.id for record in await journal.read(0, limit=1_000)]


class JournalRepairSuite(JournalOrdersSuite):
    """Tests for a journal; the fixture `journal` is the subclass's to give."""

    # --- quarantine: pages -------------------------------------------------------------------

    async def test_quarantine_is_read_page_by_page(self, journal: RepairableJournal) -> None:
        refusals = [refusal(b"%d" % n) for n in range(7)]
        await journal.append([entry(refusals=refusals)])
        await journal.append([entry(refusals=[refusals[0]])])  # once more: it stays where it is
        after, found = 0, []
        while page := await journal.quarantined(after=after, limit=3):
            found += [row.id for row in page]
            after = page[-1].position
            await journal.discard_quarantined([row.id for row in page])
            if len(found) == 6:
                await journal.append([entry(refusals=[refusal(b"came meanwhile")])])
        assert found == [one.id for one in (*refusals, refusal(b"came meanwhile"))]

    async def test_quarantine_is_listed_without_bodies(self, journal: RepairableJournal) -> None:
        large = refusal(b"\x00<" * 50_000)
        await journal.append([entry(refusals=[large, refusal(b"")])])
        rows = await journal.quarantined(bodies=False)
        assert [(row.id, row.size, row.body) for row in rows] == [
            (large.id, 100_000, b""),
            (refusal(b"").id, 0, b""),
        ]
        (whole,) = await journal.quarantined(large.id)
        assert (whole.size, whole.body) == (100_000, large.body)

    # --- quarantine: another try -------------------------------------------------------------

    async def test_what_is_understood_now_leaves_quarantine(
        self, journal: RepairableJournal
    ) -> None:
        await journal.append([entry(event(1), refusals=[_BAD, refusal()])])
        outcomes = await journal.readmit({_BAD.id: entry(event(1), event(2))})
        outcome = outcomes[_BAD.id]
        assert (outcome.accepted, outcome.duplicates, outcome.quarantined) == (1, 1, 0)
        assert await _held(journal) == [event(1).id, event(2).id]
        assert [row.id for row in await journal.quarantined()] == [refusal().id]
        assert {line.subject for line in await journal.backorders()} == {
            event(1).subject,
            event(2).subject,
        }

    async def test_of_two_that_retry_the_same_one_adds_it(self, journal: RepairableJournal) -> None:
        await journal.append([entry(refusals=[_BAD])])
        results = await asyncio.gather(
            *(journal.readmit({_BAD.id: entry(event(n))}) for n in range(5))
        )
        assert sorted(len(result) for result in results) == [0, 0, 0, 0, 1]
        assert len(await _held(journal)) == 1
        assert await journal.readmit({_BAD.id: entry(event(9)), "unknown": entry(event(8))}) == {}
        assert len(await _held(journal)) == 1

    async def test_what_is_refused_again_stays_and_did_not_come_again(
        self, journal: RepairableJournal
    ) -> None:
        await journal.append([entry(refusals=[_BAD])])
        (before,) = await journal.quarantined()
        again = refusal(_BAD.body, "another reason")
        outcomes = await journal.readmit({_BAD.id: entry(refusals=[again], unreadable=True)})
        assert outcomes[_BAD.id].quarantined == 1
        assert outcomes[_BAD.id].problems == again.problems
        assert outcomes[_BAD.id].unreadable
        (after,) = await journal.quarantined()
        assert after.problems == (Problem(reason="another reason", line=1),)
        assert (after.position, after.times) == (before.position, 1)
        assert (after.first_seen, after.last_seen) == (before.first_seen, before.last_seen)

    async def test_what_is_refused_of_a_list_takes_its_place(
        self, journal: RepairableJournal
    ) -> None:
        part = refusal(b"<one of the list/>", "still bad")
        came = message(source="hook", origin="/webhooks")
        await journal.append([entry(refusals=[_BAD], message=came)])
        outcomes = await journal.readmit({_BAD.id: entry(event(1), refusals=[part], message=came)})
        assert (outcomes[_BAD.id].accepted, outcomes[_BAD.id].quarantined) == (1, 1)
        (row,) = await journal.quarantined()
        assert (row.id, row.body, row.source, row.times) == (part.id, part.body, "hook", 1)

    async def test_many_are_tried_together(self, journal: RepairableJournal) -> None:
        bad = [refusal(b"%d" % n) for n in range(4)]
        await journal.append([entry(refusals=bad)])
        outcomes = await journal.readmit(
            {
                bad[2].id: entry(event(2)),
                bad[0].id: entry(refusals=[refusal(bad[0].body, "no")]),
                bad[1].id: entry(event(1), event(2)),
            }
        )
        assert [(o.accepted, o.duplicates) for o in outcomes.values()] == [(1, 0), (0, 0), (1, 1)]
        assert list(outcomes) == [bad[n].id for n in (2, 0, 1)]
        assert await _held(journal) == [event(2).id, event(1).id]
        assert [row.id for row in await journal.quarantined()] == [bad[0].id, bad[3].id]

    async def test_a_readmission_is_all_or_nothing(self, journal: RepairableJournal) -> None:
        other = refusal(b"other")
        await journal.append([entry(refusals=[_BAD, other])])
        impossible: Event = event(2, id="\ud800")  # half a character: nothing can encode it
        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it is, nothing is kept
            await journal.readmit({_BAD.id: entry(event(1)), other.id: entry(impossible)})
        assert await _held(journal) == []
        assert len(await journal.quarantined()) == 2

    async def test_what_is_discarded_is_gone(self, journal: RepairableJournal) -> None:
        await journal.append([entry(refusals=[refusal(b"%d" % n) for n in range(3)])])
        ids = [refusal(b"%d" % n).id for n in range(3)]
        assert list(await journal.discard_quarantined([ids[2], "x", ids[0], ids[2]])) == [
            ids[2],
            ids[0],
        ]
        assert [row.id for row in await journal.quarantined()] == [ids[1]]
        assert (await journal.positions()).quarantined == 1
        assert list(await journal.discard_quarantined([])) == []
