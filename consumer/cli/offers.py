"""Parked events that are offered once more: marked, and followed until each has its answer.

Following only reads. What is asked stands in the journal by then, so who stops waiting stops
nothing else.
"""

from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import click

from consumer.cli import progress, table
from consumer.cli.asking import in_steps
from consumer.cli.options import Place, require_sink
from consumer.errors import Unusable
from consumer.journal.sqlite import SqliteJournal
from consumer.model import Parked

_PAGE = 100

# Events that one call of a repair names at the most.
TOGETHER = 500


class Order(NamedTuple):
    """Events that a sink is to be offered again. `lost` counts those that are gone from the
    journal; `running`: a daemon does it now.
    """

    sink: str
    seqs: Sequence[int]
    lost: int
    running: bool


async def everything_of(journal: SqliteJournal, sink: str | None) -> AsyncIterator[Parked]:
    """All that a sink, or any sink (None), has parked, oldest first."""
    after = (0, "")
    while page := await journal.parked(sink, limit=_PAGE, after=after, bodies=False):
        for each in page:
            yield each
        after = (page[-1].seq, page[-1].sink)


async def chosen(
    journal: SqliteJournal, sink: str, seqs: Sequence[int] | None
) -> Mapping[int, bool]:
    """The parked events that a person named, or all that there are now (None); oldest first.

    The value says whether the journal still holds the event. Raises `Unusable` for a sink that is
    not known and an event that is not parked.
    """
    await require_sink(journal, sink)
    if seqs is None:
        return {each.seq: each.record is not None async for each in everything_of(journal, sink)}
    return {each.seq: each.record is not None for each in await these_of(journal, sink, seqs)}


async def these_of(journal: SqliteJournal, sink: str, seqs: Sequence[int]) -> Sequence[Parked]:
    """Certain parked events, oldest first; `Unusable` where one of them is not parked."""
    found: list[Parked] = []
    missing: list[int] = []
    for seq in sorted(set(seqs)):
        page = await journal.parked(sink, limit=1, after=(seq - 1, sink))
        if page and page[0].seq == seq:
            found.append(page[0])
        else:
            missing.append(seq)
    if missing:
        raise Unusable(
            f"not parked by {sink}: {table.first_of(missing)}", "`parked list` shows what is"
        )
    return found


async def order(place: Place, sink: str, seqs: Sequence[int] | None) -> Order:
    """Mark events (None: all that are there now) to be offered once more."""
    from consumer.repair_now import repairing

    async with repairing(*place) as bench:
        found = await chosen(bench.journal, sink, seqs)
        held = [seq for seq, there in found.items() if there]
        if held and seqs is None:  # one commit, whatever leaves the park meanwhile
            await bench.repairs.retry_parked(sink, None)
        else:
            retry = partial(bench.repairs.retry_parked, sink)
            await in_steps(held, retry, together=TOGETHER, done="marked")
    return Order(sink, held, lost=len(found) - len(held), running=bench.running)


def tell(made: Order) -> None:
    """Tell what was marked, and what could not be."""
    if made.lost:
        lost = table.counted(made.lost, "event")
        click.echo(f"{lost} gone from the journal cannot be offered, only discarded", err=True)
    if made.seqs:
        when = "now" if made.running else "when the daemon runs the next time"
        offered = table.counted(len(made.seqs), "event")
        click.echo(f"{made.sink}: {offered} to be offered again {when}")
    elif not made.lost:
        click.echo("nothing is parked")


class Following:
    """What became of the events of an order, as far as is known.

    What is not parked any more `left`: it was delivered, or somebody discarded it.
    """

    def __init__(self, journal: SqliteJournal, order: Order) -> None:
        self._journal = journal
        self._sink = order.sink
        self.waiting = deque(sorted(order.seqs))
        self.left = 0
        self.refused: list[Parked] = []

    async def look(self) -> int:
        """How many have their answer. They get it in their order, so the first are looked at."""
        while self.waiting:
            page = await self._journal.parked(
                self._sink, limit=_PAGE, after=(self.waiting[0] - 1, self._sink), bodies=False
            )
            held = {each.seq: each for each in page}
            whole = len(page) < _PAGE
            while self.waiting and (whole or self.waiting[0] <= page[-1].seq):
                each = held.get(self.waiting[0])
                if each is not None and each.retrying:
                    return self._done
                self.waiting.popleft()
                if each is None:
                    self.left += 1
                else:
                    self.refused.append(each)
        return self._done

    @property
    def _done(self) -> int:
        return self.left + len(self.refused)


async def follow(place: Place, made: Order, *, patience: float) -> bool:
    """Wait until every event has its answer, and tell it. Whether none was refused.

    Gives up where nothing has moved for `patience` seconds, or the sink is paused.
    """
    async with SqliteJournal(place.journal, readonly=True) as journal:
        following = Following(journal, made)
        paused = (await journal.orders(made.sink)).paused is not None
        if not paused:
            length = len(made.seqs)
            await progress.until_done(
                following.look, length=length, label="Offering again", patience=patience
            )
            paused = (await journal.orders(made.sink)).paused is not None
    for each in following.refused:
        click.echo(table.plain(f"{each.seq}  refused again: {each.reason}"))
    if following.left or following.refused:
        refused = f"{len(following.refused)} refused again"
        click.echo(f"{made.sink}: {following.left} left the park, {refused}")
    if following.waiting:
        rest = table.counted(len(following.waiting), "event")
        why = progress.held_up(made.sink, paused=paused, patience=patience)
        click.echo(f"{rest} not offered yet: {why}", err=True)
    return not (following.waiting or following.refused)
