"""`backorders`: the order lines that are on backorder now."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from consumer.cli import table
from consumer.cli.options import Chosen, journal_options, journal_to_read, require_source
from consumer.cli.text import NAME
from consumer.model import Backorder, utc_now
from consumer.sinks.stdout import harmless

_TITLES = (
    "ORDER",
    "LINE",
    "ITEM",
    "QUANTITY",
    "STATE",
    "AGE",
    "EXPECTED",
    "SOURCE",
    "ACCOUNT",
    "DESCRIPTION",
)
_DESCRIPTION_WIDTH = 40

# What the journal counts with, less the one line that is asked for beyond the limit.
_MOST = (1 << 63) - 2


@click.command()
@journal_options
@click.option("--source", type=NAME, metavar="NAME", help="Only lines of this configured source.")
@click.option("--all", "ended", is_flag=True, help="The ended ones too.")
@click.option(
    "--limit",
    default=1000,
    show_default=True,
    type=click.IntRange(1, _MOST),
    help="At most so many.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def backorders(config: Path | None, journal: str | None, **options: Any) -> None:
    """Show the order lines now on backorder, longest first.

    The journal keeps the present state of every order line beside the events. A line stays until
    its upstream says that it is over; Radial's queue and webhook never do, so their lines stay.
    SOURCE is the configured source, ACCOUNT the system and the store or customer account.
    Works beside a running daemon and on a journal at rest, and changes nothing.

    \b
    Exit status: 0, 1 where the journal cannot be read or knows no such source, 2 unusable
    configuration.

    \b
    Examples:
      backorder-consumer backorders -c consumer.toml
      backorder-consumer backorders --source radial-queue --all --json
    """
    asyncio.run(_show(journal_to_read(config, journal), **options))


async def _show(
    chosen: Chosen, *, source: str | None, ended: bool, limit: int, as_json: bool
) -> None:
    async with chosen.journal as journal:
        if source is not None:
            await require_source(journal, source, chosen.sources)
        found = await journal.backorders(source=source, ended=ended, limit=limit + 1)
    lines = found[:limit]
    if len(found) > limit:
        click.echo(f"only the first {limit} are shown; --limit shows more", err=True)
    if as_json:
        for line in lines:
            click.echo(harmless(msgspec.json.encode(line)))
        return
    now = utc_now()
    table.show(_TITLES, [_row(line, now) for line in lines], empty="nothing is on backorder")


def _row(line: Backorder, now: datetime) -> tuple[object, ...]:
    state = "ended" if line.ended else line.type.removeprefix("backorder.")
    description = (line.description or "")[:_DESCRIPTION_WIDTH]
    return (
        line.order,
        line.line,
        line.item,
        line.quantity,
        state,
        table.span((line.ended or now) - line.since),
        line.expected,
        line.origin,
        line.source,
        description,
    )
