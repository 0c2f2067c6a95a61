"""`schema`: the documents that are generated from the code."""

from collections.abc import Callable, Mapping
from typing import Any

import click
import msgspec

from consumer import plugins
from consumer.errors import Unusable
from consumer.schema_documents import config_schema, event_schema


def _config_schema() -> dict[str, Any]:
    return config_schema(
        _usable(plugins.option_types(plugins.sources())),
        _usable(plugins.option_types(plugins.sinks())),
    )


def _usable(types: Mapping[str, type[Any]]) -> Mapping[str, type[Any]]:
    """The types that can be imported; the others are named on standard error."""
    usable = {}
    for name in types:
        try:
            usable[name] = types[name]
        except Unusable as error:
            click.echo(f"warning: left out: {error}", err=True)
    return usable


DOCUMENTS: dict[str, Callable[[], dict[str, Any]]] = {
    "event": event_schema,
    "config": _config_schema,
}


@click.command()
@click.argument("document", type=click.Choice(list(DOCUMENTS)))
def schema(document: str) -> None:
    """Print a JSON Schema (2020-12), generated from the code.

    `event` describes the events that sinks get, `config` the configuration file with every
    installed type of source and sink: editors complete and check TOML files with it.

    \b
    Exit status: 0.

    \b
    Examples:
      backorder-consumer schema event > event.schema.json
      backorder-consumer schema config > consumer.schema.json
    """
    text = msgspec.json.format(msgspec.json.encode(DOCUMENTS[document]()), indent=2)
    click.echo(text)
