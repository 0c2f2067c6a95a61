"""What has arrived where: looked up in the journal, behind the cursor of stdout, in the file."""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from consumer.demo.polled import Open, as_open
from consumer.event import Event
from consumer.journal.sqlite import SqliteJournal
from consumer.model import Record
from consumer.ports import Journal
from consumer.simulators.radial import Fact

_PAGE = 1000
_MOST_LINES = 1_000_000

_event = msgspec.json.Decoder(Event)


class Arrivals(Struct, kw_only=True):
    """One look. `journal`, `stdout` and `file` hold Radial's facts and the ids of polled events;
    `polled` are those ids that the journal has, by source; `open` its open lines, by source.
    """

    journal: set[object] = set()
    stdout: set[object] = set()
    file: set[object] = set()
    polled: Mapping[str, set[object]] = {}
    open: Mapping[str, "Counter[Open]"] = {}

    @property
    def places(self) -> Mapping[str, set[object]]:
        """What each place has."""
        return {"journal": self.journal, "stdout": self.stdout, "file": self.file}


async def head_of(path: Path) -> int:
    """Up to where an earlier demonstration filled this journal; 0 where there was none."""
    if not await asyncio.to_thread(path.exists):
        return 0
    async with SqliteJournal(path, readonly=True) as journal:
        return (await journal.positions()).head


async def look(journal: Journal, file: Path, polled: Collection[str], *, after: int) -> Arrivals:
    """What is where now, of what came behind `after`; `polled` are the sources whose open lines are
    of interest.
    """
    positions = await journal.positions()
    cursors = {cursor.sink: cursor for cursor in positions.cursors}
    found = Arrivals(polled={name: set() for name in polled})
    seq = after
    while page := await journal.read(seq, limit=_PAGE):
        for record in page:
            fact = _fact(record)
            found.journal.add(fact)
            if record.origin in found.polled:
                found.polled[record.origin].add(fact)
            if record.seq <= cursors["stdout"].seq and not cursors["stdout"].parked:
                found.stdout.add(fact)
        seq = page[-1].seq
    found.file = await asyncio.to_thread(_in_file, file)
    found.open = {
        name: Counter(
            as_open(line)
            for line in await journal.backorders(source=name, limit=_MOST_LINES)
            if line.seq > after
        )
        for name in polled
    }
    return found


def _in_file(file: Path) -> set[object]:
    if not file.exists():
        return set()
    lines = file.read_bytes().splitlines(keepends=True)
    return {_fact_of(line) for line in lines if line.endswith(b"\n")}


def _fact(record: Record) -> object:
    return _fact_of(record.body) if record.system == "radial" else record.id


def _fact_of(body: bytes) -> object:
    """What an event states: Radial's as the simulated world counts facts, others by their id."""
    event = _event.decode(body)
    if not event.source.startswith("/radial/"):
        return event.id
    return Fact(
        source=event.source,
        subject=event.subject,
        type=event.type,
        quantity=event.data.quantity.backordered or "",
    )
