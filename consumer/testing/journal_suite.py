"""The promises of `ports.Journal`, as tests that run on any implementation.

Derive a class whose name begins with `Test`, and give it a fixture `journal` with a new, open and
empty journal:

    class TestMyJournal(JournalSuite):
        @pytest.fixture
        async def journal(self) -> AsyncIterator[Journal]:
            async with MyJournal(...) as journal:
                yield journal

What happens when storage fails, or a process dies, is for each implementation's own tests.
"""

# ruff: noqa: D102, PLR2004 - a test's name says what it shows, numbers in expectations likewise

import asyncio

from consumer.event import identify
from consumer.model import Problem, utc_now
from consumer.ports import Journal
from consumer.testing.builders import data, entry, event, message, refusal
from consumer.testing.journal_state_suite import JournalStateSuite
from consumer.testing.journal_watch_suite import JournalWatchSuite

_EVERYTHING = 1_000_000


class JournalSuite(JournalStateSuite, JournalWatchSuite):
    """Tests for a journal; the fixture `journal` is the subclass's to give."""

    # --- append and read ---------------------------------------------------------------------

    async def test_an_empty_journal_is_at_zero(self, journal: Journal) -> None:
        positions = await journal.positions()
        assert (positions.head, positions.quarantined, positions.cursors) == (0, 0, ())
        assert list(await journal.read(0, limit=10)) == []

    async def test_what_was_appended_is_read_byte_for_byte(self, journal: Journal) -> None:
        before = utc_now()
        said = [event(1), event(2, type="backorder.delayed", data=data(2, reason="späte Ware ✈"))]
        (outcome,) = await journal.append([entry(*said)])
        assert (outcome.accepted, outcome.duplicates, outcome.quarantined) == (2, 0, 0)
        records = await journal.read(0, limit=10)
        assert [record.body for record in records] == [one.encode() for one in said]
        for record, one in zip(records, said, strict=True):
            assert (record.id, record.source, record.type) == (one.id, one.source, one.type)
            assert (record.subject, record.origin) == (one.subject, "radial-queue")
            assert before <= record.recorded <= utc_now()

    async def test_each_entry_has_its_outcome(self, journal: Journal) -> None:
        outcomes = await journal.append(
            [entry(event(1)), entry(kind="test"), entry(kind="other"), entry(event(2), event(3))]
        )
        assert [(o.kind, o.accepted) for o in outcomes] == [
            ("backorder", 1),
            ("test", 0),
            ("other", 0),
            ("backorder", 2),
        ]
        assert list(await journal.append([])) == []

    async def test_an_outcome_says_what_could_not_be_read(self, journal: Journal) -> None:
        torn = entry(refusals=[refusal()], unreadable=True)
        outcomes = await journal.append([torn, entry(event(1))])
        assert [outcome.unreadable for outcome in outcomes] == [True, False]

    async def test_a_held_id_is_a_duplicate_and_changes_nothing(self, journal: Journal) -> None:
        first = event(1)
        await journal.append([entry(first)])
        held = list(await journal.read(0, limit=9)), list(await journal.backorders())
        again = event(1, id=first.id, type="backorder.cleared")
        (outcome,) = await journal.append([entry(again, message=message(source="other"))])
        assert (outcome.accepted, outcome.duplicates) == (0, 1)
        assert (list(await journal.read(0, limit=9)), list(await journal.backorders())) == held

    async def test_the_second_of_the_same_id_in_one_call_is_a_duplicate(
        self, journal: Journal
    ) -> None:
        same = event(1)
        outcomes = await journal.append([entry(same, same, event(2)), entry(same, event(3))])
        assert [(o.accepted, o.duplicates) for o in outcomes] == [(2, 1), (1, 1)]
        assert [r.id for r in await journal.read(0, limit=9)] == [event(n).id for n in (1, 2, 3)]

    async def test_concurrent_appends_keep_the_order_of_the_calls(self, journal: Journal) -> None:
        calls = [[entry(event(2 * n)), entry(event(2 * n + 1))] for n in range(50)]
        await asyncio.gather(*(journal.append(call) for call in calls))
        records = await journal.read(0, limit=_EVERYTHING)
        assert [r.id for r in records] == [event(n).id for n in range(100)]
        seqs = [r.seq for r in records]
        assert seqs == sorted(set(seqs))

    async def test_of_concurrent_appends_of_one_event_one_is_accepted(
        self, journal: Journal
    ) -> None:
        outcomes = await asyncio.gather(*(journal.append([entry(event(1))]) for _ in range(20)))
        assert sum(outcome.accepted for (outcome,) in outcomes) == 1
        assert sum(outcome.duplicates for (outcome,) in outcomes) == 19

    async def test_an_append_is_all_or_nothing_and_spoils_no_other(self, journal: Journal) -> None:
        impossible = event(2, id="\ud800")  # half a character: nothing can encode it
        results = await asyncio.gather(
            journal.append([entry(event(1))]),
            journal.append([entry(event(3), refusals=[refusal()]), entry(impossible)]),
            journal.append([entry(event(4))]),
            return_exceptions=True,
        )
        assert isinstance(results[1], Exception)
        assert [r.id for r in await journal.read(0, limit=9)] == [event(1).id, event(4).id]
        assert list(await journal.quarantined()) == []

    async def test_a_cancelled_caller_spoils_no_other(self, journal: Journal) -> None:
        calls = [asyncio.ensure_future(journal.append([entry(event(n))])) for n in range(20)]
        await asyncio.sleep(0)
        for call in calls[::2]:
            call.cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert not [r for r in results[1::2] if isinstance(r, BaseException)]
        held = {r.id for r in await journal.read(0, limit=_EVERYTHING)}
        assert {event(n).id for n in range(1, 20, 2)} <= held

    async def test_a_page_is_bounded_by_number_and_by_bytes(self, journal: Journal) -> None:
        said = [event(n) for n in range(10)]
        await journal.append([entry(*said)])
        size = len(said[0].encode())
        assert len(await journal.read(0, limit=4)) == 4
        assert len(await journal.read(0, limit=9, max_bytes=3 * size)) == 3
        assert len(await journal.read(0, limit=9, max_bytes=3 * size - 1)) == 2
        assert len(await journal.read(0, limit=9, max_bytes=1)) == 1
        after, found = 0, []
        while page := await journal.read(after, limit=3):
            found += [record.id for record in page]
            after = page[-1].seq
        assert found == [one.id for one in said]

    async def test_a_page_of_one_source(self, journal: Journal) -> None:
        for n in range(6):
            await journal.append([entry(event(n), message=message(source=f"source-{n % 2}"))])
        page = await journal.read(0, limit=2, source="source-1")
        assert [r.id for r in page] == [event(1).id, event(3).id]
        rest = await journal.read(page[-1].seq, limit=2, source="source-1")
        assert [r.id for r in rest] == [event(5).id]
        assert list(await journal.read(0, limit=2, source="nobody")) == []

    # --- quarantine --------------------------------------------------------------------------

    async def test_refusals_are_kept_beside_the_good_events(self, journal: Journal) -> None:
        bad = refusal(b"\xff\x00 not text", "no", "nor this")
        came = message(source="hook", origin="/webhooks", attributes={"redelivered": "true"})
        (outcome,) = await journal.append([entry(event(1), refusals=[bad], message=came)])
        assert (outcome.accepted, outcome.quarantined, outcome.problems) == (1, 1, bad.problems)
        (row,) = await journal.quarantined()
        assert (row.id, row.body, row.problems, row.times) == (bad.id, bad.body, bad.problems, 1)
        assert (row.source, row.system, row.origin) == ("hook", "radial", "/webhooks")
        assert row.attributes == {"redelivered": "true"}
        assert row.first_seen == row.last_seen
        assert (await journal.positions()).quarantined == 1

    async def test_the_same_bytes_are_one_refusal(self, journal: Journal) -> None:
        await journal.append([entry(refusals=[refusal(b"x", "old reason")])])
        (first,) = await journal.quarantined()
        again = entry(refusals=[refusal(b"x", "new reason")], message=message(source="other"))
        await journal.append([again, again])
        (row,) = await journal.quarantined()
        assert (row.times, row.source, row.first_seen) == (3, first.source, first.first_seen)
        assert row.last_seen >= first.last_seen
        assert row.problems == (Problem(reason="new reason", line=1),)

    async def test_quarantine_is_listed_oldest_first_by_prefix_and_limit(
        self, journal: Journal
    ) -> None:
        refusals = [refusal(b"%d" % n) for n in range(40)]
        for one in refusals:
            await journal.append([entry(refusals=[one])])
        assert [row.id for row in await journal.quarantined()] == [one.id for one in refusals]
        assert [r.id for r in await journal.quarantined(limit=2)] == [r.id for r in refusals[:2]]
        prefix = refusals[7].id[:1]
        wanted = [one.id for one in refusals if one.id.startswith(prefix)]
        assert [row.id for row in await journal.quarantined(prefix)] == wanted
        assert [row.id for row in await journal.quarantined(refusals[7].id)] == [refusals[7].id]

    # --- proof -------------------------------------------------------------------------------

    async def test_a_probe_changes_nothing_that_anybody_sees(self, journal: Journal) -> None:
        await journal.append([entry(event(1))])
        before = await journal.positions()
        await journal.probe()
        assert await journal.positions() == before

    async def test_ids_are_not_confused_by_their_alphabet(self, journal: Journal) -> None:
        odd = ["'", '"', "%", "é", "\\", identify("a", "b", "c", data())]
        await journal.append([entry(*(event(n, id=id) for n, id in enumerate(odd)))])
        assert [record.id for record in await journal.read(0, limit=99)] == odd
