"""`cinx`: what CINX offers beside the list of back-orders."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click
import msgspec

from consumer.cli import table
from consumer.cli.options import config_option, load_settings
from consumer.cli.text import NAME
from consumer.errors import Unusable
from consumer.settings import Settings
from consumer.sinks.stdout import harmless
from consumer.sources.cinx import CinxOptions
from consumer.sources.cinx.lookup import update_template

_TITLES = ("FIELD", "REQUIRED", "EXAMPLE", "OPTIONS")
_WIDTH = 60

# The parts of a template that describe its fields; everything else in it is shown as it stands.
_FIELDS = ("template", "required_post", "required_put", "field_options")


@click.group()
def cinx() -> None:
    """What CINX offers beside the list of back-orders.

    \b
    Example:
      backorder-consumer cinx template -c consumer.toml
    """


@cinx.command()
@config_option
@click.option(
    "--source", type=NAME, metavar="NAME", help="The configured source, where there are several."
)
@click.option(
    "--organisation", type=NAME, metavar="NAME", help="Whose, where the source has several."
)
@click.option("--json", "as_json", is_flag=True, help="The template as CINX sends it.")
def template(
    config: Path | None, source: str | None, organisation: str | None, *, as_json: bool
) -> None:
    """Show what an update of a back-order may hold.

    This is CINX's update template: every field with whether a POST or a PUT must have it, an
    example and the values that it may take; then what CINX says about the document and its calls.
    Changes nothing at CINX.

    \b
    Exit status: 0, 1 where CINX cannot be reached or says no, 2 unusable configuration.

    \b
    Examples:
      backorder-consumer cinx template -c consumer.toml
      backorder-consumer cinx template --source cinx --json | python3 -m json.tool
    """
    options = _options(load_settings(config), source)
    found = asyncio.run(update_template(options, organisation))
    if as_json:
        click.echo(harmless(msgspec.json.encode(found)))
        return
    rows = list(_rows(found))
    table.show(_TITLES, rows, empty="the template names no fields")
    for name in (each for each in found if each not in _FIELDS):
        click.echo(f"\n{table.plain(name)}")
        for path, value in _leaves(found[name], ""):
            click.echo(table.plain(f"  {path}: {value}" if path else f"  {value}"))


def _options(settings: Settings, name: str | None) -> CinxOptions:
    """The CINX source that is meant; Unusable where that is not clear."""
    found = {each.name: each for each in settings.sources if isinstance(each, CinxOptions)}
    if name is not None and name in found:
        return found[name]
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    if not found:
        raise Unusable("no source of type cinx is configured", 'Add one: type = "cinx"')
    reason = f"no CINX source {name}" if name else "there are several sources of type cinx"
    raise Unusable(reason, f"Choose with --source: {', '.join(found)}")


def _rows(found: Mapping[str, object]) -> Iterator[Sequence[object]]:
    post, put = _names(found.get("required_post")), _names(found.get("required_put"))
    options = found.get("field_options")
    choices = options if isinstance(options, Mapping) else {}
    for path, value in _leaves(found.get("template"), ""):
        field = path.rpartition(".")[2]
        required = [call for call, names in (("POST", post), ("PUT", put)) if {path, field} & names]
        allowed = choices.get(path, choices.get(field))
        told = ", ".join(map(str, allowed)) if isinstance(allowed, list) else allowed
        yield path, ", ".join(required), _short(value), _short(told)


def _names(value: object) -> frozenset[str]:
    """Names of fields, however they are listed."""
    if isinstance(value, Mapping):
        return frozenset(map(str, value))
    return frozenset(map(str, value)) if isinstance(value, list) else frozenset()


def _leaves(value: object, path: str) -> Iterator[tuple[str, object]]:
    """Every value below this one, with its dotted path."""
    if isinstance(value, Mapping) and value:
        for name, below in value.items():
            yield from _leaves(below, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and value:
        for below in value:
            yield from _leaves(below, path)
    else:
        yield path, value


def _short(value: object) -> str | None:
    text = "" if value is None else str(value)
    return text[:_WIDTH] or None
