"""`normalize`: the events of a payload."""

from collections.abc import Callable, Sequence
from pathlib import Path

import click

from consumer.cli.payloads import (
    INVALID,
    UNREADABLE,
    files_argument,
    located,
    problems_of,
    read,
    schemas_option,
)
from consumer.errors import SchemasUnusable
from consumer.event import Event
from consumer.model import Problem, utc_now
from consumer.understanding import understand
from consumer.validation import Schemas

Read = Callable[[bytes], tuple[Sequence[Event], Sequence[Problem]]]


def _radial(schemas: Path | None) -> Read:
    loaded = Schemas.load(schemas)

    def events(content: bytes) -> tuple[Sequence[Event], Sequence[Problem]]:
        examination = loaded.examine(content)
        found, refusals = understand(examination, received=utc_now())
        return found, list(problems_of(examination, refusals))

    return events


READERS: dict[str, Callable[[Path | None], Read]] = {"radial": _radial}


@click.command()
@click.option(
    "--source", type=click.Choice(list(READERS)), required=True, help="Whose payloads these are."
)
@schemas_option
@files_argument
@click.pass_context
def normalize(
    context: click.Context, source: str, files: Sequence[str], schemas: Path | None
) -> None:
    """Print the events of payloads as CloudEvents, one JSON object a line.

    This is what the daemon would keep in its journal and hand to the sinks: one event for each
    order line, with all personal data, whatever [privacy] says. FILE holds one payload; `-` is
    standard input. What the daemon would quarantine is told on standard error, as
    `file:line: path: reason`; the valid events of a list are printed all the same.

    \b
    Exit status: 0 all of it was understood, 1 something was refused, 2 a file or the XSDs cannot
    be read.

    \b
    Examples:
      backorder-consumer normalize --source radial message.xml
      backorder-consumer normalize --source radial - <message.xml | python3 -m json.tool
    """
    try:
        events_of = READERS[source](schemas)
    except SchemasUnusable as error:
        click.echo(f"error: {error}", err=True)
        context.exit(UNREADABLE)
    worst = 0
    for file, content in read(files):
        if content is None:
            worst = UNREADABLE
            continue
        events, problems = events_of(content)
        for event in events:
            click.echo(event.encode())
        for problem in problems:
            click.echo(located(file, problem), err=True)
            worst = max(worst, INVALID)
    context.exit(worst)
