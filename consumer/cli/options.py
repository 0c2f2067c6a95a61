"""Options that several commands have, and what they lead to: settings, an open journal."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from consumer import config as configuration
from consumer import plugins
from consumer.journal.sqlite import SqliteJournal
from consumer.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])

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


def journal_to_read(config: Path | None, journal: str | None) -> SqliteJournal:
    """The journal that the options name, to read only: a running daemon is not disturbed."""
    url = journal or load_settings(config).journal.url
    return SqliteJournal(configuration.journal_path(url), readonly=True)
