"""`parked`: what a sink refused for good, another try for it, and its end."""

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec.structs import asdict

from consumer.cli import progress, table
from consumer.cli.asking import INTERRUPTED, ask, in_steps
from consumer.cli.offers import TOGETHER, chosen, everything_of, follow, order, tell, these_of
from consumer.cli.options import (
    Place,
    journal_options,
    journal_to_read,
    place_to_repair,
    require_sink,
    waiting_options,
)
from consumer.cli.text import NAME
from consumer.event import timestamp
from consumer.journal.sqlite import SqliteJournal
from consumer.model import Parked
from consumer.settings import LogSettings
from consumer.telemetry import configure_log

_TITLES = ("SINK", "SEQ", "PARKED", "STATE", "TYPE", "SUBJECT", "REASON")
_REASON_WIDTH = 100
_FAILED = 1
_LARGEST = (1 << 63) - 1  # what the journal counts with

_SEQ = click.IntRange(0, _LARGEST)


@click.group()
def parked() -> None:
    """Look at events that a sink refused for good, offer them again, discard them.

    A sink that refuses an event goes on with the next; the refused one waits here until a person
    decides.

    \b
    Examples:
      backorder-consumer parked list -c consumer.toml
      backorder-consumer parked retry warehouse --all -c consumer.toml
    """


# --- looking ---------------------------------------------------------------------------------


@parked.command("list")
@click.argument("sink", type=NAME, required=False)
@journal_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(config: Path | None, journal: str | None, *, sink: str | None, as_json: bool) -> None:
    """Show the parked events of every sink, or of SINK, oldest first.

    STATE is `parked`; `retrying` for an event that is to be offered again; `gone` for one that the
    journal does not hold any more. Works beside a running daemon and on a journal at rest, and
    changes nothing.

    \b
    Exit status: 0, 1 where the journal cannot be read or knows no such sink, 2 unusable
    configuration.

    \b
    Example:
      backorder-consumer parked list warehouse -c consumer.toml
    """
    asyncio.run(_list(journal_to_read(config, journal).journal, sink, as_json=as_json))


async def _list(opened: SqliteJournal, sink: str | None, *, as_json: bool) -> None:
    rows = []
    async with opened as journal:
        if sink is not None:
            await require_sink(journal, sink)
        async for each in everything_of(journal, sink):
            if as_json:
                click.echo(table.harmless(msgspec.json.encode(_told(each))))
            else:
                rows.append(_row(each))
    if not as_json:
        table.show(_TITLES, rows, empty="nothing is parked")


def _row(each: Parked) -> tuple[object, ...]:
    moment = timestamp(each.parked.replace(microsecond=0))
    kind, subject = (each.record.type, each.record.subject) if each.record else (None, None)
    reason = each.reason
    if len(reason) > _REASON_WIDTH:
        reason = reason[: _REASON_WIDTH - 1] + "…"
    return (each.sink, each.seq, moment, _state(each), kind, subject, reason)


def _state(each: Parked) -> str:
    if each.record is None:
        return "gone"
    return "retrying" if each.retrying else "parked"


def _told(each: Parked) -> dict[str, Any]:
    """Everything but the event's body, as the admin API tells it."""
    fields = asdict(each)
    record = fields.pop("record")
    return fields | {
        name: getattr(record, name, None) for name in ("id", "source", "type", "subject")
    }


@parked.command()
@click.argument("sink", type=NAME)
@click.argument("seq", type=_SEQ)
@journal_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(config: Path | None, journal: str | None, *, sink: str, seq: int, as_json: bool) -> None:
    """Show one parked event, and why it was refused.

    The CloudEvent is shown as it is, with the personal data that it holds.

    \b
    Exit status: 0, 1 where no such event is parked, 2 unusable configuration.

    \b
    Example:
      backorder-consumer parked show warehouse 1204 -c consumer.toml
    """
    each = asyncio.run(_one(journal_to_read(config, journal).journal, sink, seq))
    event = msgspec.Raw(each.record.body) if each.record else None
    if as_json:
        click.echo(table.harmless(msgspec.json.encode(_told(each) | {"event": event})))
        return
    for line in (
        f"sink    {sink}",
        f"seq     {seq}",
        f"parked  {timestamp(each.parked)}",
        f"state   {_state(each)}",
        f"reason  {each.reason}",
    ):
        click.echo(table.plain(line))
    for line in msgspec.json.format(event or b"null", indent=2).decode().splitlines():
        click.echo(table.plain(line))


async def _one(opened: SqliteJournal, sink: str, seq: int) -> Parked:
    async with opened as journal:
        await require_sink(journal, sink)
        [each] = await these_of(journal, sink, [seq])
    return each


# --- another try -----------------------------------------------------------------------------


@parked.command()
@click.argument("sink", type=NAME)
@click.argument("seqs", nargs=-1, type=_SEQ, metavar="[SEQ]...")
@journal_options
@click.option("--all", "everything", is_flag=True, help="All that SINK has parked.")
@waiting_options
@click.pass_context
def retry(
    context: click.Context,
    config: Path | None,
    journal: str | None,
    *,
    sink: str,
    seqs: tuple[int, ...],
    everything: bool,
    wait: bool,
    timeout: float,
) -> None:
    """Offer parked events to SINK once more, marked as a replay.

    Beside a running daemon this waits until each was refused again or has left the park, which it
    does when it is delivered, or when somebody discards it; they go before what is pending. On a
    journal at rest the daemon offers them when it runs the next time.

    They are old news: a receiver that keeps the last word has to compare the events' `time`.

    \b
    Exit status: 0, 1 where one was refused again, is not parked, or was not offered in time (it
    stays marked then, and is offered later), 2 wrong use or unusable configuration.

    \b
    Examples:
      backorder-consumer parked retry warehouse 1204 1207 -c consumer.toml
      backorder-consumer parked retry warehouse --all -c consumer.toml --no-wait
    """
    if everything == bool(seqs):
        raise click.UsageError("name the events to offer again, or say --all")
    place = place_to_repair(config, journal)
    configure_log(LogSettings(level="error"))  # what there is to say is said here
    made = ask(order(place, sink, None if everything else seqs), shown="`parked list`")
    through = everything or not made.lost
    try:
        tell(made)
        if wait and made.running and made.seqs:
            through &= asyncio.run(follow(place, made, patience=timeout))
    except KeyboardInterrupt:
        click.echo("what was not offered yet stays marked, and is offered all the same", err=True)
        context.exit(INTERRUPTED)
    if not through:
        context.exit(_FAILED)


# --- the end ---------------------------------------------------------------------------------


@parked.command()
@click.argument("sink", type=NAME)
@click.argument("seqs", nargs=-1, type=_SEQ, metavar="[SEQ]...")
@journal_options
@click.option("--all", "everything", is_flag=True, help="All that SINK has parked now.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def discard(
    context: click.Context,
    config: Path | None,
    journal: str | None,
    *,
    sink: str,
    seqs: tuple[int, ...],
    everything: bool,
    yes: bool,
) -> None:
    """Take events out of the park for good: SINK never gets them.

    Asks first where standard input is a terminal. Works on a journal at rest, and with -c FILE
    beside a running daemon. The events themselves stay in the journal for as long as others.

    Where one is not parked at the beginning, nothing is discarded. Many are discarded in steps of
    500, each all or nothing; where one fails, what was discarded before it is told.

    \b
    Exit status: 0, 1 where one is not parked or a step fails, 2 wrong use or unusable
    configuration.

    \b
    Example:
      backorder-consumer parked discard warehouse 1204 -c consumer.toml --yes
    """
    if everything == bool(seqs):
        raise click.UsageError("name the events to discard, or say --all")
    place = place_to_repair(config, journal)
    configure_log(LogSettings(level="error"))
    found = asyncio.run(_named(place, sink, None if everything else seqs))
    if not found:
        click.echo("nothing is parked")
        return
    what = table.counted(len(found), "parked event")
    asking = not yes and progress.asked_by_a_person()
    if asking and not click.confirm(f"{sink}: remove {what} for good?", err=True):
        click.echo("nothing was discarded", err=True)
        context.exit(_FAILED)
    gone = ask(_discard(place, sink, found), shown="`parked list`")
    click.echo(f"{sink}: {table.counted(gone, 'event')} discarded")


async def _named(place: Place, sink: str, seqs: Sequence[int] | None) -> Sequence[int]:
    async with SqliteJournal(place.journal, readonly=True) as journal:
        return list(await chosen(journal, sink, seqs))


async def _discard(place: Place, sink: str, seqs: Sequence[int]) -> int:
    """Take events out of the park; how many."""
    from consumer.repair_now import repairing

    async with repairing(*place) as bench:
        discard = partial(bench.repairs.discard_parked, sink)
        return await in_steps(seqs, discard, together=TOGETHER, done="discarded")
