"""The picture of a run: a panel for each thing that was measured, none for what was not.

Rules
1. A bar is as long as the median of the rounds; a thin line goes from the lowest to the highest.
   Its value stands beside it, so that nothing has to be read off an axis.
2. Bars begin at zero, and ours have a colour that nobody else's have.
3. Where the name of a figure tells a size (events in the journal, queues), sizes go along a
   logarithmic axis: what should stay flat is seen to.
4. What is one number, such as the memory at rest, has no panel. Tables tell it better.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib import figure as drawing
from matplotlib.axes import Axes
from msgspec import Struct
from msgspec.structs import replace

from benchmarks import backlog, growth, latency, queues, stores, validation, webhooks
from benchmarks.report import Figure
from benchmarks.tables import by_suite, number

_WIDTH, _DPI = 12.0, 100  # inches, and pixels of an inch: 1,200 pixels wide
_COLUMNS = 2
_TITLE, _SLOT = 0.7, 0.3  # inches: for what is above and below, and for each bar
_LINES = 7  # bars that take as much room as lines do
_OURS, _OTHERS, _SECOND = "#117733", "#88a5bd", "#ddb56b"
_BEYOND = 1.28  # the axis goes on beyond the longest bar, for its value
_SIZE = re.compile(r"\d[\d,]*")
_CPU = ("own CPU, µs/message", "broker's CPU, µs/message")
_HALF, _MOST = "p50, ms", "p99, ms"

Drawn = Callable[[Axes, Sequence[Figure]], None]
Beside = Callable[[Axes, Sequence[Figure], Sequence[str]], None]


class Panel(Struct, frozen=True):
    """A title, figures, and how they are drawn; `slots`: bars, or the room of as many."""

    title: str
    figures: Sequence[Figure]
    drawn: Drawn
    slots: int


def draw(figures: Sequence[Figure], file: Path) -> bool:
    """Write the picture as PNG; False where there is nothing to show."""
    panels = _panels(figures)
    if not panels:
        return False
    mpl.use("Agg")  # needs no screen
    rows = [panels[start : start + _COLUMNS] for start in range(0, len(panels), _COLUMNS)]
    slots = [max(panel.slots for panel in row) for row in rows]
    heights = [_TITLE + _SLOT * most for most in slots]
    picture = drawing.Figure(figsize=(_WIDTH, sum(heights)), layout="constrained")
    grid = picture.add_gridspec(len(rows), _COLUMNS, height_ratios=heights)
    for place, (row, most) in enumerate(zip(rows, slots, strict=True)):
        for column, panel in enumerate(row):
            axis = picture.add_subplot(grid[place, column])
            panel.drawn(axis, panel.figures)
            if panel.drawn is not _line:
                axis.set_ylim(most - 0.5, -0.5)  # bars are as thick as their neighbours', from top
            axis.set_title(panel.title, fontsize="medium", fontweight="bold", loc="left")
            axis.spines[["top", "right"]].set_visible(False)
    picture.savefig(file, dpi=_DPI)
    return True


# --- panels --------------------------------------------------------------------------------------


def _panels(figures: Sequence[Figure]) -> Sequence[Panel]:
    suites = by_suite(figures)
    return [panel for suite, of in _SUITES.items() for panel in of(suites.get(suite, ()))]


def _medians(figures: Sequence[Figure]) -> Sequence[Panel]:
    return [Panel(f"{one.suite}: {one.unit}", figures, _bars, len(figures)) for one in figures[:1]]


def _queues(figures: Sequence[Figure]) -> Sequence[Panel]:
    what = "µs of CPU: own + broker's"
    return [*_medians(figures), *_beside(figures, what, _stacked, _CPU)]


def _webhooks(figures: Sequence[Figure]) -> Sequence[Panel]:
    """One event a post and many make panels of their own: a common scale would hide the former."""
    many = {webhooks.BARE_MANY, webhooks.OURS_MANY}
    return [
        *_medians([one for one in figures if one.name not in many]),
        *_medians([one for one in figures if one.name in many]),
        *_beside(figures, "ms until answered: p50 · p99", _grouped, (_HALF, _MOST)),
    ]


def _latency(figures: Sequence[Figure]) -> Sequence[Panel]:
    told = [
        replace(one, name=one.name.removeprefix("p99 "), beside={**one.beside, _MOST: one.median})
        for one in figures
    ]
    return _beside(told, "ms from publish to delivery: p50 · p99", _grouped, (_HALF, _MOST))


def _catch_up(figures: Sequence[Figure]) -> Sequence[Panel]:
    title = f"{backlog.SUITE}: seconds until level"
    return [Panel(title, figures, _bars, len(figures)) for _ in figures[:1]]


def _beside(
    figures: Sequence[Figure],
    what: str,
    drawn: Beside,
    keys: Sequence[str],
) -> Sequence[Panel]:
    """What stands beside the figures under these keys."""
    having = [one for one in figures if all(key in one.beside for key in keys)]
    return [
        Panel(
            f"{one.suite}: {what}",
            having,
            lambda axis, shown: drawn(axis, shown, keys),
            len(having),
        )
        for one in having[:1]
    ]


def _sizes(figures: Sequence[Figure]) -> Sequence[Panel]:
    return [Panel(f"{one.suite}: {one.unit}", figures, _line, _LINES) for one in figures[:1]]


_SUITES: Mapping[str, Callable[[Sequence[Figure]], Sequence[Panel]]] = {
    queues.SUITE: _queues,
    webhooks.SUITE: _webhooks,
    latency.SUITE: _latency,
    backlog.SUITE: _catch_up,
    growth.SUITE: _sizes,
    stores.SUITE: _sizes,
    validation.SUITE: _medians,
}
_AMONG_OTHERS = {queues.SUITE, webhooks.SUITE, validation.SUITE}


# --- drawing -------------------------------------------------------------------------------------


def _bars(axis: Axes, figures: Sequence[Figure]) -> None:
    medians = [one.median for one in figures]
    beyond = (
        [one.median - min(one.rounds) for one in figures],
        [max(one.rounds) - one.median for one in figures],
    )
    axis.barh(
        range(len(figures)),
        medians,
        color=[_color(one) for one in figures],
        xerr=beyond,
        error_kw={"elinewidth": 1.0, "ecolor": "0.25"},
    )
    ends = [max(one.rounds) for one in figures]
    _label(axis, figures, ends, [number(median) for median in medians])


def _stacked(axis: Axes, figures: Sequence[Figure], keys: Sequence[str]) -> None:
    ends = [0.0] * len(figures)
    for key, color in zip(keys, (None, _SECOND), strict=True):
        values = [one.beside[key] for one in figures]
        axis.barh(
            range(len(figures)),
            values,
            left=ends,
            color=[color or _color(one) for one in figures],
        )
        ends = [end + value for end, value in zip(ends, values, strict=True)]
    _label(axis, figures, ends, [_told(one, keys, " + ") for one in figures])


def _grouped(axis: Axes, figures: Sequence[Figure], keys: Sequence[str]) -> None:
    thickness = 0.8 / len(keys)
    for place, (key, color) in enumerate(zip(keys, (None, _SECOND), strict=True)):
        offset = thickness * (place - (len(keys) - 1) / 2)
        axis.barh(
            [row + offset for row in range(len(figures))],
            [one.beside[key] for one in figures],
            height=thickness,
            color=[color or _color(one) for one in figures],
        )
    ends = [max(one.beside[key] for key in keys) for one in figures]
    _label(axis, figures, ends, [_told(one, keys, " · ") for one in figures])


def _label(
    axis: Axes, figures: Sequence[Figure], ends: Sequence[float], told: Sequence[str]
) -> None:
    """Names before the bars and values behind them; no axis below."""
    axis.set_yticks(range(len(figures)), [one.name for one in figures])
    longest = max(ends) or 1.0
    axis.set_xlim(0, longest * _BEYOND)
    axis.xaxis.set_visible(False)
    axis.spines["bottom"].set_visible(False)
    for place, (end, text) in enumerate(zip(ends, told, strict=True)):
        axis.text(end + longest / 60, place, text, va="center")


def _line(axis: Axes, figures: Sequence[Figure]) -> None:
    sizes, medians = [_size(one) for one in figures], [one.median for one in figures]
    axis.fill_between(
        sizes,
        [min(one.rounds) for one in figures],
        [max(one.rounds) for one in figures],
        color=_OURS,
        alpha=0.2,
        linewidth=0,
    )
    axis.plot(sizes, medians, marker="o", color=_OURS)
    axis.set_xscale("log")
    axis.set_xticks(sizes, [f"{size:,.0f}" for size in sizes])
    axis.xaxis.minorticks_off()
    axis.set_xlabel(_SIZE.sub("", figures[-1].name).strip())
    axis.margins(x=0.08)
    axis.set_ylim(0, max(max(one.rounds) for one in figures) * _BEYOND)
    for size, median in zip(sizes, medians, strict=True):
        axis.annotate(
            number(median), (size, median), (0, 8), textcoords="offset points", ha="center"
        )


def _size(one: Figure) -> float:
    """The number in a figure's name."""
    found = _SIZE.search(one.name)
    return float(found.group().replace(",", "")) if found else 1.0


def _told(one: Figure, keys: Sequence[str], between: str) -> str:
    return between.join(number(one.beside[key]) for key in keys)


def _color(one: Figure) -> str:
    is_ours = one.suite not in _AMONG_OTHERS or one.name.startswith("ours")
    return _OURS if is_ours else _OTHERS
