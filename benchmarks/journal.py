"""What a journal of a million events costs: `python -m benchmarks journal`.

Rules
1. The journal is made once, in `var/bench`, and used again while size and schema are the same. What
   changes it works on a copy.
2. A start is measured from the process's first moment until `/readyz` answers 200, a command from
   its first moment to its end: the interpreter's own start is in both.
3. Retention removes half of the events while single events are appended, one after the other, with
   a pause between them. How long these take is compared with how long they took before.
4. Of several repetitions the median is quoted, of appends the median, the 99th of 100, and the
   worst. What misses its target is shown as missed; with `--strict` the exit status is 1 then.
"""

import asyncio
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import click
import msgspec
from msgspec import Struct

from benchmarks.conditions import in_a_line, machine
from benchmarks.daemon import daemon
from benchmarks.journal_made import SINKS, made
from benchmarks.journal_retention import MOST_APPEND, Retention, retention
from benchmarks.measuring import median

_MISSED = 1  # exit status
_MOST_START = 2.0
_MOST_COMMAND = 1.0
_MIB = 1 << 20
_ROOT = Path(__file__).parents[1]


class Timed(Struct, frozen=True, kw_only=True):
    """The median of some repetitions, the worst of them, and the most it should be; seconds."""

    what: str
    seconds: float
    worst: float
    target: float

    @property
    def met(self) -> bool:
        """Whether it is quick enough."""
        return self.seconds <= self.target


class Report(Struct, frozen=True, kw_only=True):
    """All of it."""

    machine: dict[str, object]
    events: int
    file_bytes: int
    timed: Sequence[Timed]
    retention: Retention

    @property
    def met(self) -> bool:
        """Whether nothing missed its target."""
        return self.retention.met and all(one.met for one in self.timed)


@click.command()
@click.option("--events", default=1_000_000, show_default=True, help="Events in the journal.")
@click.option("--rounds", default=3, show_default=True, help="Repetitions of starts and commands.")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("var/bench"),
    show_default=True,
    help="Where the journal is made, and looked for the next time.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file for all of it, as JSON, besides what is printed.",
)
@click.option("--strict", is_flag=True, help="Exit status 1 where anything misses its target.")
@click.pass_context
def journal(
    context: click.Context,
    *,
    events: int,
    rounds: int,
    directory: Path,
    as_json: bool,
    keep: Path | None,
    strict: bool,
) -> None:
    """A large journal: start, commands, and retention beside appends."""
    click.echo("making the journal, or finding it made ...", err=True)
    path = made(directory.absolute(), events)
    with _copied(path) as copy:
        timed = [
            _timed("start until ready", [_start(copy) for _ in range(rounds)], _MOST_START),
            *(
                _timed(name, [_command(copy, arguments) for _ in range(rounds)], _MOST_COMMAND)
                for name, arguments in _commands(events)
            ),
        ]
        report = Report(
            machine=machine(directory),
            events=events,
            file_bytes=path.stat().st_size,
            timed=timed,
            retention=asyncio.run(retention(copy, events)),
        )
    if keep is not None:
        keep.write_bytes(msgspec.json.encode(report))
    if as_json:
        click.echo(msgspec.json.encode(report))
    else:
        _show(report)
    context.exit(_MISSED if strict and not report.met else 0)


@contextmanager
def _copied(path: Path) -> Iterator[Path]:
    """A copy that may be changed, with room beside it."""
    with tempfile.TemporaryDirectory(prefix="work-", dir=path.parent) as folder:
        copy = Path(folder) / "journal.db"
        shutil.copyfile(path, copy)
        yield copy


def _timed(what: str, seconds: Sequence[float], target: float) -> Timed:
    return Timed(what=what, seconds=median(seconds), worst=max(seconds), target=target)


# --- processes -----------------------------------------------------------------------------------


def _commands(events: int) -> Sequence[tuple[str, Sequence[str]]]:
    late = str(events * 9 // 10)
    return (
        ("events --limit 100", ("events", "--limit", "100")),
        (f"events --after {late} --limit 100", ("events", "--after", late, "--limit", "100")),
        ("backorders", ("backorders",)),
        ("sinks list", ("sinks", "list")),
    )


def _command(path: Path, arguments: Sequence[str]) -> float:
    """How long one took; CalledProcessError, with its output, where it fails."""
    began = perf_counter()
    subprocess.run(  # noqa: S603 - this very program
        [sys.executable, "-m", "consumer", *arguments, "--journal", f"sqlite:{path}"],
        cwd=_ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    return perf_counter() - began


def _start(path: Path) -> float:
    """How long the daemon took until it was ready; RuntimeError where it never was."""
    return asyncio.run(_started(path))


async def _started(path: Path) -> float:
    parts = f"""
[[sources]]
type = "radial-webhook"
name = "radial-webhook"
[[sinks]]
type = "file"
name = "{SINKS[0]}"
path = "{path.with_name("events.jsonl")}"
"""
    async with daemon(path.parent, parts, journal=path) as running:
        return running.start


# --- for people ----------------------------------------------------------------------------------


def _show(report: Report) -> None:
    click.echo(f"{in_a_line(report.machine)}\n")
    click.echo(f"{report.events:,} events, {report.file_bytes / _MIB:,.0f} MiB\n")
    click.echo(f"{'':<36}{'median':>9}{'worst':>9}")
    for one in report.timed:
        click.echo(
            f"{one.what:<36}{one.seconds:>8.2f}s{one.worst:>8.2f}s"
            f"  {_verdict(f'<= {one.target:g} s', met=one.met)}"
        )
    pruned = report.retention
    click.echo(
        f"\nretention: {pruned.removed:,} events removed in {pruned.seconds:.1f} s\n"
        f"\n{'append, ms':<36}{'p50':>9}{'p99':>9}{'worst':>9}{'number':>9}"
    )
    for name, latency in (("before", pruned.before), ("meanwhile", pruned.during)):
        click.echo(
            f"{name:<36}{latency.p50 * 1000:>9.1f}{latency.p99 * 1000:>9.1f}"
            f"{latency.worst * 1000:>9.1f}{latency.appends:>9,}"
        )
    click.echo(f"{_verdict(f'no append above {MOST_APPEND:g} s', met=pruned.met)}")


def _verdict(target: str, *, met: bool) -> str:
    return f"{target}: {'met' if met else 'MISSED'}"
