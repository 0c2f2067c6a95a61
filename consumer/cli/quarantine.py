"""`quarantine`: what could not be understood, another try for it, and its end."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import msgspec
from msgspec.structs import asdict

from consumer.cli import progress, table
from consumer.cli.asking import ask, in_steps
from consumer.cli.options import (
    Chosen,
    Place,
    journal_options,
    journal_to_read,
    place_to_repair,
    require_source,
)
from consumer.cli.payload_ids import Wanted, everything_in, known, meant, missing
from consumer.cli.retrial import TOGETHER, line, reasons, retry_all, summary
from consumer.cli.text import NAME
from consumer.event import timestamp
from consumer.journal.sqlite import SqliteJournal
from consumer.model import Quarantined
from consumer.repair import Retried
from consumer.settings import LogSettings
from consumer.telemetry import configure_log

_TITLES = ("ID", "SOURCE", "FIRST SEEN", "TIMES", "SIZE", "PROBLEM")
_FAILED = 1
_REFUSED = frozenset({"refused", "divided"})


@click.group()
def quarantine() -> None:
    """Look at payloads that could not be understood, try them again, discard them.

    What breaks the schemas is not lost: its bytes and the reasons are kept, and the upstream is
    told that it was taken. An ID may be shortened as long as it names one payload.

    \b
    Examples:
      backorder-consumer quarantine list -c consumer.toml
      backorder-consumer quarantine retry --all -c consumer.toml
    """


# --- looking ---------------------------------------------------------------------------------


@quarantine.command("list")
@journal_options
@click.option(
    "--source", type=NAME, metavar="NAME", help="Only payloads of this configured source."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(config: Path | None, journal: str | None, *, source: str | None, as_json: bool) -> None:
    """Show what is in quarantine, oldest first.

    TIMES counts how often the same bytes came, SIZE is in bytes, PROBLEM is the first reason and
    how many more there are. Works beside a running daemon and on a journal at rest, and changes
    nothing.

    \b
    Exit status: 0, 1 where the journal cannot be read or knows no such source, 2 unusable
    configuration.

    \b
    Example:
      backorder-consumer quarantine list --source radial-queue
    """
    asyncio.run(_list(journal_to_read(config, journal), source=source, as_json=as_json))


async def _list(chosen: Chosen, *, source: str | None, as_json: bool) -> None:
    rows = []
    async with chosen.journal as journal:
        found = False
        async for payload in everything_in(journal):
            if source not in (None, payload.source):
                continue
            found = True
            if as_json:
                click.echo(_as_json(payload))
            else:
                rows.append(_row(payload))
        if source is not None and not found:
            await require_source(journal, source, chosen.sources)
    if not as_json:
        table.show(_TITLES, rows, empty="nothing is in quarantine")


def _row(payload: Quarantined) -> tuple[object, ...]:
    return (
        payload.id,
        payload.source,
        timestamp(payload.first_seen.replace(microsecond=0)),
        payload.times,
        payload.size,
        reasons(payload.problems),
    )


def _as_json(payload: Quarantined) -> bytes:
    fields = asdict(payload)
    del fields["body"]
    return table.harmless(msgspec.json.encode(fields))


@quarantine.command()
@click.argument("id", type=NAME)
@journal_options
@click.option("--raw", is_flag=True, help="The payload itself, byte for byte, and nothing else.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, without the payload.")
def show(config: Path | None, journal: str | None, *, id: str, raw: bool, as_json: bool) -> None:
    """Show one payload, and why it was refused.

    Its bytes may hold personal data and are shown with --raw only.

    \b
    Exit status: 0, 1 where there is no such payload, 2 unusable configuration.

    \b
    Examples:
      backorder-consumer quarantine show 3f9a2c
      backorder-consumer quarantine show 3f9a2c --raw > payload.xml
    """
    if raw and as_json:
        raise click.UsageError("--raw and --json exclude each other")
    payload = asyncio.run(_payload(journal_to_read(config, journal).journal, id, body=raw))
    if raw:
        click.echo(payload.body, nl=False)
    elif as_json:
        click.echo(_as_json(payload))
    else:
        for part in _told_whole(payload):
            click.echo(table.plain(part))


async def _payload(opened: SqliteJournal, id_: str, *, body: bool) -> Quarantined:
    async with opened as journal:
        found = await meant(journal, id_)
        page = [found] if found else []
        if found and body:
            page = [*await journal.quarantined(found.id, limit=1)]
    if not page:
        raise missing([id_])
    return page[0]


def _told_whole(payload: Quarantined) -> Iterator[str]:
    yield f"id          {payload.id}"
    yield f"source      {payload.source} ({payload.system})"
    yield f"origin      {payload.origin or '-'}"
    yield f"first seen  {timestamp(payload.first_seen)}"
    yield f"last seen   {timestamp(payload.last_seen)}"
    yield f"times       {payload.times}"
    yield f"size        {payload.size} bytes"
    for name, value in payload.attributes.items():
        yield f"attribute   {name}: {value}"
    for problem in payload.problems:
        yield f"problem     {problem}"


# --- another try -----------------------------------------------------------------------------


@quarantine.command()
@click.argument("ids", type=NAME, nargs=-1, metavar="[ID]...")
@journal_options
@click.option("--all", "everything", is_flag=True, help="Everything that is there now.")
@click.pass_context
def retry(
    context: click.Context,
    config: Path | None,
    journal: str | None,
    *,
    ids: tuple[str, ...],
    everything: bool,
) -> None:
    """Try payloads again, with the schemas and the code of now.

    What is understood becomes the events that it should have been, once, and leaves quarantine; the
    rest stays, with its new reasons. Beside a running daemon that daemon does it, with the schemas
    that it was started with: restart it after you changed them. What came from a polled upstream is
    not tried again, since each poll asks what is true now.

    The events are old news, and go to the sinks behind newer ones: a receiver that keeps the last
    word has to compare the events' `time`.

    Of a list some may be understood now. What is not takes its place in quarantine, in parts with
    ids of their own.

    \b
    Exit status: 0, 1 where a payload or a part of one was refused again or there is no such
    payload, 2 wrong use or unusable configuration.

    \b
    Examples:
      backorder-consumer quarantine retry 3f9a2c -c consumer.toml
      backorder-consumer quarantine retry --all -c consumer.toml
    """
    if everything == bool(ids):
        raise click.UsageError("either name the payloads to try again, or say --all")
    place = place_to_repair(config, journal)
    if place.config is None:
        raise click.UsageError(
            "a retry needs the configuration, whose schemas and privacy settings count: name it"
            " with -c FILE"
        )
    configure_log(LogSettings(level="error"))  # what there is to say is said here
    understood = ask(_retry(place, ids, everything=everything), shown="`quarantine list`")
    if not understood:
        context.exit(_FAILED)


async def _retry(place: Place, ids: Sequence[str], *, everything: bool) -> bool:
    """Whether everything was understood."""
    from consumer.repair_now import repairing

    async with repairing(*place, understanding=True) as bench:
        if everything:
            # All that is there now, by id: what comes meanwhile is not chased.
            wanted = [Wanted.of(each) async for each in everything_in(bench.journal)]
            unknown: list[str] = []
        else:
            wanted, unknown = await known(bench.journal, ids)
        told = await retry_all(bench.repairs, wanted, quiet=everything)
    for id_ in unknown:
        told.append(Retried(id=id_, result="unknown"))
        click.echo(table.plain(line(told[-1])))
    if not told:
        click.echo("nothing is in quarantine")
    elif len(told) > 1:
        click.echo(summary(told))
    if bench.running and any(each.result in _REFUSED for each in told):
        click.echo(
            "tried by the running daemon, with the schemas and settings that it was started with:"
            " restart it after a change",
            err=True,
        )
    failures = _REFUSED | (set() if everything else {"unknown", "polled"})
    return not any(each.result in failures for each in told)


# --- the end ---------------------------------------------------------------------------------


@quarantine.command()
@click.argument("ids", type=NAME, nargs=-1, required=True, metavar="ID...")
@journal_options
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def discard(
    context: click.Context,
    config: Path | None,
    journal: str | None,
    *,
    ids: tuple[str, ...],
    yes: bool,
) -> None:
    """Remove payloads for good: their bytes are gone then.

    Asks first where standard input is a terminal. Where one of the payloads is not there at the
    beginning, nothing is removed. Many are removed in steps of 50, each all or nothing; where one
    fails, what was removed before it is told. Works on a journal at rest, and with -c FILE beside a
    running daemon.

    \b
    Exit status: 0, 1 where there is no such payload or a step fails, 2 wrong use or unusable
    configuration.

    \b
    Example:
      backorder-consumer quarantine discard 3f9a2c 77ab01 -c consumer.toml --yes
    """
    place = place_to_repair(config, journal)
    configure_log(LogSettings(level="error"))
    wanted = asyncio.run(_named(place, ids))
    what = table.counted(len(wanted), "payload")
    asking = not yes and progress.asked_by_a_person()
    if asking and not click.confirm(f"Remove {what} for good?", err=True):
        click.echo("nothing was discarded", err=True)
        context.exit(_FAILED)
    gone = ask(_discard(place, wanted), shown="`quarantine list`")
    click.echo(f"{table.counted(gone, 'payload')} discarded")


async def _named(place: Place, ids: Sequence[str]) -> Sequence[str]:
    """The whole ids of the payloads that a person named; `Unusable` where one is not there."""
    async with SqliteJournal(place.journal, readonly=True) as journal:
        wanted, unknown = await known(journal, ids)
    if unknown:
        raise missing(unknown)
    return [each.id for each in wanted]


async def _discard(place: Place, ids: Sequence[str]) -> int:
    """Remove payloads; how many."""
    from consumer.repair_now import repairing

    async with repairing(*place) as bench:
        discard = bench.repairs.discard_quarantined
        return await in_steps(ids, discard, together=TOGETHER, done="discarded")
