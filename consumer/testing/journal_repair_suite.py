"""The promises of `repair.RepairableJournal`, as tests that run on any implementation.

Derive a class as for `JournalSuite`; the fixture `journal` gives a new, open and empty one.
"""
# ruff: noqa: D102, PLR2004 - a test's name says what it shows, numbers in expectations likewise

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from msgspec.structs import replace

from consumer.errors import Refused
from consumer.event import Event, timestamp
from consumer.model import Problem
from consumer.repair import RepairableJournal
from consumer.testing.builders import MOMENT, entry, event, message, refusal
from consumer.testing.journal_orders_suite import JournalOrdersSuite

_BAD = refusal(b"<not yet understood/>", "no such element")


async def _held(journal: RepairableJournal) -> Sequence[str]:
    return [record.id for record in await journal.read(0, limit=1_000)]


def _told(n: int, minute: int, what: str = "opened") -> Event:
    """What happened to line `n` at some minute."""
    time = timestamp(MOMENT + timedelta(minutes=minute))
    return event(n, id=f"{n} {what} at {minute}", type=f"backorder.{what}", time=time)


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
        twice = [refusal(_BAD.body, reason) for reason in ("one reason", "another reason")]
        outcomes = await journal.readmit({_BAD.id: entry(refusals=twice, unreadable=True)})
        assert outcomes[_BAD.id].quarantined == 2
        assert outcomes[_BAD.id].problems == twice[0].problems + twice[1].problems
        assert outcomes[_BAD.id].unreadable
        (after,) = await journal.quarantined()
        assert after.problems == (Problem(reason="another reason", line=1),)
        assert (after.position, after.times) == (before.position, 1)
        assert (after.first_seen, after.last_seen) == (before.first_seen, before.last_seen)

    async def test_what_is_refused_of_a_list_takes_its_place(
        self, journal: RepairableJournal
    ) -> None:
        part = refusal(b"<one of the list/>", "still bad")
        came = message(source="hook", origin="/webhooks", attributes={"trace": "1"})
        for _ in range(2):
            await journal.append([entry(refusals=[_BAD], message=came)])
        (whole,) = await journal.quarantined()
        outcomes = await journal.readmit({_BAD.id: entry(event(1), refusals=[part])})
        assert (outcomes[_BAD.id].accepted, outcomes[_BAD.id].quarantined) == (1, 1)
        (row,) = await journal.quarantined()
        assert row.position > whole.position
        assert row == replace(
            whole,
            position=row.position,
            id=part.id,
            times=1,
            problems=part.problems,
            size=len(part.body),
            body=part.body,
        )

    async def test_a_part_that_is_in_quarantine_did_not_come_again(
        self, journal: RepairableJournal
    ) -> None:
        part = refusal(b"<one of the list/>", "bad")
        await journal.append([entry(refusals=[part, _BAD])])
        before = await journal.quarantined()
        newer = refusal(part.body, "still bad")
        again = refusal(_BAD.body, "a part is bad")
        await journal.readmit({_BAD.id: entry(refusals=[newer, again])})
        assert await journal.quarantined() == [
            replace(row, problems=one.problems)
            for row, one in zip(before, (newer, again), strict=True)
        ]
        await journal.readmit({_BAD.id: entry(event(1), refusals=[part])})
        assert await journal.quarantined() == before[:1]

    # --- quarantine: what is old -------------------------------------------------------------

    async def test_an_old_fact_does_not_undo_a_newer_one(self, journal: RepairableJournal) -> None:
        other, new = refusal(b"other"), refusal(b"new")
        cleared = [_told(1, 5, "cleared"), _told(2, 5, "updated"), _told(3, 5, "updated")]
        await journal.append([entry(*cleared, refusals=[_BAD, other, new])])
        before = await journal.backorders(ended=True)
        late = entry(_told(1, 4), _told(2, 4, "cleared"), _told(3, 5, "cleared"))
        await journal.readmit({_BAD.id: late})
        assert await journal.backorders(ended=True) == before
        await journal.readmit({other.id: entry(_told(1, 5), _told(2, 5, "cleared"))})
        assert await journal.backorders(ended=True) == before
        await journal.readmit({new.id: entry(_told(1, 6), _told(2, 6, "cleared"), _told(4, 0))})
        lines = {line.subject: line for line in await journal.backorders(ended=True)}
        states = {n: lines[event(n).subject] for n in (1, 2, 3, 4)}
        assert [(n, line.type[10:], line.ended is None) for n, line in states.items()] == [
            (1, "opened", True),
            (2, "cleared", False),
            (3, "updated", True),
            (4, "opened", True),
        ]
        assert len(await _held(journal)) == 11
        await journal.append([entry(_told(3, 3))])  # what arrives now is told now
        (third,) = [line for line in await journal.backorders() if line.subject == event(3).subject]
        assert third.type == "backorder.opened"

    async def test_of_what_is_readmitted_together_the_last_one_counts(
        self, journal: RepairableJournal
    ) -> None:
        other = refusal(b"other")
        await journal.append([entry(refusals=[_BAD, other])])
        first = entry(_told(1, 3), _told(1, 3, "updated"), _told(2, 5), _told(2, 4, "cleared"))
        then = entry(_told(1, 3, "cleared"), _told(2, 3, "updated"))
        await journal.readmit({_BAD.id: first, other.id: then})
        lines = await journal.backorders(ended=True)
        assert {line.subject: line.type for line in lines} == {
            event(1).subject: "backorder.cleared",
            event(2).subject: "backorder.opened",
        }

    # --- quarantine: several -----------------------------------------------------------------

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
        assert await journal.discard_quarantined([ids[2], ids[0], ids[2]]) == 2
        assert [row.id for row in await journal.quarantined()] == [ids[1]]
        assert (await journal.positions()).quarantined == 1
        assert await journal.discard_quarantined([]) == 0

    async def test_a_choice_of_payloads_is_discarded_whole_or_not_at_all(
        self, journal: RepairableJournal
    ) -> None:
        await journal.append([entry(refusals=[_BAD])])
        for missing, named in (("vwxyz", "v, w, x, y, z"), ("uvwxyz", "u, v, w, x, y and 1 more")):
            with pytest.raises(Refused, match=f"^not in quarantine: {named}$"):
                await journal.discard_quarantined([_BAD.id, *missing])
        assert [row.id for row in await journal.quarantined()] == [_BAD.id]
