"""A sink's replay: asked for, followed to its end, or ended before.

Following only reads. What is asked stands in the journal by then, so who stops waiting stops
nothing else.
"""

from typing import NamedTuple

import click

from consumer.cli import progress
from consumer.cli.options import Place, require_sink, require_source
from consumer.journal.sqlite import SqliteJournal
from consumer.model import Replay
from consumer.repair import Range

_PAGE = 500


class Order(NamedTuple):
    """A replay that was asked for; `running`: a daemon carries it out now."""

    sink: str
    replay: Replay
    running: bool


async def order(place: Place, sink: str, wanted: Range) -> Order:
    """Have a sink get events again."""
    from consumer.repair_now import repairing

    async with repairing(*place) as bench:
        await require_sink(bench.journal, sink)
        if wanted.source is not None:
            await require_source(bench.journal, wanted.source, None)
        replay = await bench.repairs.replay(sink, wanted)
    return Order(sink, replay, running=bench.running)


def tell(made: Order) -> None:
    """Tell what was asked for."""
    when = "now" if made.running else "when the daemon runs the next time"
    click.echo(f"{made.sink}: {_said(made.replay)} to be sent again {when}")


async def cancel_replay(place: Place, sink: str) -> None:
    """End a sink's replay where it is, and tell how far it came."""
    from consumer.repair_now import repairing

    async with repairing(*place) as bench:
        await require_sink(bench.journal, sink)
        ended = await bench.repairs.end_replay(sink)
    if ended is None:
        click.echo(f"{sink} has no replay")
    else:
        click.echo(f"{sink}: the replay of {_said(ended)} ended before event {ended.done + 1}")


class Following:
    """How far a replay is, as it was seen last. `ended`: by somebody, before it was over."""

    def __init__(self, journal: SqliteJournal, made: Order) -> None:
        self._journal = journal
        self._sink = made.sink
        self._length = made.replay.end - made.replay.start + 1
        self.seen = made.replay
        self.ended = False

    async def look(self) -> int:
        """How many of the events that were asked for are behind it."""
        now = (await require_sink(self._journal, self._sink)).replay
        if now is None or now.requested != self.seen.requested:
            self.ended = True
            return self._length
        self.seen = now
        # It may have been extended: what is not over has not come to its end.
        return self._length if now.over else min(now.done - now.start + 1, self._length - 1)

    async def paused(self) -> bool:
        """Whether the sink holds still."""
        return (await require_sink(self._journal, self._sink)).paused is not None

    async def refused(self) -> int:
        """How many of its events the sink has parked since it was asked for."""
        count, at = 0, self.seen.start - 1
        while page := await self._journal.parked(
            self._sink, limit=_PAGE, after=(at, self._sink), bodies=False
        ):
            for each in page:
                if each.seq > self.seen.end:
                    return count
                count += each.parked >= self.seen.requested
            at = page[-1].seq
        return count

    @property
    def length(self) -> int:
        """How many events were asked for."""
        return self._length


async def follow(place: Place, made: Order, *, patience: float) -> bool:
    """Wait for the end of a replay, and tell it. Whether it came to its end and nothing was
    refused.

    Gives up where nothing has moved for so many seconds, or the sink is paused.
    """
    sink = made.sink
    async with SqliteJournal(place.journal, readonly=True) as journal:
        following = Following(journal, made)
        paused = await following.paused()
        through = not paused and await progress.until_done(
            following.look, length=following.length, label="Sending again", patience=patience
        )
        paused = paused or await following.paused()
        refused = await following.refused()
    if not through:
        click.echo(progress.held_up(sink, paused=paused, patience=patience), err=True)
    elif following.ended:
        at = following.seen.done
        click.echo(f"{sink}: the replay was ended by somebody, after event {at} or later", err=True)
    else:
        click.echo(f"{sink}: the replay is over")
    if refused:
        what = "1 event was" if refused == 1 else f"{refused} events were"
        click.echo(f"{sink}: {what} refused; `parked list {sink}` shows why", err=True)
    return through and not following.ended and not refused


def _said(replay: Replay) -> str:
    whose = f" of {replay.source}" if replay.source else ""
    return f"events {replay.start} to {replay.end}{whose}"
