"""The newest events come from memory, and are those that the file holds."""

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from consumer.errors import JournalUnavailable
from consumer.event import Event
from consumer.journal.sqlite import SqliteJournal
from consumer.journal.sqlite_prune import Pruned
from consumer.journal.sqlite_tail import Appended, Tail
from consumer.model import Record, utc_now
from consumer.testing.builders import data, entry, event, message, record, refusal
from file_limit import no_file_larger_than

ODD = ["'", '"', "%", "é✈𝄞", "\\", "\x01\x7f\u2028", " ", "{}", "null", "7"]
CUT = ["a\x00b", "\\u0000"]  # the file keeps no more than `a`; and what only looks like it


def odd(n: int, chance: random.Random) -> Event:
    """An event that the file has to keep exactly."""
    name, source, reason = (chance.choice(ODD) for _ in range(3))
    subject = chance.choice(ODD if chance.randrange(50) else CUT)
    return event(n, id=f"{name}{n}", source=source, subject=subject, data=data(n, reason=reason))


async def pages(journal: SqliteJournal, head: int) -> Sequence[Sequence[Record]]:
    limits = [(1, 1 << 20), (3, 1 << 20), (1_000, 1), (1_000, 1_500), (1_000, 1 << 20)]
    return [
        await journal.read(after, limit=limit, max_bytes=size)
        for after in range(head + 2)
        for limit, size in limits
    ]


async def test_what_is_read_is_what_the_file_holds(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)  # noqa: S311 - a sequence of events, not a secret
    print(f"seed {seed}")  # noqa: T201 - shown where the test fails
    chance = random.Random(seed)  # noqa: S311 - as above
    path = tmp_path / "journal.db"
    impossible = entry(event(1, id="\ud800"))

    async with SqliteJournal(path) as journal, SqliteJournal(path, readonly=True) as beside:
        await journal.append([entry(refusals=[refusal()])])

        async def act() -> None:
            number = chance.randrange(40)
            said = entry(*(odd(n, chance) for n in range(number, number + chance.randrange(4))))
            match chance.randrange(8):
                case 0:
                    await journal.prune(utc_now() - timedelta(milliseconds=1), [])
                case 1:
                    await journal.readmit({refusal().id: entry(*said.events, refusals=[refusal()])})
                case 2:
                    with pytest.raises(UnicodeEncodeError):
                        await journal.append([said, impossible])
                case 3:
                    await asyncio.gather(
                        journal.append([said]), journal.append([impossible]), return_exceptions=True
                    )
                case _:
                    await asyncio.gather(
                        *(journal.append([entry(one), said]) for one in said.events[:2])
                    )

        for _ in range(40):
            await act()
            head = (await journal.positions()).head
            assert await pages(journal, head) == await pages(beside, head)


async def test_who_is_level_needs_no_file(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with SqliteJournal(path) as journal:
        await journal.append([entry(event(1)), entry(event(2), message=message(source="other"))])
        path.rename(tmp_path / "aside.db")
        assert [one.id for one in await journal.read(1, limit=9)] == [event(2).id]
        assert list(await journal.read(2, limit=9)) == []
        with pytest.raises(JournalUnavailable, match="the file is gone"):
            await journal.probe()
        with pytest.raises(JournalUnavailable, match="the file is gone"):  # now that it is known
            await journal.read(1, limit=9)


@pytest.mark.parametrize("subject", CUT)
async def test_a_text_that_the_file_cuts_is_read_from_it(tmp_path: Path, subject: str) -> None:
    path = tmp_path / "journal.db"
    async with SqliteJournal(path) as journal, SqliteJournal(path, readonly=True) as beside:
        for one in (event(1), event(2, subject=subject), event(3)):
            await journal.append([entry(one)])
            assert await pages(journal, 3) == await pages(beside, 3)


async def test_what_left_quarantine_is_among_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with SqliteJournal(path) as journal, SqliteJournal(path, readonly=True) as beside:
        await journal.append([entry(event(1), refusals=[refusal()])])
        await journal.readmit({refusal().id: entry(event(2), event(3))})
        assert len(await journal.read(1, limit=9)) == 2
        assert await pages(journal, 3) == await pages(beside, 3)


async def test_after_a_failure_the_file_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with SqliteJournal(path) as journal, SqliteJournal(path, readonly=True) as beside:
        await journal.append([entry(event(1))])
        with no_file_larger_than(100), pytest.raises(JournalUnavailable):
            await journal.append([entry(event(2), event(3))])
        for n in (4, 5):
            head = (await journal.positions()).head
            assert await pages(journal, head) == await pages(beside, head)
            await journal.append([entry(event(n))])


def seqs(page: Sequence[Record] | None) -> list[int] | None:
    return None if page is None else [one.seq for one in page]


def told(first: int, last: int) -> Sequence[Appended[None]]:
    return [Appended(None, [record(seq) for seq in range(first, last + 1)])]


def test_a_tail_answers_for_what_is_behind_its_beginning() -> None:
    tail = Tail()
    assert tail.page(0, 9, 1 << 20) is None
    tail.hear(told(5, 7))
    assert tail.page(3, 9, 1 << 20) is None
    assert seqs(tail.page(4, 9, 1 << 20)) == [5, 6, 7]
    assert [tail.ends_with(seq) for seq in (4, 6, 7, 8)] == [False, False, True, True]
    assert seqs(tail.page(7, 9, 1 << 20)) == seqs(tail.page(99, 9, 1 << 20)) == []


def test_a_tail_has_no_gap() -> None:
    tail = Tail()
    tail.hear(told(1, 3))
    tail.hear([*told(4, 5), *told(9, 9)])
    assert tail.page(4, 9, 1 << 20) is None
    assert seqs(tail.page(8, 9, 1 << 20)) == [9]


@pytest.mark.parametrize(
    "heard", [None, [Pruned(events=1, after=(1, 1), more=False)], [Appended(None, None)]]
)
def test_a_tail_knows_nothing_after_what_it_cannot_follow(heard: Sequence[object] | None) -> None:
    tail = Tail()
    tail.hear(told(1, 3))
    tail.hear([Pruned(events=0, after=(1, 1), more=False), "something else"])
    assert seqs(tail.page(2, 9, 1 << 20)) == [3]
    tail.hear(heard)
    assert tail.page(2, 9, 1 << 20) is tail.page(3, 9, 1 << 20) is None
    assert not tail.ends_with(3)
    tail.hear(told(4, 4))
    assert seqs(tail.page(3, 9, 1 << 20)) == [4]


def test_a_tail_is_bounded_by_bytes() -> None:
    room = len(record(1).body) + 600
    tail = Tail(most=3 * room)
    for seq in range(1, 11):
        tail.hear(told(seq, seq))
    assert tail.page(6, 9, 1 << 20) is None
    assert seqs(tail.page(7, 9, 1 << 20)) == [8, 9, 10]
    small = Tail(most=10)
    small.hear(told(1, 3))
    assert small.page(2, 9, 1 << 20) is None
    assert seqs(small.page(3, 9, 1 << 20)) == []
