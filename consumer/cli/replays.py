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
        click.echo(f"{sink}: the replay of {_said(ended)} ended after event {ended.done}")


async def follow(place: Place, made: Order, *, patience: float) -> bool:
    """Wait for the end of a replay; False where nothing has moved for so many seconds, or the sink
    is paused.
    """
    sink, replay = made.sink, made.replay
    length = replay.end - replay.start + 1
    async with SqliteJournal(place.journal, readonly=True) as journal:

        async def done() -> int:
            now = (await journal.orders(sink)).replay
            if now is None or now.requested != replay.requested:
                return length
            # It may have been extended: what stands is not over.
            return min(now.done - replay.start + 1, length - 1)

        paused = (await journal.orders(sink)).paused is not None
        through = not paused and await progress.until_done(
            done, length=length, label="Sending again", patience=patience
        )
        paused = paused or (await journal.orders(sink)).paused is not None
    if through:
        click.echo(f"{sink}: the replay is over")
    else:
        click.echo(progress.held_up(sink, paused=paused, patience=patience), err=True)
    return through


def _said(replay: Replay) -> str:
    whose = f" of {replay.source}" if replay.source else ""
    return f"events {replay.start} to {replay.end}{whose}"
