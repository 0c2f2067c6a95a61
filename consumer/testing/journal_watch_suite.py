"""The part of the journal's suite that is about lines that pollers watch. `JournalSuite` has it.

What a poll knows is committed with the events that it tells, and survives them: pruning leaves the
last event of each line that is open, and what was forgotten is never told with the same ids again.
"""
# ruff: noqa: D102, PLR2004 - a test's name says what it shows, numbers in expectations likewise

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta

from consumer.event import Event
from consumer.model import Entry, Known, ScopeCount, Watch, Watched, utc_now
from consumer.ports import Journal
from consumer.testing.builders import entry, event, message

_SCOPE = "/mvet/0002789"
_OPEN = Known(b"\x00\xff" * 8, 0, "list")


def _name(n: int) -> str:
    return event(n).subject


def _told(n: int, type_: str = "opened", revision: int = 0, source: str = _SCOPE) -> Event:
    return event(n, source=source, type=f"backorder.{type_}", occurrence=revision)


def _polled(
    *events: Event,
    lines: Mapping[str, Known] | None = None,
    held: Sequence[str] | None = None,
    source: str = _SCOPE,
    origin: str = "mvet",
) -> Entry:
    """What a poll tells; its lines are those of its events unless they are given."""
    watch = Watch(
        source=source,
        view="list",
        lines={one.subject: _OPEN for one in events} if lines is None else lines,
        held=None if held is None else frozenset(held),
    )
    return entry(*events, message=message(source=origin, body=b""), watch=watch)


async def _prune(journal: Journal) -> int:
    return await journal.prune(utc_now() + timedelta(seconds=1), [])


class JournalWatchSuite:
    """Tests for a journal; the fixture `journal` is the subclass's to give."""

    # --- what is known -----------------------------------------------------------------------

    async def test_what_a_poll_knows_is_kept_with_its_events(self, journal: Journal) -> None:
        known = {
            _name(1): Known(bytes(range(16)), 0, "list"),
            _name(2): Known(b"", 7, ""),
            _name(3): Known(b"\xff", 2**40, "'\"\\{é✈"),
        }
        (outcome,) = await journal.append([_polled(*map(_told, (1, 2, 3)), lines=known)])
        assert outcome.accepted == 3
        assert await journal.watched(_SCOPE) == Watched(lines=known, origin="mvet")
        assert await journal.watched("/mvet/0000001") == Watched()

    async def test_lines_are_told_apart_by_their_whole_name(self, journal: Journal) -> None:
        names = ["4/350", "4/350#2", "4/35", "'", '"', "é", "\\", "a b", "$.a"]
        said = [event(n, source=_SCOPE, subject=name) for n, name in enumerate(names)]
        known = {one.subject: Known(b"%d" % n, n, "list") for n, one in enumerate(said)}
        await journal.append([_polled(*said, lines=known)])
        assert (await journal.watched(_SCOPE)).lines == known

    async def test_a_line_may_say_nothing_new(self, journal: Journal) -> None:
        await journal.append([_polled(_told(1), _told(2))])
        before = await journal.backorders(), await journal.read(0, limit=9)
        other = Known(b"other", 3, "another")
        (outcome,) = await journal.append([_polled(lines={_name(1): other, _name(9): other})])
        assert (outcome.accepted, outcome.duplicates) == (0, 0)
        assert (await journal.watched(_SCOPE)).lines == {_name(1): other, _name(2): _OPEN}
        assert (await journal.backorders(), await journal.read(0, limit=9)) == before

    async def test_it_is_events_that_end_a_line(self, journal: Journal) -> None:
        over = Known(b"", 1, "list", ended=True)
        await journal.append([_polled(_told(1), _told(2))])
        await journal.append(
            [_polled(_told(1, "cleared", 1), lines=dict.fromkeys([_name(1)], over))]
        )
        await journal.append([_polled(lines={_name(2): over})])
        lines = (await journal.watched(_SCOPE)).lines
        assert lines == {_name(1): over, _name(2): Known(b"", 1, "list")}
        again = Known(b"again", 2, "list")
        await journal.append([_polled(_told(1, revision=2), lines={_name(1): again})])
        assert (await journal.watched(_SCOPE)).lines[_name(1)] == again

    async def test_lines_that_nobody_polls_are_not_watched(self, journal: Journal) -> None:
        await journal.append([entry(event(1)), entry(_told(2))])
        assert await journal.watched("/radial/TMS_US") == Watched()
        assert await journal.watched(_SCOPE) == Watched()
        assert list(await journal.scopes()) == []

    async def test_an_event_without_a_poll_leaves_what_is_known(self, journal: Journal) -> None:
        await journal.append([_polled(_told(1))])
        await journal.append([entry(_told(1, "updated"))])
        assert (await journal.watched(_SCOPE)).lines == {_name(1): _OPEN}

    async def test_a_poll_knows_lines_of_its_own_scope_only(self, journal: Journal) -> None:
        other = _told(1, source="/mvet/0000001")
        await journal.append([_polled(_told(1), other)])
        assert (await journal.watched(other.source)).lines == {}

    async def test_held_lines_stay_until_they_are_replaced(self, journal: Journal) -> None:
        seen = []
        for held in (None, [_name(1), "é"], None, ["x"], []):
            await journal.append([_polled(_told(1), held=held)])
            seen.append(sorted((await journal.watched(_SCOPE)).held))
        assert seen == [[], [_name(1), "é"], [_name(1), "é"], ["x"], []]

    async def test_of_a_duplicate_the_state_counts(self, journal: Journal) -> None:
        await journal.append([_polled(_told(1))])
        newer = Known(b"newer", 4, "list")
        (outcome,) = await journal.append([_polled(_told(1), lines={_name(1): newer}, held=["x"])])
        assert (outcome.accepted, outcome.duplicates) == (0, 1)
        assert await journal.watched(_SCOPE) == Watched(
            lines={_name(1): newer}, held=frozenset(["x"]), origin="mvet"
        )

    async def test_what_was_said_last_is_known(self, journal: Journal) -> None:
        digests = [Known(b"%d" % n, n, "list") for n in range(9)]
        entries = [
            _polled(*[_told(1, "updated", n)] * (n % 3 == 0), lines={_name(1): known})
            for n, known in enumerate(digests)
        ]
        for until in (7, 8, 9):
            await journal.append([_polled(_told(1), lines={_name(1): _OPEN})])
            await asyncio.gather(*(journal.append([one]) for one in entries[:until]))
            assert (await journal.watched(_SCOPE)).lines == {_name(1): digests[until - 1]}

    async def test_a_failing_append_makes_nothing_known(self, journal: Journal) -> None:
        await journal.append([_polled(_told(1), held=["x"])])
        before = await journal.watched(_SCOPE), await journal.scopes()
        newer = {_name(1): Known(b"newer", 1, "list")}
        good = _polled(_told(1, "updated", 1), _told(2), lines=newer, held=[], origin="renamed")
        impossible = [
            entry(event(3, id="\ud800")),  # half a character: nothing can encode it
            _polled(_told(3), lines={_name(3): Known(b"", 0, "\ud800")}),
            _polled(lines={"\ud800": _OPEN}),
            _polled(held=["\ud800"]),
        ]
        for one in impossible:
            (result,) = await asyncio.gather(journal.append([good, one]), return_exceptions=True)
            assert isinstance(result, Exception)
            assert (await journal.watched(_SCOPE), await journal.scopes()) == before
            assert len(await journal.read(0, limit=9)) == 1

    # --- what was told -----------------------------------------------------------------------

    async def test_the_last_event_of_a_line_is_told(self, journal: Journal) -> None:
        said = {n: _told(n) for n in range(700)}
        await journal.append([_polled(*said.values())])
        for n in (3, 699):
            said[n] = event(n, source=_SCOPE, type="backorder.updated", subject=_name(n))
            await journal.append([_polled(said[n])])
        wanted = [_name(n) for n in said if n % 2] + ["unknown"]
        told = await journal.told(_SCOPE, wanted)
        assert told == {one.subject: one.encode() for n, one in said.items() if n % 2}
        assert await journal.told(_SCOPE, []) == {}
        assert await journal.told("/mvet/0000001", wanted) == {}

    async def test_scopes_are_counted_by_view(self, journal: Journal) -> None:
        views = {_name(n): Known(b"", 0, "old" if n < 2 else "new") for n in range(5)}
        await journal.append([_polled(*map(_told, range(5)), lines=views)])
        await journal.append([_polled(_told(4, "cleared"))])
        await journal.append([_polled(source="/cinx/org", origin="cinx")])
        await journal.append([_polled(origin="renamed"), entry(event(1))])
        assert sorted(await journal.scopes(), key=str) == [
            ScopeCount(source="/cinx/org", origin="cinx", view="", open=0),
            ScopeCount(source=_SCOPE, origin="renamed", view="new", open=2),
            ScopeCount(source=_SCOPE, origin="renamed", view="old", open=2),
        ]

    async def test_lines_follow_their_scope_to_another_source(self, journal: Journal) -> None:
        other = _told(1, source="/mvet/1")
        await journal.append([_polled(_told(1), _told(2)), entry(event(1))])
        await journal.append([_polled(_told(2, "cleared", 1)), _polled(other, source="/mvet/1")])
        await journal.append([_polled(origin="renamed")])
        lines = await journal.backorders(ended=True)
        assert {(line.source, line.subject): line.origin for line in lines} == {
            (_SCOPE, _name(1)): "renamed",
            (_SCOPE, _name(2)): "renamed",
            ("/mvet/1", _name(1)): "mvet",
            (event(1).source, _name(1)): "radial-queue",
        }
        assert (await journal.watched(_SCOPE)).origin == "renamed"
        assert (await journal.watched("/mvet/1")).origin == "mvet"

    # --- pruning -----------------------------------------------------------------------------

    async def test_pruning_leaves_the_last_event_of_open_lines(self, journal: Journal) -> None:
        updated = _told(2, "updated", 1)
        await journal.append([_polled(_told(1), _told(2), _told(3)), entry(event(4))])
        await journal.append([_polled(updated, _told(3, "cleared", 1))])
        assert await _prune(journal) == 4
        assert [r.id for r in await journal.read(0, limit=9)] == [_told(1).id, updated.id]
        told = await journal.told(_SCOPE, [_name(n) for n in (1, 2, 3)])
        assert told == {_name(1): _told(1).encode(), _name(2): updated.encode()}
        await journal.append([_polled(_told(1, "updated", 1))])
        await journal.append([_polled(_told(2, "cleared", 2))])
        assert await _prune(journal) == 3
        assert [r.id for r in await journal.read(0, limit=9)] == [_told(1, "updated", 1).id]

    async def test_positions_count_what_pruning_left(self, journal: Journal) -> None:
        await journal.enroll({"sink": True})
        for n in range(0, 9, 3):
            await journal.append([_polled(_told(n)), entry(event(n + 1), event(n + 2))])
        assert await _prune(journal) == 6
        await journal.append([entry(event(1))])
        seqs = [record.seq for record in await journal.read(0, limit=9)]
        assert len(seqs) == 4
        for passed, seq in enumerate([seqs[0] - 1, *seqs]):
            await journal.advance("sink", seq, {})
            positions = await journal.positions()
            assert (positions.oldest, positions.head) == (seqs[0], seqs[-1])
            assert positions.cursors[0].pending == 4 - passed
        assert (await journal.enroll({"late": True}))["late"] == seqs[0] - 1

    async def test_what_stays_hides_nothing_that_may_go(self, journal: Journal) -> None:
        stays = [_told(n) for n in range(2_500)]
        await journal.append([_polled(*stays), entry(*(event(n) for n in range(1_500)))])
        await journal.append([_polled(_told(9_999)), entry(*(event(n) for n in range(3_000)))])
        assert await _prune(journal) == 3_000
        assert await _prune(journal) == 0
        await journal.append([_polled(*(_told(n, "updated", 1) for n in range(0, 2_500, 2)))])
        assert await _prune(journal) == 1_250
        assert len(await journal.told(_SCOPE, [one.subject for one in stays])) == 2_500

    async def test_a_forgotten_line_raises_the_floor(self, journal: Journal) -> None:
        assert (await journal.watched(_SCOPE)).floor == 0
        revisions = {_name(n): Known(b"", n, "list") for n in (1, 5, 3)}
        for type_, occurrence in (("opened", 0), ("cleared", 1)):
            said = [_told(n, type_, occurrence) for n in (1, 5, 3)]
            await journal.append([_polled(*said, lines=revisions, held=["x"])])
        await journal.append([_polled(_told(8), lines={_name(8): Known(b"", 8, "list")})])
        await journal.append([entry(event(1), event(1, type="backorder.cleared"))])
        assert await _prune(journal) == 8
        assert await journal.watched(_SCOPE) == Watched(
            lines={_name(8): Known(b"", 8, "list")},
            held=frozenset(["x"]),
            floor=6,
            origin="mvet",
        )
        low = {_name(2): Known(b"", 2, "list")}
        await journal.append([_polled(_told(2), _told(2, "cleared"), lines=low)])
        await _prune(journal)
        await journal.append([entry(_told(9), _told(9, "cleared"))])  # in the scope, not watched
        assert await _prune(journal) == 2
        await journal.append([_polled(_told(7, source="/mvet/1"), source="/mvet/1")])
        assert [(await journal.watched(scope)).floor for scope in (_SCOPE, "/mvet/1")] == [6, 0]

    async def test_a_young_ended_line_is_not_forgotten(self, journal: Journal) -> None:
        await journal.append([_polled(_told(1), _told(1, "cleared"))])
        await journal.prune(utc_now() - timedelta(hours=1), [])
        watched = await journal.watched(_SCOPE)
        assert (watched.floor, [line.ended for line in watched.lines.values()]) == (0, [True])
