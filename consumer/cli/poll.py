"""`poll`: ask a polled source now."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import click
from msgspec.structs import replace

from consumer.cli import table
from consumer.cli.options import config_option, load_settings
from consumer.cli.text import NAME
from consumer.poll_now import Round, poll_options, polling
from consumer.polling import keep_polling
from consumer.settings import Settings
from consumer.sinks.stdout import harmless, pretty
from consumer.telemetry import configure_log

_FAILED = 1


@click.command()
@click.argument("name", type=NAME)
@config_option
@click.option("--once", is_flag=True, help="End after one poll.")
@click.option("--json", "as_json", is_flag=True, help="CloudEvents, one JSON object a line.")
@click.pass_context
def poll(
    context: click.Context, name: str, config: Path | None, *, once: bool, as_json: bool
) -> None:
    """Poll the source NAME now and print what changed.

    What changed becomes events in the journal, as it would under the daemon, and goes to the sinks
    when the daemon runs the next time. Without --once it polls on, as the source is scheduled,
    until Ctrl-C. The journal has one writer: while a daemon runs on it, that daemon polls, and
    this command says so and changes nothing.

    \b
    Exit status: 0, 1 where the upstream could not be read, the journal is in use or NAME is no
    source that polls, 2 unusable configuration.

    \b
    Examples:
      backorder-consumer poll mvet --once
      backorder-consumer poll cinx -c consumer.toml --json
    """
    settings = load_settings(config)
    configure_log(replace(settings.log, level="error"))  # what there is to say is said here
    if once:
        if not asyncio.run(_once(settings, name, as_json=as_json)):
            context.exit(_FAILED)
        return
    try:
        asyncio.run(_on_schedule(settings, name, as_json=as_json))
    except KeyboardInterrupt:  # how one leaves it
        context.exit()


async def _once(settings: Settings, name: str, *, as_json: bool) -> bool:
    """Poll once; whether the upstream could be read."""
    async with polling(settings, name) as ask:
        found = await ask()
        await _show(found, as_json=as_json)
    if found.trouble is None:
        return True
    _Told(name).down(found.trouble.reason)
    return False


async def _on_schedule(settings: Settings, name: str, *, as_json: bool) -> None:
    """Poll as the daemon would, for ever."""
    options = poll_options(settings, name)
    async with polling(settings, name) as ask:
        await keep_polling(
            options, _shown(ask, as_json=as_json), stopping=asyncio.Event(), status=_Told(name)
        )


def _shown(ask: Callable[[], Awaitable[Round]], *, as_json: bool) -> Callable[[], Awaitable[str]]:
    """Rounds that are shown as they come; the note goes with them."""

    async def once() -> str:
        found = await ask()
        await _show(found, as_json=as_json)
        if found.trouble is not None:
            raise found.trouble
        return ""

    return once


class _Told:
    """A status on standard error."""

    def __init__(self, name: str) -> None:
        self._name = name

    def up(self, note: str = "") -> None:
        """Nothing: what there is to know has been shown."""

    def down(self, reason: str) -> None:
        """See `ports.Status`."""
        click.echo(table.plain(f"{self._name}: {reason}"), err=True)

    def note(self, note: str) -> None:
        """Nothing, as with `up`."""


async def _show(found: Round, *, as_json: bool) -> None:
    count = 0
    async for record in found.events:
        click.echo(harmless(record.body) if as_json else pretty(record))
        count += 1
    if found.note:
        click.echo(table.plain(found.note), err=True)
    if not as_json and (count or found.trouble is None):
        click.echo(f"{count} {'change' if count == 1 else 'changes'}" if count else "no changes")
