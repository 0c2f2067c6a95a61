"""Options that several commands have, and what they lead to: settings, an open journal."""

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import click

from consumer import config as configuration
from consumer import plugins
from consumer.cli.text import TEXT
from consumer.decoding import listed, nearest
from consumer.errors import ConfigurationError, Unusable
from consumer.journal.sqlite import SqliteJournal
from consumer.model import Cursor, utc_now
from consumer.settings import Settings
from consumer.values import Duration, PositiveDuration

Command = TypeVar("Command", bound=Callable[..., Any])

# Order lines whose sources are looked at for a name that could have been meant.
_SOME = 1000


class MomentType(click.ParamType[datetime]):
    """A moment: ISO 8601 with a time zone, or how long ago it was, as configurations say it."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """In UTC."""
        if isinstance(value, datetime):
            return value
        try:
            return self._ago(str(value)) or self._dated(str(value))
        except OverflowError:
            self.fail(f"{value} is beyond all calendars", param, ctx)
        except ValueError:
            form = "ISO 8601 with a time zone, such as 2026-11-22T08:00:00Z, or a span such as 2h"
            self.fail(f"{value} is no moment; write {form}", param, ctx)

    def _ago(self, text: str) -> datetime | None:
        try:
            span = Duration.parse(text)
        except ValueError:
            return None
        return utc_now() - timedelta(seconds=span)

    def _dated(self, text: str) -> datetime:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError("without a time zone it could be any of a day's moments")
        return moment.astimezone(UTC)


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
        "--journal",
        type=TEXT,
        metavar="URL",
        help="The journal itself, such as sqlite:var/journal.db.",
    )
    return config_option(url(command))


def waiting_options(command: Command) -> Command:
    """`--no-wait` and `--timeout`: whether a command waits for what it has the daemon do."""
    wait = click.option(
        "--wait/--no-wait", default=True, help="Wait until it is done, which is the default."
    )
    timeout = click.option(
        "--timeout",
        type=DurationType(PositiveDuration),
        default="60s",
        show_default=True,
        metavar="TIME",
        help="Wait no longer where nothing has moved for so long.",
    )
    return wait(timeout(command))


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


class Place(NamedTuple):
    """What is to be repaired: a journal, and the configuration of its daemon, if one is named."""

    journal: Path
    config: Path | None


def place_to_repair(config: Path | None, journal: str | None) -> Place:
    """The journal that the options name, and the configuration of its daemon: None where only the
    journal was named.
    """
    if journal is None:
        config = configuration.find(config, os.environ)
        journal = configuration.glance(config, environ=os.environ).journal
    return Place(_path(journal), config)


def journal_to_read(config: Path | None, journal: str | None) -> Chosen:
    """The journal that the options name, to read only: a running daemon is not disturbed.

    Of a configuration nothing else counts, so no secret has to be at hand.
    """
    sources: Sequence[str] | None = None
    if journal is None:
        glance = configuration.glance(configuration.find(config, os.environ), environ=os.environ)
        journal, sources = glance.journal, glance.sources
    return Chosen(SqliteJournal(_path(journal), readonly=True), sources)


def _path(journal: str) -> Path:
    try:
        return configuration.journal_path(journal)
    except ConfigurationError as error:  # what a configuration says has been judged by then
        raise click.BadParameter(error.mistakes[0].reason, param_hint="--journal") from None


async def require_sink(journal: SqliteJournal, name: str) -> Cursor:
    """Where a sink is; raise `Unusable` for one that the journal does not know."""
    known = {cursor.sink: cursor for cursor in (await journal.positions()).cursors}
    if name not in known:
        reason = f"no sink of this name has run on this journal: {name}"
        raise Unusable(reason, _meant(name, list(known)))
    return known[name]


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
    raise Unusable(f"no source of this name: {name}", _meant(name, known))


def _meant(name: str, known: Sequence[str]) -> str:
    """What else could have been asked for."""
    hint = nearest(name, known).removeprefix("; ")
    return hint[:1].upper() + hint[1:] or (f"There are {listed(known)}" if known else "")
