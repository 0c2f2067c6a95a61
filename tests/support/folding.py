"""An event stream folded into the state that it tells: which lines are open, and what they say.

Each event has to be a transition that can follow those before it; what is not one is an assertion
that says which. This knows nothing of how the program works differences out.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from consumer.event import Data, Event
from consumer.journal.lines import line_state
from consumer.model import Backorder, Record
from consumer.ports import Journal

Place = tuple[str, str]
"""Source and subject of a line."""

Saying = tuple[str, str, str]
"""Source and natural key of a line, and its data as a text that is the same for the same data."""

_MOST = 1_000_000
_ALL = 1 << 40


@dataclass(frozen=True)
class Standing:
    """What the events said of one line: the newest of them, and how many there were."""

    event: Event
    data: Data
    facts: int
    seq: int = 0

    @property
    def open(self) -> bool:
        return self.event.type != "backorder.cleared"


@dataclass
class Fold:
    """The state after all events that were folded in so far."""

    lines: dict[Place, Standing] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)

    def open(self) -> dict[Place, Data]:
        """The lines that are on backorder, with what was said of them last."""
        return {place: line.data for place, line in self.lines.items() if line.open}

    def add(self, event: Event, seq: int = 0) -> None:
        """Fold one more event in, or fail where it cannot be the next one."""
        said = f"{event.type} of {event.source} {event.subject}"
        assert event.id not in self.ids, f"the id of {said} is there twice"
        self.ids.add(event.id)
        place = event.source, event.subject
        before = self.lines.get(place)
        data = replace(event.data, changes=UNSET)
        if event.type == "backorder.opened":
            assert before is None or not before.open, f"{said}: it is open already"
            assert event.data.changes is UNSET, f"{said}: there is nothing it could have changed"
        else:
            assert before is not None, f"{said}: it never was open"
            assert before.open, f"{said}: it is over"
            if event.type == "backorder.updated":
                _check_changes(before.data, event.data, said)
            else:
                assert event.type == "backorder.cleared"
                dates = replace(before.data.dates, cleared=data.dates.cleared)
                assert data == replace(before.data, dates=dates), f"{said}: it tells something new"
        self.lines[place] = Standing(event, data, 1 + (before.facts if before else 0), seq)


def fold(records: Iterable[Record]) -> Fold:
    """The state after these records."""
    folded = Fold()
    for record in records:
        folded.add(msgspec.json.decode(record.body, type=Event), record.seq)
    return folded


async def fold_of(journal: Journal) -> Fold:
    """The state after everything that the journal holds."""
    return fold(await journal.read(0, limit=_MOST, max_bytes=_ALL))


async def check_state(journal: Journal, folded: Fold) -> None:
    """The journal's own idea of every line is what its events say."""
    rows = await journal.backorders(ended=True, limit=_MOST)
    assert {(row.source, row.subject) for row in rows} == folded.lines.keys()
    for row in rows:
        _check_row(row, folded.lines[row.source, row.subject])
    for source in {source for source, _ in folded.lines}:
        watched = await journal.watched(source)
        told = {subject: line for (of, subject), line in folded.lines.items() if of == source}
        assert watched.lines.keys() == told.keys()
        for subject, known in watched.lines.items():
            assert known.ended != told[subject].open, f"{subject} of {source}"
            assert known.revision == told[subject].facts - 1, f"{subject} of {source}"
        assert not {subject for subject in watched.held if subject not in told}


def _check_row(row: Backorder, line: Standing) -> None:
    state = line_state(line.event)
    said = (row.type, row.seq, row.ended is None)
    assert said == (line.event.type, line.seq, line.open), f"{row.subject} of {row.source}"
    assert (row.order, row.line, row.item, row.description) == (
        *(state.order, state.line, state.item, state.description),
    )
    assert (row.quantity, row.delay, row.expected) == (state.quantity, state.delay, state.expected)


def difference(told: Counter[Saying], there: Counter[Saying]) -> str:
    """What was told otherwise than it is, a line each, as short as it can be said; or nothing."""
    wrong, lacking = told - there, there - told
    said = []
    for place in sorted({(source, key) for source, key, _ in wrong + lacking}):
        one, other = (
            [d for s, k, d in side.elements() if (s, k) == place] for side in (wrong, lacking)
        )
        named = " ".join(place)
        if len(one) == len(other) == 1:
            old, new = (dict(_flat(msgspec.json.decode(data))) for data in (*one, *other))
            fields = sorted(
                name for name in old.keys() | new.keys() if old.get(name) != new.get(name)
            )
            said += [
                f"{named}: {each} is {new.get(each)!r}, told {old.get(each)!r}" for each in fields
            ]
        else:
            said.append(
                f"{named}: told {len(one)} times and not there, there {len(other)} and not told"
            )
    return "\n".join(said)


# --- changes -----------------------------------------------------------------------------------


def _check_changes(before: Data, after: Data, said: str) -> None:
    """`changes` is all that differs, and makes of what was said before what is said now."""
    assert after.changes, f"{said}: nothing changed"
    old, new = dict(_flat(_plain(before))), dict(_flat(_plain(after)))
    told = {change.field: (change.before, change.after) for change in after.changes}
    assert len(told) == len(after.changes), f"{said}: a field changed twice"
    different = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
    assert told.keys() == different, f"{said}: {told.keys() ^ different} of its changes"
    for name, values in told.items():
        parties = name.startswith("parties.")
        expected = (None, None) if parties else (old.get(name), new.get(name))
        assert values == expected, f"{said}: {name}"


def _plain(data: Data) -> object:
    return msgspec.json.decode(msgspec.json.encode(replace(data, changes=UNSET)))


def _flat(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Dotted names and values of what is known."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield from _flat(below, f"{path}.{name}" if path else name)
    elif value is not None and value != []:
        yield path, value
