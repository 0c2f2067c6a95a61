"""`validate`: Radial messages against the XSDs."""

from collections.abc import Sequence
from pathlib import Path

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
from consumer.cli.table import plain
from consumer.errors import SchemasUnusable
from consumer.model import Problem
from consumer.sinks.stdout import harmless
from consumer.validation import Examination, Schemas


@click.command()
@schemas_option
@click.option("--strict", is_flag=True, help="Refuse elements and attributes the XSDs do not know.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a file.")
@files_argument
@click.pass_context
def validate(
    context: click.Context,
    files: Sequence[str],
    schemas: Path | None,
    *,
    strict: bool,
    as_json: bool,
) -> None:
    """Validate Radial's back-order messages against the XSDs.

    FILE holds one message, an OrderBackorder or an OrderBackorderList; `-` is standard input.
    Every error is one line, `file:line: path: reason`. Elements and attributes that the XSDs do
    not know are no error, but drift, which is named behind `valid`; --strict makes errors of them.
    Radial's connectivity test message is valid.

    With --json: {"file", "valid", "errors": [{"line", "column", "path", "reason"}], "drift": []},
    one object a line.

    \b
    Exit status: 0 all valid, 1 any invalid, 2 a file or the XSDs cannot be read.

    \b
    Examples:
      backorder-consumer validate message.xml
      backorder-consumer validate --schemas radial-xsd --json *.xml
      curl -s https://example.com/message.xml | backorder-consumer validate -
    """
    try:
        loaded = Schemas.load(schemas, strict=strict)
    except SchemasUnusable as error:
        click.echo(f"error: {error}", err=True)
        context.exit(UNREADABLE)
    worst = 0
    for file, content in read(files):
        if content is None:
            worst = UNREADABLE
            if as_json:  # a program that reads this counts on one object a file
                click.echo(_json(file, [Problem(reason="the file cannot be read")], ()))
            continue
        examination = loaded.examine(content)
        problems = list(problems_of(examination))
        report = (
            _json(file, problems, drift_of(examination))
            if as_json
            else _text(file, examination, problems)
        )
        click.echo(report)
        if problems:
            worst = max(worst, INVALID)
    context.exit(worst)


def drift_of(examination: Examination) -> Sequence[str]:
    """Names that the schemas do not know, each once, in the order they appear."""
    return list(dict.fromkeys(name for part in examination.accepted for name in part.drift))


def _text(file: str, examination: Examination, problems: Sequence[Problem]) -> str:
    if problems:
        return "\n".join(located(file, problem) for problem in problems)
    drift = plain(", ".join(drift_of(examination)))
    return f"{file}: valid{f' (not in the schemas: {drift})' if drift else ''}"


def _json(file: str, problems: Sequence[Problem], drift: Sequence[str]) -> bytes:
    errors = [
        {name: getattr(problem, name) for name in ("line", "column", "path", "reason")}
        for problem in problems
    ]
    report = {
        "file": file,
        "valid": not problems,
        "errors": errors,
        "drift": drift,
    }
    return harmless(msgspec.json.encode(report))
