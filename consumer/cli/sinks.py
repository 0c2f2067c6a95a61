"""`sinks`: where every sink is in the journal, and what persons want of it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path

import click
import msgspec
from msgspec.structs import replace

from consumer.cli import table
from consumer.cli.asking import INTERRUPTED, ask
from consumer.cli.options import (
    MomentType,
    Place,
    journal_options,
    journal_to_read,
    place_to_repair,
    require_sink,
    waiting_options,
)
from consumer.cli.replays import cancel_replay, follow, order, tell
from consumer.cli.text import NAME
from consumer.event import timestamp
from consumer.journal.sqlite import SqliteJournal
from consumer.model import Cursor, Positions, utc_now
from consumer.repair import Range, Repairs
from consumer.settings import LogSettings
from consumer.telemetry import configure_log

_TITLES = ("SINK", "POSITION", "PENDING", "LAG", "PARKED", "PAUSED", "REPLAY")
_FAILED = 1
_SEQ = click.IntRange(0, (1 << 63) - 1)  # what the journal counts with


@click.group()
def sinks() -> None:
    """Look at the sinks, have one hold still, or send it events again.

    \b
    Examples:
      backorder-consumer sinks list -c consumer.toml
      backorder-consumer sinks replay warehouse --since 2h -c consumer.toml
    """


@sinks.command("list")
@journal_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(config: Path | None, journal: str | None, *, as_json: bool) -> None:
    """Show position and lag of every sink that the journal knows.

    POSITION is the last sequence number a sink has passed, PENDING how many events lie behind it,
    LAG the age of the oldest of them, PARKED how many events the sink refused for good, PAUSED
    since when a person has it hold still, REPLAY how far it is with what it gets once more, and
    where that ends.

    \b
    Exit status: 0, 1 where the journal cannot be read, 2 unusable configuration.

    \b
    Example:
      backorder-consumer sinks list -c consumer.toml
    """
    positions = asyncio.run(_positions(journal_to_read(config, journal).journal))
    cursors = [_at_present(cursor) for cursor in positions.cursors]
    if as_json:
        for cursor in cursors:
            click.echo(msgspec.json.encode(cursor))
        return
    now = utc_now()
    rows = [_row(cursor, now) for cursor in cursors]
    click.echo(f"journal: events {positions.oldest} to {positions.head}")
    table.show(_TITLES, rows, empty="no sink has ever run on this journal")


async def _positions(opened: SqliteJournal) -> Positions:
    async with opened as journal:
        return await journal.positions()


def _at_present(cursor: Cursor) -> Cursor:
    """Without a replay that is over: it is remembered for those who follow it."""
    return replace(cursor, replay=None) if cursor.replay and cursor.replay.over else cursor


def _row(cursor: Cursor, now: datetime) -> tuple[object, ...]:
    since, replay = cursor.oldest_pending, cursor.replay
    return (
        cursor.sink,
        cursor.seq,
        cursor.pending,
        table.span(now - since) if since else "0s",
        cursor.parked,
        timestamp(cursor.paused.replace(microsecond=0)) if cursor.paused else None,
        f"{replay.done}/{replay.end}" if replay else None,
    )


# --- hold still, go on -----------------------------------------------------------------------


@sinks.command()
@click.argument("name", type=NAME)
@journal_options
def pause(config: Path | None, journal: str | None, *, name: str) -> None:
    """Have the sink NAME hold still, until it is resumed.

    It finishes what it has in hand. What comes meanwhile waits in the journal, also when the daemon
    is restarted, and is not removed by the retention. Works on a journal at rest, and with -c FILE
    beside a running daemon.

    \b
    Exit status: 0, 1 where there is no such sink, 2 unusable configuration.

    \b
    Example:
      backorder-consumer sinks pause warehouse -c consumer.toml
    """
    _change(place_to_repair(config, journal), name, lambda repairs: repairs.pause(name))
    click.echo(f"{name} is paused, until `sinks resume {name}`")


@sinks.command()
@click.argument("name", type=NAME)
@journal_options
def resume(config: Path | None, journal: str | None, *, name: str) -> None:
    """Have the paused sink NAME go on where it was.

    \b
    Exit status: 0, 1 where there is no such sink, 2 unusable configuration.

    \b
    Example:
      backorder-consumer sinks resume warehouse -c consumer.toml
    """
    _change(place_to_repair(config, journal), name, lambda repairs: repairs.resume(name))
    click.echo(f"{name} goes on")


def _change(place: Place, name: str, change: Callable[[Repairs], Awaitable[None]]) -> None:
    configure_log(LogSettings(level="error"))  # what there is to say is said here

    async def changed() -> None:
        from consumer.repair_now import repairing

        async with repairing(*place) as bench:
            await require_sink(bench.journal, name)
            await change(bench.repairs)

    ask(changed(), shown="`sinks list`")


# --- once more -------------------------------------------------------------------------------


@sinks.command()
@click.argument("name", type=NAME)
@journal_options
@click.option("--from", "start", type=_SEQ, metavar="SEQ", help="From this event on.")
@click.option(
    "--since",
    type=MomentType(),
    metavar="TIME",
    help="From what was recorded at this moment on: 2026-11-22T08:00:00Z, or 2h (ago).",
)
@click.option(
    "--to",
    "end",
    type=_SEQ,
    metavar="SEQ",
    help="To this event, or where the sink has come to by then.",
)
@click.option(
    "--source", type=NAME, metavar="SOURCE", help="Only events of this configured source."
)
@click.option("--cancel", is_flag=True, help="End the replay that NAME has, wherever it is.")
@waiting_options
@click.pass_context
def replay(
    context: click.Context,
    config: Path | None,
    journal: str | None,
    *,
    name: str,
    start: int | None,
    since: datetime | None,
    end: int | None,
    source: str | None,
    cancel: bool,
    wait: bool,
    timeout: float,
) -> None:
    """Send events that the sink NAME has had to it once more.

    They are marked as a replay, so that the receiver can tell, and go before what is pending.
    Beside a running daemon this waits for the end; Ctrl-C stops waiting and not the replay. On a
    journal at rest the daemon sends them when it runs the next time. A sink has one replay at a
    time.

    They are old news: a receiver that keeps the last word has to compare the events' `time`,
    above all where --to ends the replay before the newest event.

    \b
    Exit status: 0, 1 where there is no such sink or nothing to send, the sink refused an event,
    somebody ended the replay, or it did not happen in time (it happens later then), 2 wrong use or
    unusable configuration.

    \b
    Examples:
      backorder-consumer sinks replay warehouse --since 2h -c consumer.toml
      backorder-consumer sinks replay warehouse --from 1200 --to 1300 --source mvet --no-wait
      backorder-consumer sinks replay warehouse --cancel
    """
    if [start is not None, since is not None, cancel].count(True) != 1:
        raise click.UsageError("give one of --from, --since and --cancel")
    if cancel and (end, source) != (None, None):
        raise click.UsageError(
            "--cancel ends all of a replay: it goes with neither --to nor --source"
        )
    place = place_to_repair(config, journal)
    configure_log(LogSettings(level="error"))
    if cancel:
        ask(cancel_replay(place, name), shown="`sinks list`")
        return
    try:
        wanted = Range(start=start, since=since, end=end, source=source)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    made = ask(order(place, name, wanted), shown="`sinks list`")
    through = True
    try:
        tell(made)
        if made.running and wait:
            through = asyncio.run(follow(place, made, patience=timeout))
    except KeyboardInterrupt:
        click.echo(f"the replay goes on; `sinks replay {name} --cancel` would end it", err=True)
        context.exit(INTERRUPTED)
    if not through:
        context.exit(_FAILED)
