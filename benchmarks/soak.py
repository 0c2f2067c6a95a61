"""`make soak`: the daemon under half load and faults, for minutes; nothing may grow.

Rules
1. The daemon is a process of its own, configured by a file, with every kind of source and three
   kinds of sink; one more sink is dead most of the time. Upstreams and receivers live in this
   process, RabbitMQ is a private one. All of them share the machine's cores: capacity is what is
   left for the daemon then.
2. Load is half of the capacity measured at the beginning, or what `--rate` says. Faults come from a
   fixed seed (`soak_faults`).
3. Behind the warm-up nothing may rise (`soak_judge`), and at the end, once all has been let
   through, nothing that was accepted may be missing anywhere. Either makes the exit status 1.
4. Retention is short against the run, so that pruning is part of it.
5. It ends by itself, a few minutes after its time at the very most.
"""

import asyncio
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import msgspec
import uvloop
from msgspec import Struct

from benchmarks.conditions import machine
from benchmarks.soak_faults import Planned, plan
from benchmarks.soak_judge import Sample, Verdict, judge, table
from benchmarks.soak_stage import Surroundings
from consumer.cli.options import DurationType
from consumer.errors import ConsumerError
from consumer.simulators import broker
from consumer.values import Duration, PositiveDuration

_FAILED, _IMPOSSIBLE = 1, 2
_BURST = 4_000
_RETENTION_SHARE = 20
_SHORTEST_RETENTION = 5.0
_MOST_BESIDE = 300.0  # seconds for everything but the load


class Report(Struct, frozen=True, kw_only=True):
    """All of it. `capacity` and `rate` in messages a second, `capacity` 0 where not measured."""

    machine: Mapping[str, object]
    seconds: float
    seed: int
    capacity: float
    rate: float
    accepted: int
    polled: int
    repeated: Mapping[str, int]
    wrong: Sequence[str]
    verdicts: Sequence[Verdict]
    faults: Sequence[Planned]
    samples: Sequence[Sample]

    @property
    def well(self) -> bool:
        """Whether everything was flat, and nothing missing."""
        return not self.wrong and all(verdict.flat for verdict in self.verdicts)


@click.command()
@click.option(
    "--for",
    "duration",
    type=DurationType(PositiveDuration),
    default="10m",
    show_default=True,
    metavar="DURATION",
    help='How long load and faults go on, such as "60s".',
)
@click.option(
    "--rate",
    type=click.FloatRange(min=1),
    help="Messages a second.  [default: half of what is measured]",
)
@click.option("--seed", default=1, show_default=True, help="Which faults, and when.")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("var/soak"),
    show_default=True,
    help="Where soak.png, soak.json and the daemon's files go.",
)
@click.pass_context
def soak(
    context: click.Context, *, duration: Duration, rate: float | None, seed: int, directory: Path
) -> None:
    r"""The daemon under load and faults: nothing may grow.

    \b
    Exit status: 0 everything flat and nothing missing, 1 otherwise, 2 no RabbitMQ or no /proc.
    """
    if not broker.available() or not Path("/proc/self/statm").exists():
        click.echo("error: a soak needs an installed RabbitMQ, and Linux for its /proc", err=True)
        context.exit(_IMPOSSIBLE)
    try:
        with asyncio.Runner(loop_factory=uvloop.Loop) as runner:
            report = runner.run(_bounded(directory.absolute(), float(duration), rate, seed))
    except (ConsumerError, TimeoutError) as error:
        click.echo(f"error: {str(error) or 'the soak did not end in its time'}", err=True)
        context.exit(_FAILED)
    except asyncio.CancelledError:
        raise click.Abort from None
    _show(report)
    _keep(report, directory)
    context.exit(0 if report.well else _FAILED)


async def _bounded(directory: Path, seconds: float, rate: float | None, seed: int) -> Report:
    this = asyncio.current_task()
    if this is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    async with asyncio.timeout(seconds + _MOST_BESIDE):
        return await _soak(directory, seconds, rate, seed)


async def _soak(directory: Path, seconds: float, rate: float | None, seed: int) -> Report:
    run = directory / "run"
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True)
    retention = max(_SHORTEST_RETENTION, seconds / _RETENTION_SHARE)
    faults = plan(seed, seconds)
    click.echo("starting a private RabbitMQ, MVET, CINX and the receivers ...")
    async with Surroundings(run, seed=seed, retention=f"{retention:.3f}s") as stage:
        capacity = await stage.burst(_BURST if rate is None else 1)
        rate = rate or capacity / 2
        if rate * 2 == capacity:
            click.echo(f"capacity {capacity:,.0f} messages a second")
        click.echo(f"load {rate:,.0f} messages a second for {seconds:g} s ...")
        samples = await stage.load(rate, seconds, faults)
        click.echo("waiting until everything has arrived ...")
        wrong = await stage.drain()
        ledger = stage.ledger
    return Report(
        machine=machine(),
        seconds=seconds,
        seed=seed,
        capacity=capacity,
        rate=rate,
        accepted=ledger.accepted.count,
        polled=len(ledger.journal.polled),
        repeated={name: place.repeated for name, place in ledger.sinks.items()},
        wrong=wrong,
        verdicts=judge(samples),
        faults=faults,
        samples=samples,
    )


def _show(report: Report) -> None:
    repeated = ", ".join(f"{name} {number:,}" for name, number in report.repeated.items())
    click.echo(
        f"\n{report.accepted:,} messages accepted, {report.polled:,} events polled,"
        f" {len(report.faults)} faults; repeated at sinks: {repeated}\n"
    )
    click.echo(table(report.verdicts))
    click.echo()
    for one in report.wrong:
        click.echo(f"WRONG: {one}")
    if not report.wrong:
        click.echo("nothing that was accepted is missing anywhere")


def _keep(report: Report, directory: Path) -> None:
    from benchmarks.soak_plot import draw  # a slow import, of a library that tests do not need

    (directory / "soak.json").write_bytes(msgspec.json.format(msgspec.json.encode(report)))
    draw(report.samples, report.faults, report.verdicts, directory / "soak.png")
    click.echo(f"{directory}/soak.png shows it, {directory}/soak.json has every sample")
