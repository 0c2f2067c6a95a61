"""How fast it is, side by side with others: `python -m benchmarks speed`.

Rules
1. Suites run one after the other, alone on the machine as far as this program can see to it. What
   they measure, and how, each tells itself.
2. What was measured is kept after each suite: one that fails takes nothing away from those before.
3. Verdicts compare within this run only. With `--strict` a target that is missed makes the exit
   status 1; one that was not measured does not.
4. SIGTERM ends a suite as Ctrl-C does: contenders and brokers end with it.
"""

import asyncio
import importlib
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter

import click
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from benchmarks.conditions import in_a_line, machine, versions
from benchmarks.disturbance import ticks
from benchmarks.report import Effort, Figure, Suite
from benchmarks.tables import table, verdict_table
from benchmarks.targets import Verdict, verdicts
from consumer.errors import ConsumerError

SUITES: Mapping[str, str] = {
    "queues": "benchmarks.queues",
    "webhooks": "benchmarks.webhooks",
    "latency": "benchmarks.latency",
    "catch-up": "benchmarks.backlog",
    "validation": "benchmarks.validation",
    "growth": "benchmarks.growth",
    "stores": "benchmarks.stores",
    "rest": "benchmarks.resting",
}
"""The module of each suite, by the name that `--only` takes. Its `measure` is a `report.Suite`."""

_LONG_ENOUGH = 20_000  # messages a round
_MISSED = 1  # exit status
_HEARD = 0.01  # seconds in which the loop gets to a signal
_ROOT = Path(__file__).parents[1]


class Report(Struct, frozen=True, kw_only=True):
    """All of a run, and on what it was made (`conditions`); `revision` is ours.

    `stolen`, by suite: the share (0 to 1) of the processor time that its host kept (`disturbance`).
    """

    machine: dict[str, object]
    revision: str | None
    versions: dict[str, str]
    messages: int
    rounds: int
    figures: Sequence[Figure] = ()
    verdicts: Sequence[Verdict] = ()
    stolen: Mapping[str, float] = {}

    @property
    def met(self) -> bool:
        """Whether no target was missed."""
        return all(verdict.met for verdict in self.verdicts)


@click.command()
@click.option(
    "--only",
    type=click.Choice(list(SUITES)),
    multiple=True,
    help="Run this suite; may be given several times.  [default: all of them]",
)
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--messages",
    default=20_000,
    show_default=True,
    type=click.IntRange(min=100),
    help="Messages of a round.",
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("var/bench"),
    show_default=True,
    help="Where contenders write.",
)
@click.option(
    "--json",
    "as_json",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file for all rounds.  [default: speed.json in the directory]",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file for the picture, a PNG.  [default: speed.png in the directory]",
)
@click.option("--strict", is_flag=True, help="Exit status 1 where a target is missed.")
@click.pass_context
def speed(
    context: click.Context,
    *,
    only: Sequence[str],
    rounds: int,
    messages: int,
    directory: Path,
    as_json: Path | None,
    plot: Path | None,
    strict: bool,
) -> None:
    """Messages a second and latencies, against peers and targets."""
    directory.mkdir(parents=True, exist_ok=True)
    chosen = [name for name in SUITES if name in only] or list(SUITES)
    figures: list[Figure] = []
    report = Report(
        machine=machine(directory),
        revision=_revision(),
        versions=versions(),
        messages=messages,
        rounds=rounds,
    )
    click.echo(_told(report))
    for place, name in enumerate(chosen, 1):
        click.echo(f"{name}, {place} of {len(chosen)} ...", err=True)
        began, before = perf_counter(), ticks()
        measured = _measured(name, messages=messages, rounds=rounds, directory=directory)
        stolen = ticks().since(before)
        click.echo(
            f"{name} took {perf_counter() - began:.0f} s; of the processor time that was asked for"
            f" the machine's host kept {stolen:.0%}",
            err=True,
        )
        click.echo(f"\n{table(measured)}")
        figures += measured
        report = replace(
            report,
            figures=figures,
            verdicts=verdicts(figures),
            stolen={**report.stolen, name: round(stolen, 3)},
        )
        _keep(report, as_json or directory / "speed.json", plot or directory / "speed.png")
    if report.verdicts:
        click.echo(f"\n{verdict_table(report.verdicts)}")
    context.exit(_MISSED if strict and not report.met else 0)


def _measured(name: str, *, messages: int, rounds: int, directory: Path) -> Sequence[Figure]:
    """What a suite shows. What it wrote is gone afterwards."""
    measure: Suite = importlib.import_module(SUITES[name]).measure
    with tempfile.TemporaryDirectory(prefix="speed-", dir=directory.absolute()) as place:
        effort = Effort(messages=messages, rounds=rounds, directory=Path(place))
        try:
            return asyncio.run(_cancellable(measure, effort))
        except asyncio.CancelledError:
            raise click.Abort from None
        except (ConsumerError, RuntimeError) as error:  # what makes a round no measurement
            raise click.ClickException(f"{name}: {error}") from error


async def _cancellable(measure: Suite, effort: Effort) -> Sequence[Figure]:
    this = asyncio.current_task()
    if this is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    measured = await measure(effort)
    await asyncio.sleep(_HEARD)  # a suite that never waits has not noticed a signal so far
    return measured


def _keep(report: Report, as_json: Path, plot: Path) -> None:
    from benchmarks.plot import draw  # a slow import, of a library that tests do not need

    as_json.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    click.echo(f"{as_json} has every round", err=True)
    if draw(report.figures, plot):
        click.echo(f"{plot} shows them", err=True)


def _told(report: Report) -> str:
    """What numbers have to be read with, in a few lines."""
    software = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    short = report.messages < _LONG_ENOUGH
    return (
        f"{in_a_line(report.machine)}\n"
        f"revision {report.revision or 'unknown'}; {software}\n"
        f"{report.rounds} x {report.messages:,} messages"
        + (f": a try, since ratios mean little below {_LONG_ENOUGH:,}" if short else "")
    )


def _revision() -> str | None:
    """What git calls this tree; None where there is no git, or no history."""
    git = shutil.which("git")
    if git is None:
        return None
    described = subprocess.run(  # noqa: S603 - the git of this machine
        [git, "describe", "--always", "--dirty", "--tags"],
        cwd=_ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or None
