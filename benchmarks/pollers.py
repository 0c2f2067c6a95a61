"""What the pollers cost: `python -m benchmarks pollers`.

Rules
1. CINX: a round of each case runs on the same journal, one after the other: all rows new, one in a
   hundred changed, none changed, and none changed for a poller that was started anew. The bare
   fetching of the same pages is measured right before each, and taken off: *own work* is what is
   left (parse, compare, commit), with the journal's thread and the kernel's part of it.
2. It is compared with what the simulator's process took to serve that very round.
3. MVET: polls that find nothing new are measured whole, fetching included, connection and all.
4. A round that did not tell what it had to tell is no measurement: it ends the benchmark.
5. Of several repetitions the median is quoted; of peaks of memory the highest. What misses its
   target is shown as missed; with `--strict` it makes the exit status 1, too.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import click
import msgspec
from msgspec import Struct

from benchmarks.children import Child, running
from benchmarks.conditions import in_a_line, machine
from benchmarks.measuring import Cost, median
from benchmarks.poller_process import Polled
from benchmarks.simulator_process import Where

_SIMULATOR, _POLLER = "benchmarks.simulator_process", "benchmarks.poller_process"
_MIB = 1 << 20
_MOST_MEMORY = 300_000_000
_MOST_MVET_CPU = 0.050
_WARM_UP = 3
_CHANGED_ONE_IN = 100
_MISSED = 1  # exit status


class Round(Struct, frozen=True, kw_only=True):
    """One poll of CINX, in seconds of processor time and of the clock, and bytes."""

    case: str
    events: int
    poll: float
    fetch: float
    simulator: float
    wall: float
    peak: int

    @property
    def own(self) -> float:
        """What the program did itself."""
        return self.poll - self.fetch


class Row(Struct, frozen=True, kw_only=True):
    """What is told of one case: medians of its rounds, the highest peak, the verdicts."""

    case: str
    events: int
    poll_cpu: float
    fetch_cpu: float
    own_cpu: float
    simulator_cpu: float
    own_to_simulator: float
    wall: float
    peak_bytes: int
    cpu_met: bool
    memory_met: bool


class Unchanged(Struct, frozen=True, kw_only=True):
    """Polls of MVET that find nothing new: the median of their processor time in seconds."""

    lines: int
    polls: int
    poll_cpu: float
    worst_cpu: float
    wall: float
    events: int
    wrote: bool
    met: bool


class Report(Struct, frozen=True, kw_only=True):
    """All of it."""

    machine: dict[str, object]
    rows: int
    rounds: int
    cinx: Sequence[Row]
    mvet: Unchanged

    @property
    def met(self) -> bool:
        """Whether nothing missed its target."""
        return self.mvet.met and all(row.cpu_met and row.memory_met for row in self.cinx)


@click.command()
@click.option("--rows", default=50_000, show_default=True, help="Rows of CINX's list.")
@click.option("--rounds", default=3, show_default=True, help="Repetitions of all of CINX's cases.")
@click.option("--lines", default=5_000, show_default=True, help="Lines of MVET's answer.")
@click.option("--polls", default=30, show_default=True, help="Polls of MVET.")
@click.option("--directory", type=click.Path(path_type=Path), help="Where journals are made.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of tables.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file for all of it, as JSON, besides what is printed.",
)
@click.option("--strict", is_flag=True, help="Exit status 1 where anything misses its target.")
@click.pass_context
def pollers(
    context: click.Context,
    *,
    rows: int,
    rounds: int,
    lines: int,
    polls: int,
    directory: Path | None,
    as_json: bool,
    keep: Path | None,
    strict: bool,
) -> None:
    """Snapshots of CINX and MVET against their simulators."""
    report = Report(
        machine=machine(directory or Path(tempfile.gettempdir())),
        rows=rows,
        rounds=rounds,
        cinx=summed_up([one for _ in range(rounds) for one in _cinx(rows, directory)]),
        mvet=_mvet(lines, polls, directory),
    )
    if keep is not None:
        keep.write_bytes(msgspec.json.encode(report))
    if as_json:
        click.echo(msgspec.json.encode(report))
    else:
        _show(report)
    context.exit(_MISSED if strict and not report.met else 0)


# --- CINX ----------------------------------------------------------------------------------------


def _cinx(rows: int, directory: Path | None) -> Iterator[Round]:
    """One repetition: the cases in their order."""
    changed = len(range(0, rows, _CHANGED_ONE_IN))
    with (
        _journal(directory) as journal,
        running(_SIMULATOR, system="cinx", lines=rows, nth=_CHANGED_ONE_IN) as simulator,
    ):
        with _poller("cinx", simulator, rows, journal) as poller:
            poller.ask("fetch")  # warms up both sides
            yield _round("all rows new", rows, poller, simulator)
            simulator.ask("change")
            yield _round("1 in 100 changed", changed, poller, simulator)
            yield _round("unchanged", 0, poller, simulator)
        with _poller("cinx", simulator, rows, journal) as poller:
            poller.ask("fetch")
            yield _round("unchanged, started anew", 0, poller, simulator)


def _round(case: str, events: int, poller: Child, simulator: Child) -> Round:
    fetched = msgspec.convert(poller.ask("fetch"), Cost)
    before = simulator.ask("cpu")
    polled = _polled(poller, events)
    return Round(
        case=case,
        events=polled.events,
        poll=polled.cost.cpu,
        fetch=fetched.cpu,
        simulator=simulator.ask("cpu") - before,
        wall=polled.cost.wall,
        peak=polled.cost.peak,
    )


def summed_up(rounds: Sequence[Round]) -> Sequence[Row]:
    """A row for each case, in their order."""
    cases = dict.fromkeys(one.case for one in rounds)
    return [_row([one for one in rounds if one.case == case]) for case in cases]


def _row(rounds: Sequence[Round]) -> Row:
    ratio = median(one.own / one.simulator for one in rounds)
    peak = max(one.peak for one in rounds)
    return Row(
        case=rounds[0].case,
        events=rounds[0].events,
        poll_cpu=median(one.poll for one in rounds),
        fetch_cpu=median(one.fetch for one in rounds),
        own_cpu=median(one.own for one in rounds),
        simulator_cpu=median(one.simulator for one in rounds),
        own_to_simulator=ratio,
        wall=median(one.wall for one in rounds),
        peak_bytes=peak,
        cpu_met=ratio < 1,
        memory_met=0 < peak < _MOST_MEMORY,
    )


# --- MVET ----------------------------------------------------------------------------------------


def _mvet(lines: int, polls: int, directory: Path | None) -> Unchanged:
    with (
        _journal(directory) as journal,
        running(_SIMULATOR, system="mvet", lines=lines) as simulator,
        _poller("mvet", simulator, lines, journal) as poller,
    ):
        _polled(poller, lines)
        for _ in range(_WARM_UP):
            _polled(poller, 0)
        done = [_polled(poller, 0) for _ in range(polls)]
    cpu = median(one.cost.cpu for one in done)
    events, wrote = sum(one.events for one in done), any(one.wrote for one in done)
    return Unchanged(
        lines=lines,
        polls=polls,
        poll_cpu=cpu,
        worst_cpu=max(one.cost.cpu for one in done),
        wall=median(one.cost.wall for one in done),
        events=events,
        wrote=wrote,
        met=cpu < _MOST_MVET_CPU and not events and not wrote,
    )


# --- both ----------------------------------------------------------------------------------------


@contextmanager
def _journal(directory: Path | None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="backorder-benchmark-", dir=directory) as folder:
        yield Path(folder) / "journal.db"


@contextmanager
def _poller(
    system: Literal["cinx", "mvet"], simulator: Child, lines: int, journal: Path
) -> Iterator[Child]:
    where = msgspec.convert(simulator.ask("where"), Where)
    with running(
        _POLLER,
        system=system,
        url=where.url,
        token=where.token,
        lines=lines,
        journal=str(journal),
    ) as poller:
        yield poller


def _polled(poller: Child, events: int) -> Polled:
    """One poll, which has to tell so many events; RuntimeError where it does not."""
    polled = msgspec.convert(poller.ask("poll"), Polled)
    if polled.events != events:
        raise RuntimeError(f"a poll told {polled.events} events instead of {events}")
    return polled


def _show(report: Report) -> None:
    click.echo(f"{in_a_line(report.machine)}\n")
    click.echo(
        f"CINX, {report.rows:,} rows in pages of 50, detail = never; seconds of processor time,"
        f" medians of {report.rounds}\n"
    )
    click.echo(
        f"{'':<24}{'events':>8}{'poll':>8}{'fetch':>8}{'own':>8}{'serving':>9}{'own/s.':>8}"
        f"{'wall':>8}{'peak':>10}"
    )
    for row in report.cinx:
        click.echo(
            f"{row.case:<24}{row.events:>8,}{row.poll_cpu:>8.2f}{row.fetch_cpu:>8.2f}"
            f"{row.own_cpu:>8.2f}{row.simulator_cpu:>9.2f}{row.own_to_simulator:>8.2f}"
            f"{row.wall:>7.1f}s{row.peak_bytes / _MIB:>6.0f} MiB"
            f"  {_verdict('own < serving', met=row.cpu_met)},"
            f" {_verdict('peak < 300 MB', met=row.memory_met)}"
        )
    mvet = report.mvet
    click.echo(
        f"\nMVET, {mvet.lines:,} unchanged lines, {mvet.polls} polls: {mvet.poll_cpu * 1000:.1f} ms"
        f" of processor time a poll (worst {mvet.worst_cpu * 1000:.1f}),"
        f" {mvet.events} events, files {'written to' if mvet.wrote else 'untouched'}"
        f"  {_verdict('< 50 ms and no writes', met=mvet.met)}"
    )


def _verdict(target: str, *, met: bool) -> str:
    return f"{target}: {'met' if met else 'MISSED'}"
