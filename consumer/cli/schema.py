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


def _openapi_document() -> dict[str, Any]:
    from consumer.admin import openapi_document

    return openapi_document()


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
    "openapi": _openapi_document,
}


@click.command()
@click.argument("document", type=click.Choice(list(DOCUMENTS)))
def schema(document: str) -> None:
    """Print a document that is generated from the code.

    `event` and `config` are JSON Schemas (2020-12): of the events that sinks get, and of the
    configuration file with every installed type of source and sink, with which editors complete
    and check TOML files. `openapi` is the OpenAPI 3.1 document of the admin listener, which a
    daemon also answers at /api/v1/openapi.json.

    \b
    Exit status: 0.

    \b
    Examples:
      backorder-consumer schema event > event.schema.json
      backorder-consumer schema config > consumer.schema.json
      backorder-consumer schema openapi > admin.openapi.json
    """
    text = msgspec.json.format(msgspec.json.encode(DOCUMENTS[document]()), indent=2)
    click.echo(text)
