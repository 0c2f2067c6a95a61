"""`events`: what the journal holds."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import msgspec

from consumer.cli.options import Chosen, journal_options, journal_to_read, require_source
from consumer.cli.text import NAME
from consumer.event import timestamp
from consumer.model import Record
from consumer.sinks.stdout import harmless, pretty

# What the journal counts with.
_LARGEST = (1 << 63) - 1

_PAGE = 500
_SECONDS_BETWEEN_LOOKS = 0.5


@click.command()
@journal_options
@click.option(
    "--after",
    default=0,
    type=click.IntRange(0, _LARGEST),
    metavar="SEQ",
    help="Begin behind this sequence number.",
)
@click.option("--source", type=NAME, metavar="NAME", help="Only events of this configured source.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Stop after N events.")
@click.option("--follow", is_flag=True, help="Wait for more, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def events(config: Path | None, journal: str | None, **options: Any) -> None:
    """Show the events that the journal holds, oldest first.

    With --json each line is {"seq", "recorded", "event"}, where "event" is the CloudEvent as the
    sinks get it; without, a line for people. Works beside a running daemon and on a journal at
    rest, and changes nothing.

    \b
    Exit status: 0, 1 where the journal cannot be read or knows no such source, 2 unusable
    configuration.

    \b
    Examples:
      backorder-consumer events -c consumer.toml --follow
      backorder-consumer events --journal sqlite:var/journal.db --after 1200 --json
    """
    with suppress(KeyboardInterrupt):  # how one leaves --follow
        asyncio.run(_show(journal_to_read(config, journal), **options))


async def _show(
    chosen: Chosen,
    *,
    after: int,
    source: str | None,
    limit: int | None,
    follow: bool,
    as_json: bool,
) -> None:
    left = limit or float("inf")
    async with chosen.journal as journal:
        if source is not None and not (follow and chosen.sources is None):  # it may yet come
            await require_source(journal, source, chosen.sources)
        while left > 0:
            page = await journal.read(after, limit=int(min(_PAGE, left)), source=source)
            for record in page:
                click.echo(_as_json(record) if as_json else f"{record.seq:>8}  {pretty(record)}")
                after = record.seq
            left -= len(page)
            if not page:
                if not follow:
                    return
                await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)


def _as_json(record: Record) -> bytes:
    line = {
        "seq": record.seq,
        "recorded": timestamp(record.recorded),
        "event": msgspec.Raw(record.body),
    }
    return harmless(msgspec.json.encode(line))
