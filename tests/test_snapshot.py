from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from consumer.event import (
    Address,
    Change,
    Data,
    Dates,
    Event,
    Line,
    Order,
    Parties,
    Party,
    Quantity,
)
from consumer.model import Known, numbered
from consumer.snapshot import (
    About,
    Sighting,
    Verdict,
    changes,
    cleared,
    judge,
    natural,
    occurrences,
    opened,
    updated,
)

# --- which row is which line -----------------------------------------------------------------


def row(key: str, content: str) -> Sighting:
    return Sighting(key, content.encode(), digest(content))


def digest(content: str) -> bytes:
    return f"digest of {content}".encode()


def told(**contents: str) -> dict[str, Known]:
    """Open lines by subject (`k_2` is `k#2`) and what their row said; `-` ended."""
    return {
        subject.replace("_", "#"): Known(digest(said.strip("-")), 0, "", ended=said.endswith("-"))
        for subject, said in contents.items()
    }


def siblings(known: dict[str, Known]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for subject in known:
        if "#" in subject:
            found.setdefault(natural(subject), set()).add(subject)
    return found


@pytest.mark.parametrize(
    ("known", "contents", "subjects"),
    [
        ({}, "a", "k"),
        ({}, "b a c", "k#2 k k#3"),
        ({}, "a a", "k k#2"),
        # told already: whoever says what was said is that line
        ({"k": "b", "k_2": "a"}, "a b", "k#2 k"),
        ({"k": "a", "k_2": "b"}, "b", "k#2"),
        ({"k": "a", "k_2": "a"}, "a a a", "k k#2 k#3"),
        # the rest: open lines first, and the lowest number first
        ({"k": "a", "k_2": "b"}, "b c", "k#2 k"),
        ({"k": "a", "k_2": "b"}, "d c", "k#2 k"),
        ({"k": "a", "k_3": "b"}, "x y z", "k k#3 k#2"),
        ({"k": "a-", "k_2": "b"}, "c", "k#2"),
        ({"k": "a-", "k_2": "b"}, "b a", "k#2 k"),
        ({"k": "a", "k_10": "b", "k_9": "c"}, "x y", "k k#9"),
    ],
)
def test_rows_of_one_key_are_told_apart(
    known: dict[str, str], contents: str, subjects: str
) -> None:
    rows = [row("k", content) for content in contents.split()]
    lines = told(**known)
    assert list(occurrences(rows, lines, siblings(lines))) == subjects.split()


def test_other_keys_are_left_alone() -> None:
    rows = [row("j", "a"), row("k", "b"), row("k", "a"), row("l", "a")]
    lines = told(l="x", l_2="a")
    assert occurrences(rows, lines, siblings(lines)) == ["j", "k#2", "k", "l#2"]


contents = st.lists(st.sampled_from("abcd"), min_size=1, max_size=6)
known_lines = st.dictionaries(
    st.sampled_from(["k", "k_2", "k_3", "k_4"]), st.sampled_from(["a", "b", "c", "a-", "b-"])
)


@given(said=contents, known=known_lines, data=st.data())
def test_the_order_of_the_answer_does_not_matter(
    said: list[str], known: dict[str, str], data: st.DataObject
) -> None:
    lines = told(**known)
    rows = [row("k", content) for content in said]
    shuffled = data.draw(st.permutations(rows))

    def assigned(rows: list[Sighting]) -> list[tuple[str, bytes]]:
        subjects = occurrences(rows, lines, siblings(lines))
        return sorted(zip(subjects, (each.content for each in rows), strict=True))

    assert assigned(rows) == assigned(shuffled)
    assert len({subject for subject, _ in assigned(rows)}) == len(rows)


def test_subjects_and_natural_keys() -> None:
    assert [numbered("1/a", n) for n in (1, 2)] == ["1/a", "1/a#2"]
    assert [natural(subject) for subject in ("1/a", "1/a#2")] == ["1/a", "1/a"]


# --- what is over ----------------------------------------------------------------------------


def lines(*numbers: int) -> list[str]:
    return [str(number) for number in numbers]


@pytest.mark.parametrize(
    ("open_lines", "missing", "held", "clear", "hold"),
    [
        (10, [], [], [], []),
        (10, [1, 2], [], [1, 2], []),
        # more than count (2) and more than half
        (10, [1, 2, 3], [], [1, 2, 3], []),
        (6, [1, 2, 3], [], [1, 2, 3], []),
        (5, [1, 2, 3], [], [], [1, 2, 3]),
        (3, [1, 2], [], [1, 2], []),
        # all of them, few or many
        (1, [1], [], [], [1]),
        (2, [1, 2], [], [], [1, 2]),
        (99, list(range(99)), [], [], list(range(99))),
        # agreed
        (5, [1, 2, 3], [1, 2, 3], [1, 2, 3], []),
        (5, [1, 2, 3, 4, 5], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5], []),
        (9, [1, 2], [1, 2, 3, 4, 5], [1, 2], []),
        # agreed, and others that are missing now: those are judged by themselves
        (9, [1, 2, 3, 4], [1, 2], [1, 2, 3, 4], []),
        (7, [1, 2, 3, 4, 5], [1, 2], [1, 2], [3, 4, 5]),
        (3, [1, 2, 3], [1, 2], [1, 2], [3]),
    ],
)
def test_what_is_missing_is_cleared_or_held(
    open_lines: int, missing: list[int], held: list[int], clear: list[int], hold: list[int]
) -> None:
    verdict = judge(open_lines, lines(*missing), set(lines(*held)), share=0.5, count=2)
    assert verdict == Verdict(
        clear=lines(*clear),
        hold=frozenset(lines(*hold)),
        agreed=frozenset(lines(*missing)) & frozenset(lines(*held)),
    )


def test_a_share_of_one_holds_nothing() -> None:
    assert judge(2, ["1", "2"], (), share=1, count=0).clear == ["1", "2"]


def test_a_share_of_nothing_leaves_the_count_to_decide() -> None:
    assert judge(100, ["1", "2"], (), share=0, count=2).clear == ["1", "2"]
    assert judge(100, ["1", "2", "3"], (), share=0, count=2).hold == {"1", "2", "3"}


# --- what changed ----------------------------------------------------------------------------


def data(**fields: Any) -> Data:
    return Data(**({"order": Order(), "line": Line(), "quantity": Quantity()} | fields))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, []),
        (
            {"quantity": Quantity(backordered="2", ordered="5")},
            {"quantity": Quantity(backordered="1", ordered="5")},
            [Change(field="quantity.backordered", before="2", after="1")],
        ),
        (
            {"dates": Dates(expected_delivery="2026-01-05"), "reason": "strike"},
            {"dates": Dates(need_by="2026-01-04")},
            [
                Change(field="dates.expected_delivery", before="2026-01-05"),
                Change(field="dates.need_by", after="2026-01-04"),
                Change(field="reason", before="strike"),
            ],
        ),
        (
            {"extra": {"work": {"id": "1", "gone": "x"}, "tags": ["a"]}},
            {"extra": {"work": {"id": "2", "new": {"deep": True}}, "tags": ["a", "b"]}},
            [
                Change(field="extra.tags", before=["a"], after=["a", "b"]),
                Change(field="extra.work.gone", before="x"),
                Change(field="extra.work.id", before="1", after="2"),
                Change(field="extra.work.new.deep", after=True),
            ],
        ),
        # a number has many spellings, a text has one
        (
            {"quantity": Quantity(backordered="5"), "extra": {"price": "5"}},
            {"quantity": Quantity(backordered="5.00"), "extra": {"price": "5.00"}},
            [Change(field="extra.price", before="5", after="5.00")],
        ),
        (
            {"quantity": Quantity(shipped="0")},
            {"line": Line(unit_price="0.0")},
            [
                Change(field="line.unit_price", after="0.0"),
                Change(field="quantity.shipped", before="0"),
            ],
        ),
        # who wrote may be named there
        (
            {"extra": {"updates": [{"by": "Ada"}]}},
            {"extra": {"updates": {"by": "Bo"}}},
            [Change(field="extra.updates"), Change(field="extra.updates.by")],
        ),
        # not known has many spellings
        (
            {"extra": {"a": None, "b": {}}, "parties": Parties(vendor=Party())},
            {"parties": Parties(ship_to=Party(address=Address()))},
            [],
        ),
        # nobody's data
        (
            {"parties": Parties(vendor=Party(name="Ada", extra={"x": "Bo"}))},
            {"parties": Parties(ship_to=Party(address=Address(lines=("1 Mill Lane",))))},
            [
                Change(field="parties.ship_to.address.lines"),
                Change(field="parties.vendor.extra.x"),
                Change(field="parties.vendor.name"),
            ],
        ),
        # what changed before is no field of the line
        ({"changes": (Change(field="reason"),)}, {}, []),
        # a name with a dot in it is not a path
        (
            {"extra": {"a.b": "1"}},
            {"extra": {"a": {"b": "1"}}},
            [Change(field="extra.a.b", after="1"), Change(field="extra.a.b", before="1")],
        ),
    ],
)
def test_changes_name_each_field_down_to_its_leaf(
    before: dict[str, Any], after: dict[str, Any], expected: list[Change]
) -> None:
    assert list(changes(data(**before), data(**after))) == expected


# --- the transitions -------------------------------------------------------------------------

ABOUT = About(source="/mvet/1", subject="1/a", time="2026-01-05T08:00:00Z", revision=3)
BEFORE = data(quantity=Quantity(backordered="2"), parties=Parties(vendor=Party(name="Ada")))
AFTER = replace(BEFORE, quantity=Quantity(backordered="1"))


def as_it_is(event: Event) -> Event:
    return event


def without_parties(event: Event) -> Event:
    return replace(event, data=replace(event.data, parties=Parties()))


def test_every_fact_of_a_line_has_an_id_of_its_own() -> None:
    facts = [opened(replace(ABOUT, revision=n), BEFORE, as_it_is) for n in (0, 1)]
    assert facts[0].id != facts[1].id
    assert facts[0] == opened(replace(ABOUT, revision=0), BEFORE, as_it_is)
    assert (facts[0].type, facts[0].subject, facts[0].time) == (
        "backorder.opened",
        "1/a",
        "2026-01-05T08:00:00Z",
    )


def test_an_update_tells_what_changed() -> None:
    event = updated(ABOUT, AFTER, BEFORE, as_it_is)
    assert event is not None
    assert event.type == "backorder.updated"
    assert event.data.changes == (Change(field="quantity.backordered", before="2", after="1"),)
    assert replace(event.data, changes=BEFORE.changes) == AFTER


def test_an_update_that_changes_nothing_is_none() -> None:
    assert updated(ABOUT, BEFORE, replace(BEFORE, extra={"note": None}), as_it_is) is None
    hidden = replace(AFTER, quantity=BEFORE.quantity, parties=Parties(vendor=Party(name="Bo")))
    kept = without_parties(opened(ABOUT, BEFORE, as_it_is)).data
    assert updated(ABOUT, hidden, kept, without_parties) is None


def test_an_update_whose_past_is_lost_is_told_all_the_same() -> None:
    event = updated(ABOUT, AFTER, None, as_it_is)
    assert event is not None
    assert event.data == AFTER


def test_the_end_repeats_what_was_told_last() -> None:
    last = updated(ABOUT, AFTER, BEFORE, as_it_is)
    assert last is not None
    end = cleared(ABOUT, last.data, "2026-01-06", without_parties)
    assert end.type == "backorder.cleared"
    assert end.data == replace(AFTER, dates=Dates(cleared="2026-01-06"), parties=Parties())
    assert cleared(ABOUT, last.data, None, as_it_is).data == AFTER
