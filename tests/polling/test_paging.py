"""The proof of a list read in pages: what it takes for complete, against worlds that change."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.polling import Paging
from consumer.polling import paging as paging_module


@dataclass
class Server:
    """A list behind offset and limit. `change` happens before every page that is read."""

    rows: list[str]
    cap: int | None = None
    tells_total: bool = True
    change: Callable[[list[str]], None] | None = None
    asked: list[tuple[int, int]] = field(default_factory=list)

    def page(self, offset: int, limit: int) -> tuple[list[str], int | None]:
        if self.change:
            self.change(self.rows)
        self.asked.append((offset, limit))
        limit = min(limit, self.cap or limit)
        return self.rows[offset : offset + limit], len(self.rows) if self.tells_total else None


def named(count: int) -> list[str]:
    return [f"{number:05}" for number in range(count)]


def read(
    server: Server, limit: int, *, most: int = 1, order: random.Random | None = None
) -> tuple[Paging, set[str]]:
    """Read a list, several pages at once and in any order where that is asked for."""
    paging, seen = Paging(limit), set()
    while pages := paging.next(most):
        moments = order.sample(pages, len(pages)) if order else pages
        answers = {offset: server.page(offset, size) for offset, size in moments}
        for offset, _ in pages:
            keys, total = answers[offset]
            seen |= set(keys)
            paging.take(offset, keys, total)
    return paging, seen


# --- a list that stays as it is --------------------------------------------------------------


@given(
    st.integers(0, 130),
    st.integers(2, 70),
    st.integers(2, 70) | st.none(),
    st.booleans(),
    st.integers(1, 5),
)
def test_a_list_that_stays_is_seen_whole(
    count: int, limit: int, cap: int | None, tells_total: bool, most: int
) -> None:
    cap = cap if tells_total else None  # such a cap shows only in a total
    server = Server(named(count), cap=cap, tells_total=tells_total)
    paging, seen = read(server, limit, most=most)
    assert paging.problem is None
    assert paging.complete
    assert seen == set(server.rows)
    size = min(limit, cap or limit)
    assert len(server.asked) <= max(1, -(-(count - 1) // (size - 1)) + 1)


@pytest.mark.parametrize(
    ("count", "asked"),
    [
        (0, [(0, 200)]),
        (49, [(0, 200)]),
        (50, [(0, 200), (49, 50)]),
        (120, [(0, 200), (49, 50), (98, 50)]),
    ],
)
def test_the_documented_cap_shows_without_a_total(count: int, asked: list[tuple[int, int]]) -> None:
    server = Server(named(count), cap=50, tells_total=False)
    paging, seen = read(server, 200, most=4)
    assert paging.complete
    assert (len(seen), server.asked) == (count, asked)


def test_a_total_lets_pages_be_read_at_once() -> None:
    paging = Paging(50)
    assert paging.next(8) == [(0, 50)]
    assert paging.next(8) == []
    paging.take(0, named(50), 230)
    assert paging.next(3) == [(49, 50), (98, 50), (147, 50)]
    assert paging.next(3) == [(196, 50)]
    assert paging.next(3) == []


def test_pages_are_taken_in_order() -> None:
    paging = Paging(50)
    with pytest.raises(ValueError, match="page at 0"):
        paging.take(49, named(50), None)
    with pytest.raises(ValueError, match="two rows"):
        Paging(1)


# --- answers that break a rule ---------------------------------------------------------------

FIRST = named(5)
Pages = Sequence[tuple[Sequence[str], int | None]]


@pytest.mark.parametrize(
    ("pages", "problem"),
    [
        ([(named(6), None)], "more rows"),
        ([(named(6), 6)], "more rows"),
        ([([], 3)], "does not allow"),
        ([(FIRST[:1], 3)], "does not allow"),
        ([(FIRST[:4], 3)], "does not allow"),
        ([(["00001", "00001"], None)], "twice"),
        ([(FIRST, None), ([], None)], "empty"),
        ([(FIRST, 9), ([], 9)], "empty"),
        ([(FIRST, None), (["00003", "a"], None)], "moved"),
        ([(FIRST, None), (["00004", "00003", "a"], None)], "twice"),
        ([(FIRST, None), (FIRST, None)], "moved"),
        ([(FIRST, 8), (["00004", "a", "b", "c"], 9)], "total was 8"),
        ([(FIRST, 8), (["00004", "a", "b"], 8)], "3 rows"),
        ([(FIRST, 8), (["00004", "a", "b", "c", "d"], 8)], "5 rows"),
        ([(FIRST, 5), (["00004", "a"], 5)], "2 rows"),
        ([(FIRST, None), (["00004", "a"], 6)], "total was None"),
    ],
)
def test_a_broken_rule_is_named(pages: Pages, problem: str) -> None:
    paging = Paging(5)
    for keys, total in pages:
        ((offset, _),) = paging.next()
        paging.take(offset, keys, total)
    assert problem in (paging.problem or "")
    while following := paging.next():
        paging.take(following[0][0], [], None)
    assert not paging.complete


def test_rows_without_a_key_prove_nothing() -> None:
    paging = Paging(5)
    paging.take(0, FIRST[:4], None, rows=5)
    assert "without a key" in (paging.problem or "")
    assert paging.next() == [(4, 5)]


def test_a_total_that_comes_once_is_enough() -> None:
    paging = Paging(5)
    paging.take(0, FIRST, 6)
    paging.take(4, ["00004", "a"], None)
    assert paging.complete


def test_what_is_there_is_read_on_after_a_problem() -> None:
    """A row that is removed shifts the pages; nothing is proven, all the others are seen."""
    server = Server(named(400))
    server.change = lambda rows: rows.remove("00000") if "00000" in rows and server.asked else None
    paging, seen = read(server, 50, most=3)
    assert not paging.complete
    assert len(seen) >= 390


@pytest.mark.parametrize("total", [None, 10**9])
def test_a_list_without_end_ends(total: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging_module, "_MOST_ROWS", 10_000)
    paging, offset, pages = Paging(1_000), 0, 0
    while pages < 20 and (asked := paging.next(1)):
        ((offset, limit),) = asked
        paging.take(offset, [str(number) for number in range(offset, offset + limit)], total)
        pages += 1
    assert pages == 11
    assert "does not end" in (paging.problem or "")


def test_a_server_that_ignores_the_offset_is_not_asked_for_ever() -> None:
    paging = Paging(5)
    for _ in range(2):
        paging.take(paging.next()[0][0], FIRST, None)
    assert paging.next() == []
    assert not paging.complete


# --- lists that change while they are read ---------------------------------------------------

seeds = st.integers(0, 2**32)


@dataclass
class World:
    """Changes its rows at random, and knows which were there the whole time."""

    random: random.Random
    moves: bool
    comes_and_goes: bool
    steadfast: set[str]
    born: int = 0

    def change(self, rows: list[str]) -> None:
        for _ in range(self.random.choice([0, 0, 1, 2, 3])):
            place = self.random.randrange(len(rows) + 1)
            kinds = ["come", "go"] * self.comes_and_goes + ["move"] * self.moves
            kind = self.random.choice(kinds)
            if kind == "come":
                self.born += 1
                rows.insert(place, f"new{self.born}")
            elif rows:
                row = rows.pop(min(place, len(rows) - 1))
                if kind == "move":
                    rows.insert(self.random.randrange(len(rows) + 1), row)
                else:
                    self.steadfast.discard(row)


def read_a_world(seed: int, *, moves: bool, comes_and_goes: bool, tells_total: bool) -> bool:
    """Whether a reading was taken for complete; fails where it was and was not."""
    dice = random.Random(seed)  # noqa: S311 - worlds, not secrets
    rows = named(dice.randrange(2, 40))
    world = World(dice, moves, comes_and_goes, set(rows))
    server = Server(rows, tells_total=tells_total, change=world.change)
    paging, seen = read(server, dice.randrange(3, 12), most=dice.randrange(1, 5), order=dice)
    assert not paging.complete or world.steadfast <= seen
    return paging.complete


@given(seeds, st.booleans())
def test_no_row_that_stays_is_missed_while_others_come_and_go(seed: int, tells_total: bool) -> None:
    read_a_world(seed, moves=False, comes_and_goes=True, tells_total=tells_total)


@given(seeds, st.booleans())
def test_no_row_is_missed_while_rows_move(seed: int, tells_total: bool) -> None:
    read_a_world(seed, moves=True, comes_and_goes=False, tells_total=tells_total)


def test_some_of_these_readings_are_complete() -> None:
    """Or the two tests above would show nothing."""
    for moves in (False, True):
        complete = [
            read_a_world(seed, moves=moves, comes_and_goes=not moves, tells_total=bool(seed % 2))
            for seed in range(400)
        ]
        assert 20 < sum(complete) < 380


def test_what_is_not_proven() -> None:
    """As the module says: a move, a row that goes and one that comes, all in one moment."""
    paging = Paging(3)
    paging.take(0, ["a", "b", "c"], 5)  # of a b c d e
    # e moves to the front, a goes, f comes at the end: e b c d f
    paging.take(2, ["c", "d", "f"], 5)
    paging.take(4, ["f"], 5)
    assert paging.complete  # and e was not seen
