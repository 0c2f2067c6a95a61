"""The picture of a soak: every measure over time, with its slope and with the faults."""

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.soak_faults import Planned
from benchmarks.soak_judge import MEASURES, Sample, Verdict, warmed_up

_COLUMNS = 2
_WIDTH, _HEIGHT = 13.0, 2.4
_DPI = 110
_COLORS = ("#cc6677", "#ddcc77", "#117733", "#88ccee", "#44aa99", "#882255")


def draw(
    samples: Sequence[Sample],
    faults: Sequence[Planned],
    verdicts: Sequence[Verdict],
    file: Path,
) -> None:
    """Write the picture as PNG."""
    mpl.use("Agg")  # needs no screen
    panels = len(MEASURES) + 1
    rows = -(-panels // _COLUMNS)
    figure = Figure(figsize=(_WIDTH, _HEIGHT * rows), layout="constrained")
    axes = figure.subplots(rows, _COLUMNS, sharex=True).flat
    judged = warmed_up(samples)
    for place, (measure, verdict) in enumerate(zip(MEASURES, verdicts, strict=True)):
        of = _scaled(measure.of, measure.scale)
        _panel(axes[place], samples, of, f"{measure.name}{_in(measure.unit)}")
        middle = (verdict.start + verdict.end) / 2
        ends = (judged[0].at, judged[-1].at)
        axes[place].plot(
            ends,
            (middle - verdict.rise / 2, middle + verdict.rise / 2),
            color="black" if verdict.flat else "red",
            linewidth=1.5,
        )
    _panel(axes[panels - 1], samples, lambda sample: sample.dead_lag, "lag of the dead sink")
    for axis in axes:
        _mark(axis, faults, judged[0].at if judged else 0.0)
    axes[0].legend(fontsize="x-small", ncols=3, loc="lower right")
    figure.savefig(file, dpi=_DPI)


def _scaled(of: Callable[[Sample], float], scale: float) -> Callable[[Sample], float]:
    return lambda sample: of(sample) / scale


def _in(unit: str) -> str:
    return f", {unit}" if unit else ""


def _panel(
    axis: Axes, samples: Sequence[Sample], of: Callable[[Sample], float], title: str
) -> None:
    axis.plot([sample.at for sample in samples], [of(sample) for sample in samples], linewidth=0.9)
    axis.set_title(title, fontsize="small", loc="left")
    axis.set_ylim(bottom=0)
    axis.tick_params(labelsize="x-small")


def _mark(axis: Axes, faults: Sequence[Planned], warm: float) -> None:
    axis.axvspan(0, warm, color="0.93", zorder=0)
    names = sorted({fault.name for fault in faults})
    seen: set[str] = set()
    for fault in faults:
        axis.axvspan(
            fault.at,
            fault.at + fault.length,
            ymax=0.06,
            color=_COLORS[names.index(fault.name) % len(_COLORS)],
            label=None if fault.name in seen else fault.name,
        )
        seen.add(fault.name)
