"""`check`: whether a configuration is good, and whether everything in it answers.

Nothing is consumed, sent or changed: an absent journal stays absent, a port is let go of at once.
One thing is made: where CINX is asked with bearer tokens and none is configured, CINX issues one.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import Any, NamedTuple

import click

from consumer import plugins
from consumer.app import load_schemas
from consumer.cli.doubts import doubts
from consumer.cli.listeners import try_admin, try_webhooks
from consumer.cli.options import config_option, load_settings
from consumer.cli.table import plain
from consumer.config import journal_path
from consumer.errors import ConsumerError, Unusable
from consumer.journal.sqlite import SqliteJournal
from consumer.journal.sqlite_errors import unusable
from consumer.listener.server import server_context
from consumer.settings import Settings

UNREACHABLE = 1

# Seconds that finding out about one part may take, beside connecting.
_PATIENCE = 10.0

Test = Callable[[], Awaitable[Sequence[str]]]


class Finding(NamedTuple):
    """What was found out about one part."""

    part: str
    ok: bool
    lines: Sequence[str]


@click.command()
@config_option
@click.option(
    "--connect", is_flag=True, help="Also reach every upstream, sink, journal and schema set."
)
@click.pass_context
def check(context: click.Context, config: Path | None, *, connect: bool) -> None:
    """Check a configuration file, and name every mistake in it with its key and line.

    A mistake is one line, `file: line N: key: reason`; without any, a summary is printed, and
    warnings of what is hardly meant. With --connect every source, every sink, the journal, the
    schema set and the addresses to listen on are tried too, without consuming, sending or changing
    anything: one line each, `ok` or `FAIL`. (A CINX source with authentication = "bearer" and no
    bearer_token has one issued.) Each part has 10 seconds, and its connect_timeout for each of its
    URLs besides; an MVET source with too many customers for that tells how many it asked for.

    \b
    Exit status: 0 all good, 1 something could not be reached, 2 mistakes in the configuration.

    \b
    Examples:
      backorder-consumer check
      backorder-consumer check -c consumer.toml --connect

    \b
    A complete configuration to start from:
      [[sources]]
      type = "radial-amqp"
      name = "radial-queue"
      urls = ["amqps://user:${RADIAL_PASSWORD}@edge.example.com:443/vhost"]
      store_codes = ["TMS_US"]
      [[sinks]]
      type = "file"
      name = "archive"
      path = "var/events.jsonl"
    """
    settings = load_settings(config)
    click.echo("\n".join(summary(settings)))
    for doubt in doubts(settings):
        click.echo(f"warning: {doubt}", err=True)
    for warning in broken_plugins():
        click.echo(f"warning: not used here: {warning}", err=True)
    if connect and not _all_good(asyncio.run(reach(settings))):
        context.exit(UNREACHABLE)


def _all_good(findings: Sequence[Finding]) -> bool:
    """Show what was found; whether all of it is good."""
    for finding in findings:
        for line in finding.lines:
            click.echo(plain(f"{'ok  ' if finding.ok else 'FAIL'}  {finding.part}  {line}"))
    return all(finding.ok for finding in findings)


def summary(settings: Settings) -> Iterator[str]:
    """What the configuration says, in a few lines; no secrets."""
    yield f"{settings.file}: good"
    yield f"  journal   {settings.journal.url}"
    auth = settings.webhooks.auth.type
    tls = ", TLS" if settings.webhooks.tls else ""
    yield f"  webhooks  {settings.webhooks.listen}, auth {auth}{tls}"
    yield f"  admin     {settings.admin.listen}"
    strict = "strict" if settings.schemas.strict else "tolerant"
    yield f"  schemas   {settings.schemas.directory or 'shipped'}, {strict}"
    for kind, parts in (("sources", settings.sources), ("sinks", settings.sinks)):
        names = ", ".join(f"{part.name} ({part.type})" for part in parts)
        yield f"  {kind:<8}  {names or 'none'}"


def broken_plugins() -> Iterator[str]:
    """What is wrong with plug-ins that are installed, but were not asked for."""
    for group in (plugins.sources(), plugins.sinks()):
        for name in group:
            try:
                group[name]
            except Unusable as error:
                yield str(error)


async def reach(settings: Settings) -> Sequence[Finding]:
    """Try every part at once; findings in the order of the summary."""
    tests: dict[str, Test] = {
        "journal": lambda: _journal(journal_path(settings.journal.url)),
        "schemas": lambda: _schemas(settings),
        "admin": lambda: try_admin(settings),
    }
    if any(source.type.endswith("-webhook") for source in settings.sources):
        tests["webhooks"] = lambda: try_webhooks(settings)
    dialling: dict[str, float] = {}
    if settings.webhooks.tls:
        tests["webhooks.tls"] = lambda: _tls(settings)
    for kind, classes, parts in (
        ("sources", plugins.sources(), settings.sources),
        ("sinks", plugins.sinks(), settings.sinks),
    ):
        for options in parts:
            part = f"{kind}.{options.name}"
            tests[part] = _part(classes[options.type], options)
            dialling[part] = time_to_dial(options)
    return await asyncio.gather(
        *(_finding(part, test, _PATIENCE + dialling.get(part, 0)) for part, test in tests.items())
    )


def time_to_dial(options: object) -> float:
    """Seconds that a part may need until the last of its URLs has answered, or has not.

    `run` goes on to the next URL after `connect_timeout`, and so must a check.
    """
    urls = getattr(options, "urls", None) or ("the only one",)
    return float(getattr(options, "connect_timeout", 0)) * len(urls)


async def _finding(part: str, test: Test, patience: float) -> Finding:
    try:
        async with asyncio.timeout(patience):
            return Finding(part, ok=True, lines=await test() or ["ok"])
    except ConsumerError as error:
        return Finding(part, ok=False, lines=[str(error)])
    except TimeoutError:
        return Finding(part, ok=False, lines=[f"no answer within {patience:.0f} s"])
    except Exception as error:  # noqa: BLE001 - one broken plug-in must not hide the other findings
        # Its text is not shown: nobody has made sure that it carries no secret.
        return Finding(part, ok=False, lines=[f"{type(error).__name__}: a bug, please report it"])


def _part(class_: type[Any], options: object) -> Test:
    async def test() -> Sequence[str]:
        lines: Sequence[str] = await class_(options).check()
        return lines

    return test


async def _schemas(settings: Settings) -> Sequence[str]:
    await asyncio.to_thread(load_schemas, settings)
    return [f"compiled {settings.schemas.directory or 'the shipped set'}"]


async def _tls(settings: Settings) -> Sequence[str]:
    if settings.webhooks.tls:
        server_context(settings.webhooks.tls)
    return ["certificate and key belong together"]


async def _journal(path: Path) -> Sequence[str]:
    if await asyncio.to_thread(os.path.exists, path):
        async with SqliteJournal(path, readonly=True) as journal:
            positions = await journal.positions()
        return [f"{path}: events {positions.oldest} to {positions.head}"]
    return [await asyncio.to_thread(_place_for, path)]


def _place_for(path: Path) -> str:
    """Where a new journal would be created; Unusable where it could not.

    Permissions do not tell (a pseudo file system, a disk that is full or read-only): something is
    really made there, and removed again.
    """
    here = next(filter(os.path.exists, path.absolute().parents))
    try:
        if here == path.absolute().parent:
            with NamedTemporaryFile(dir=here):
                pass
        else:
            with TemporaryDirectory(dir=here):
                pass
    except OSError as error:
        made = path if here == path.absolute().parent else path.parent
        raise unusable(path, OSError(error.errno, error.strerror, str(made))) from None
    return f"{path}: will be created on the first run"
