"""All benchmarks, one after the other, each in a process of its own: `python -m benchmarks all`."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from benchmarks.processes import tied

_PARTS = ("speed", "pollers", "journal")
_ROOT = Path(__file__).parents[1]


@click.command("all")
@click.option("--strict", is_flag=True, help="Exit status 1 where anything misses its target.")
@click.pass_context
def everything(context: click.Context, *, strict: bool) -> None:
    """Speed, pollers and a large journal, about an hour; what `make bench` runs."""
    failed = []
    for part in _PARTS:
        click.echo(f"\n# {part}\n")
        command = [sys.executable, "-m", "benchmarks", part, *(["--strict"] if strict else [])]
        if _status(command):
            failed.append(part)
    if failed:
        click.echo(f"\nfailed, or missed a target: {', '.join(failed)}", err=True)
    context.exit(1 if failed else 0)


def _status(command: Sequence[str]) -> int:
    """Run it to its end; Ctrl-C reaches it as well, and it is given the time to clean up."""
    process = subprocess.Popen(tied(command, "TERM"), cwd=_ROOT)  # noqa: S603 - our own
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()
        raise
