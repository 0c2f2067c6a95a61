"""Snapshots to events: what was told of a scope's lines, what is there now, what has to be told.

The rules that never bend
1. Only a complete snapshot clears; an incomplete one opens and updates, and says nothing of what
   it does not show.
2. A snapshot that would clear suspiciously much is held until a second complete one agrees: a line
   is cleared that is missing in both. An empty answer after a full one is the classic.
3. A line that clears and comes back is opened again, as a new fact: every fact of a line has a
   revision of its own, which is part of its id.
4. A snapshot's events and the state that they leave are committed together (`Entry.watch`), so a
   crash neither repeats nor loses one.
5. Several rows with one natural key stay apart, whatever the order of the answer.

Here is what can be decided without waiting for anything; `consumer.surveyor` does the rest.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import count as count_from
from typing import NamedTuple

from msgspec import UNSET, Struct
from msgspec.structs import replace

from consumer.event import Change, Data, Event, EventType, Moment
from consumer.model import MARK, Known, numbered

# --- rule 5: which row is which line ---------------------------------------------------------


class Sighting(NamedTuple):
    """A row as it stands in an answer: its natural key, its bytes and their digest."""

    key: str
    content: bytes
    digest: bytes


def natural(subject: str) -> str:
    """The natural key of a subject."""
    return subject.partition(MARK)[0]


def occurrences(
    rows: Sequence[Sighting], known: Mapping[str, Known], siblings: Mapping[str, Collection[str]]
) -> Sequence[str]:
    """The subject of each row; which rows get which subjects, their order does not decide.

    A row whose digest is that of an open line of its key is that line. The rest are taken in order
    of content, for the open lines of the key that are left, and then for subjects that are free
    (new, or of a line that ended); lowest number first each time. `siblings`, by key, are the
    numbered subjects (`key#2`) that are known.
    """
    subjects = [row.key for row in rows]
    if not siblings and len(set(subjects)) == len(subjects):
        return subjects
    groups: dict[str, list[int]] = defaultdict(list)
    for place, key in enumerate(subjects):
        groups[key].append(place)
    for key, places in groups.items():
        if len(places) > 1 or key in siblings:
            places.sort(key=lambda place: rows[place].content)
            told = sorted(
                (each for each in {key, *siblings.get(key, ())} if _is_open(known.get(each))),
                key=_number,
            )
            for place, subject in _assigned(key, places, rows, {s: known[s] for s in told}):
                subjects[place] = subject
    return subjects


def _assigned(
    key: str, places: Sequence[int], rows: Sequence[Sighting], told: Mapping[str, Known]
) -> Iterator[tuple[int, str]]:
    """Pairs of a row's place and its subject; `told` are the key's open lines by their number."""
    same: dict[bytes, list[str]] = defaultdict(list)
    for subject, line in told.items():
        same[line.digest].append(subject)
    taken: set[str] = set()
    rest = []
    for place in places:
        if found := same.get(rows[place].digest):
            taken.add(found[0])
            yield place, found.pop(0)
        else:
            rest.append(place)
    free = _free(key, told, taken)
    for place in rest:
        yield place, next(free)


def _free(key: str, told: Mapping[str, Known], taken: Collection[str]) -> Iterator[str]:
    yield from (subject for subject in told if subject not in taken)
    for number in count_from(1):
        if (subject := numbered(key, number)) not in told:
            yield subject


def _is_open(line: Known | None) -> bool:
    return line is not None and not line.ended


def _number(subject: str) -> int:
    return int(subject.partition(MARK)[2] or 1)


# --- rules 1 and 2: what is over -------------------------------------------------------------


class Verdict(Struct, frozen=True):
    """Of the lines that are missing those that may be cleared, and those that are held.

    `agreed` are those of `clear` that were held before.
    """

    clear: Sequence[str] = ()
    hold: frozenset[str] = frozenset()
    agreed: frozenset[str] = frozenset()


def judge(
    open_lines: int,
    missing: Sequence[str],
    held: Collection[str],
    *,
    share: float,
    count: int,
) -> Verdict:
    """Judge what is `missing` in a complete snapshot, of all the lines that are open.

    `held` are lines that an earlier complete snapshot did not show. `share` and `count` as in
    `model.Scope`; a share of 1 holds nothing.
    """
    agreed = frozenset(subject for subject in missing if subject in held)
    new = [subject for subject in missing if subject not in agreed]
    rest = open_lines - len(agreed)
    if share < 1 and new and (len(new) == rest or len(new) > max(count, share * rest)):
        clear = [subject for subject in missing if subject in agreed]
        return Verdict(clear=clear, hold=frozenset(new), agreed=agreed)
    return Verdict(clear=missing, agreed=agreed)


# --- rule 3: the transitions -----------------------------------------------------------------


class About(Struct, frozen=True, kw_only=True):
    """What every fact says of itself: which line, since when it is known, the how many-th it is.

    `source` and `subject` are the CloudEvents attributes, `time` is the moment of the poll.
    """

    source: str
    subject: str
    time: Moment
    revision: int


Protect = Callable[[Event], Event]
"""Takes out of an event what is not to be kept (`consumer.privacy`)."""


def opened(about: About, data: Data, protect: Protect) -> Event:
    """The line is on backorder, and was not before."""
    return protect(_event("backorder.opened", about, data))


def updated(about: About, data: Data, before: Data | None, protect: Protect) -> Event | None:
    """The line says something else than the event before did; None where it does not.

    Without the event before, what changed cannot be told.
    """
    event = protect(_event("backorder.updated", about, data))
    if before is None:
        return event
    different = changes(before, event.data)
    return replace(event, data=replace(event.data, changes=different)) if different else None


def cleared(about: About, before: Data, over: Moment | None, protect: Protect) -> Event:
    """The line is not on backorder any more: as the event before told it, `over` since then."""
    dates = replace(before.dates, cleared=over) if over else before.dates
    data = replace(before, dates=dates, changes=UNSET)
    return protect(_event("backorder.cleared", about, data))


def _event(type_: EventType, about: About, data: Data) -> Event:
    return Event.of(
        source=about.source,
        type=type_,
        subject=about.subject,
        time=about.time,
        data=data,
        occurrence=about.revision,
    )


# --- what changed ----------------------------------------------------------------------------

_Path = tuple[str, ...]

# Fields that hold decimal numbers. `5` and `5.0` are one number, two texts anywhere else.
_DECIMALS = frozenset(
    {
        ("order", "total"),
        ("line", "unit_price"),
        ("line", "amount"),
        ("quantity", "backordered"),
        ("quantity", "ordered"),
        ("quantity", "shipped"),
    }
)
# What stands below these may be personal: that it changed is told, what it says is not repeated.
# `extra.updates` is CINX's history of a line, and names who wrote (`consumer.privacy`).
_UNSAID = (("parties",), ("extra", "updates"))
_NOT_KNOWN: tuple[object, ...] = (None, UNSET, ())


def changes(before: Data, after: Data) -> tuple[Change, ...]:
    """The fields that differ, in alphabetical order, each down to its leaf.

    Not known, whether null, absent or an object without fields, is the same; so are two spellings
    of one decimal number. Lists are compared as a whole. Fields that may be personal are named,
    their values are not.
    """
    old, new = dict(_leaves(before)), dict(_leaves(after))
    different = (
        (path, old.get(path), new.get(path))
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path)
    )
    return tuple(
        Change(field=".".join(path))
        if any(path[: len(unsaid)] == unsaid for unsaid in _UNSAID)
        else Change(field=".".join(path), before=was, after=is_)
        for path, was, is_ in different
        if not (path in _DECIMALS and _is_one_number(was, is_))
    )


def _is_one_number(one: object, other: object) -> bool:
    both = isinstance(one, str) and isinstance(other, str)
    return both and Decimal(str(one)) == Decimal(str(other))


def _leaves(value: object, path: _Path = ()) -> Iterator[tuple[_Path, object]]:
    if isinstance(value, Struct):
        for name in value.__struct_fields__:
            if path or name != "changes":
                yield from _leaves(getattr(value, name), (*path, name))
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _leaves(each, (*path, name))
    elif value not in _NOT_KNOWN:
        yield path, list(value) if isinstance(value, tuple) else value
