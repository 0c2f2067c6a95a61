"""`sinks`: where every sink is in the journal."""

import asyncio
from datetime import datetime
from pathlib import Path

import click
import msgspec

from consumer.cli import table
from consumer.cli.options import journal_options, journal_to_read
from consumer.journal.sqlite import SqliteJournal
from consumer.model import Cursor, Positions, utc_now

_TITLES = ("SINK", "POSITION", "PENDING", "LAG", "PARKED")


@click.group()
def sinks() -> None:
    """Look at the sinks.

    \b
    Example:
      backorder-consumer sinks list -c consumer.toml
    """


@sinks.command("list")
@journal_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(config: Path | None, journal: str | None, *, as_json: bool) -> None:
    """Show position and lag of every sink that the journal knows.

    POSITION is the last sequence number a sink has passed, PENDING how many events lie behind it,
    LAG the age of the oldest of them, PARKED how many events the sink refused for good.

    \b
    Exit status: 0, 1 where the journal cannot be read, 2 unusable configuration.

    \b
    Example:
      backorder-consumer sinks list -c consumer.toml
    """
    positions = asyncio.run(_positions(journal_to_read(config, journal).journal))
    if as_json:
        for cursor in positions.cursors:
            click.echo(msgspec.json.encode(cursor))
        return
    now = utc_now()
    rows = [_row(cursor, now) for cursor in positions.cursors]
    click.echo(f"journal: events {positions.oldest} to {positions.head}")
    table.show(_TITLES, rows, empty="no sink has ever run on this journal")


async def _positions(opened: SqliteJournal) -> Positions:
    async with opened as journal:
        return await journal.positions()


def _row(cursor: Cursor, now: datetime) -> tuple[object, ...]:
    since = cursor.oldest_pending
    lag = table.span(now - since) if since else "0s"
    return (cursor.sink, cursor.seq, cursor.pending, lag, cursor.parked)
