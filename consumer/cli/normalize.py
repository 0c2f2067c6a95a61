"""`normalize`: the events of a payload."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

import click
import msgspec

from consumer.cli.payloads import (
    INVALID,
    UNREADABLE,
    files_argument,
    located,
    problems_of,
    read,
    schemas_option,
)
from consumer.cli.text import TEXT
from consumer.errors import ConsumerError, Refused, SchemasUnusable
from consumer.event import Event, timestamp
from consumer.model import Problem, utc_now
from consumer.normalisation import cinx, mvet
from consumer.normalisation.cinx_envelope import read_list
from consumer.normalisation.polled import POLLED, Row, subject
from consumer.sinks.stdout import harmless
from consumer.understanding import understand
from consumer.validation import Schemas

Read = Callable[[bytes], tuple[Sequence[Event], Sequence[Problem]]]


def _radial(schemas: Path | None, account: str | None) -> Read:  # noqa: ARG001 - told by messages
    loaded = Schemas.load(schemas)

    def events(content: bytes) -> tuple[Sequence[Event], Sequence[Problem]]:
        examination = loaded.examine(content)
        found, refusals = understand(examination, received=utc_now())
        return found, list(problems_of(examination, refusals))

    return events


def _mvet(schemas: Path | None, account: str | None) -> Read:  # noqa: ARG001 - XSDs are Radial's
    def events(content: bytes) -> tuple[Sequence[Event], Sequence[Problem]]:
        rows, problems = mvet.rows(content, _quoted(account) if account else None)
        placed = ((_quoted(account or mvet.account_of(row.content)), row) for row in rows)
        return _opened("mvet", placed, problems)

    return _unless_refused(events)


def _cinx(schemas: Path | None, account: str | None) -> Read:  # noqa: ARG001 - XSDs are Radial's
    def events(content: bytes) -> tuple[Sequence[Event], Sequence[Problem]]:
        rows, problems = cinx.rows(read_list(content, media_type="").page.content)
        return _opened("cinx", ((_quoted(account or "cinx"), row) for row in rows), problems)

    return _unless_refused(events)


def _quoted(account: str) -> str:
    return quote(account, safe="")


def _opened(
    system: str, placed: Iterable[tuple[str, Row]], problems: Sequence[Problem]
) -> tuple[Sequence[Event], Sequence[Problem]]:
    """The events of rows, each with its account, as if none of their lines had been known."""
    events, problems = [], list(problems)
    seen: Counter[tuple[str, str]] = Counter()
    for account, row in placed:
        seen[account, row.key] += 1
        try:
            events.append(_event(system, account, row, seen[account, row.key]))
        except Refused as refused:
            problems.append(Problem(reason=refused.reason, path=row.key))
    return events, problems


def _event(system: str, account: str, row: Row, occurrence: int) -> Event:
    read, over = POLLED[system].line, False
    if system == "cinx" and cinx.is_detail(row.content):
        over = POLLED[system].over(row.content)
        alone = msgspec.json.encode({"cinx_guid": row.key})
        data = read(alone, account=account, detail=row.content)
    else:
        data = read(row.content, account=account)
    return Event.of(
        source=f"/{system}/{account}",
        type="backorder.cleared" if over else "backorder.opened",
        subject=subject(row.key, occurrence),
        time=timestamp(utc_now()),
        data=data,
    )


def _unless_refused(read: Read) -> Read:
    """The reader, with a whole payload that is refused told as its problem."""

    def events(content: bytes) -> tuple[Sequence[Event], Sequence[Problem]]:
        try:
            return read(content)
        except ConsumerError as error:
            return (), (Problem(reason=str(error)),)

    return events


READERS: dict[str, Callable[[Path | None, str | None], Read]] = {
    "radial": _radial,
    "mvet": _mvet,
    "cinx": _cinx,
}


@click.command()
@click.option(
    "--source", type=click.Choice(list(READERS)), required=True, help="Whose payloads these are."
)
@click.option(
    "--account",
    type=TEXT,
    metavar="NAME",
    help="The MVET customer that was asked for, or the CINX organisation.  [default: what MVET's"
    " rows say; cinx]",
)
@schemas_option
@files_argument
@click.pass_context
def normalize(
    context: click.Context,
    source: str,
    account: str | None,
    files: Sequence[str],
    schemas: Path | None,
) -> None:
    """Print the events of payloads as CloudEvents, one JSON object a line.

    This is what the daemon would keep in its journal and hand to the sinks: one event for each
    order line, with all personal data, whatever [privacy] says. FILE holds one payload; `-` is
    standard input. What the daemon would quarantine is told on standard error, as
    `file:line: path: reason`; the valid events of a list are printed all the same.

    Payloads of MVET and CINX are whole answers: a back-order inquiry; a page of the list or a
    detail, in JSON or XML. Every line counts as one that was not known before.

    \b
    Exit status: 0 all of it was understood, 1 something was refused, 2 a file or the XSDs cannot
    be read.

    \b
    Examples:
      backorder-consumer normalize --source radial message.xml
      backorder-consumer normalize --source radial - <message.xml | python3 -m json.tool
      backorder-consumer normalize --source mvet boinquiry.json
      backorder-consumer normalize --source cinx --account "WTS Mechanical" back-orders.json
    """
    try:
        events_of = READERS[source](schemas, account)
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
            click.echo(harmless(event.encode()))
        for problem in problems:
            click.echo(located(file, problem), err=True)
            worst = max(worst, INVALID)
    context.exit(worst)
