"""Payloads that are named on the command line, read one after the other."""

import errno
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from consumer.cli.table import plain
from consumer.model import Problem, Refusal
from consumer.validation import Examination

STANDARD_INPUT = "-"

# Exit statuses
INVALID, UNREADABLE = 1, 2

files_argument = click.argument(
    "files", nargs=-1, required=True, type=click.Path(), metavar="FILE..."
)
schemas_option = click.option(
    "--schemas",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="DIR",
    help="Radial's own XSD files.  [default: the shipped ones]",
)


def read(files: Sequence[str]) -> Iterator[tuple[str, bytes | None]]:
    """Each file's name and content; None, after a line on standard error, if it is unreadable.

    The name is as it can be printed: that of a file may hold bytes which are no text, or are more.
    """
    for file in files:
        name = plain(click.format_filename(file))
        try:
            content = _content(file)
        except OSError as error:
            click.echo(f"error: {name}: {error.strerror}", err=True)
            yield name, None
        else:
            yield name, content


def _content(file: str) -> bytes:
    if file != STANDARD_INPUT:
        return Path(file).read_bytes()
    if sys.stdin is None:  # it was closed before this program began
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return sys.stdin.buffer.read()


def problems_of(
    examination: Examination, refusals: Sequence[Refusal] | None = None
) -> Iterator[Problem]:
    """Everything that keeps a payload from being a valid message.

    `refusals`: of all that was refused, where that is more than the examination found.
    """
    if examination.kind == "other":
        reason = f"root element {examination.root} is not a Radial back-order message"
        yield Problem(reason=reason, line=1)
    for refusal in examination.refusals if refusals is None else refusals:
        yield from refusal.problems


def located(file: str, problem: Problem) -> str:
    """`file:line: path: reason`, as far as line and path are known; path and reason may quote the
    payload, and are shown so that they cannot steer a terminal.
    """
    place = f"{file}:{problem.line}" if problem.line else file
    told = (plain(part) for part in (problem.path, problem.reason) if part)
    return ": ".join((place, *told))
