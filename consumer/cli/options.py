"""Options that several commands have, and what they lead to: settings, an open journal."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from consumer import config as configuration
from consumer import plugins
from consumer.decoding import listed, nearest
from consumer.errors import ConfigurationError, Unusable
from consumer.journal.sqlite import SqliteJournal
from consumer.settings import Settings
from consumer.values import Duration

Command = TypeVar("Command", bound=Callable[..., Any])

# Order lines whose sources are looked at for a name that could have been meant.
_SOME = 1000


class DurationType(click.ParamType[Duration]):
    """A duration as configurations have it."""

    name = "duration"

    def __init__(self, kind: type[Duration]) -> None:
        self._kind = kind

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Duration:
        """Seconds."""
        if isinstance(value, Duration):
            return value
        try:
            return self._kind.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


config_option = click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The configuration file.  [default: $BACKORDER_CONFIG, then ./consumer.toml]",
)


def journal_options(command: Command) -> Command:
    """`-c FILE` or `--journal URL`: which journal a command works on."""
    url = click.option(
        "--journal", metavar="URL", help="The journal itself, such as sqlite:var/journal.db."
    )
    return config_option(url(command))


def load_settings(config: Path | None) -> Settings:
    """The settings of FILE or of the file found in its place; raises `ConfigurationError`."""
    return configuration.load(
        configuration.find(config, os.environ),
        environ=os.environ,
        source_types=plugins.option_types(plugins.sources()),
        sink_types=plugins.option_types(plugins.sinks()),
    )


class Chosen(NamedTuple):
    """A journal to read, and the configured sources: None where no configuration was asked."""

    journal: SqliteJournal
    sources: Sequence[str] | None


def journal_to_read(config: Path | None, journal: str | None) -> Chosen:
    """The journal that the options name, to read only: a running daemon is not disturbed.

    Of a configuration nothing else counts, so no secret has to be at hand.
    """
    sources: Sequence[str] | None = None
    if journal is None:
        glance = configuration.glance(configuration.find(config, os.environ), environ=os.environ)
        journal, sources = glance
    try:
        path = configuration.journal_path(journal)
    except ConfigurationError as error:  # what a configuration says has been judged by then
        raise click.BadParameter(error.mistakes[0].reason, param_hint="--journal") from None
    return Chosen(SqliteJournal(path, readonly=True), sources)


async def require_source(
    journal: SqliteJournal, name: str, configured: Sequence[str] | None
) -> None:
    """Raise `Unusable` for a source that neither the configuration nor the journal knows."""
    if name in (configured or ()) or await journal.read(0, limit=1, source=name):
        return
    if await journal.backorders(source=name, ended=True, limit=1):
        return
    lines = await journal.backorders(ended=True, limit=_SOME)
    known = sorted({*(configured or ()), *(line.origin for line in lines)})
    hint = nearest(name, known).removeprefix("; ").capitalize()
    if not hint:
        hint = f"There are {listed(known)}" if known else ""
    raise Unusable(f"no source of this name: {name}", hint)
