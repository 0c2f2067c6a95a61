"""Figures and verdicts as tables for people, in plain text.

A suite has a table: a row for each figure with its median, the lowest and the highest of its
rounds, how many times the first one of that unit it is, and all that stands beside it.
"""

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.report import Figure
from benchmarks.targets import Verdict

_GAP = "  "
_WHOLE = 99.95  # from here on there are three digits before the point


def number(value: float) -> str:
    """Three digits that matter, and all of those before the point: 17,312, 17.3, 0.0173, 2."""
    if value == int(value) or abs(value) >= _WHOLE:
        return f"{value:,.0f}"
    return f"{value:#.3g}"


def by_suite(figures: Iterable[Figure]) -> Mapping[str, Sequence[Figure]]:
    """The figures of each suite, in their order."""
    suites: dict[str, list[Figure]] = {}
    for figure in figures:
        suites.setdefault(figure.suite, []).append(figure)
    return suites


def table(figures: Sequence[Figure]) -> str:
    """The figures of one suite."""
    beside = list(dict.fromkeys(key for figure in figures for key in figure.beside))
    rows = [
        [
            figure.name,
            number(figure.median),
            figure.unit,
            _spread(figure.rounds),
            _times(figure, figures),
            *(number(figure.beside[key]) if key in figure.beside else "" for key in beside),
        ]
        for figure in figures
    ]
    heading = [figures[0].suite, "median", "", "rounds", "times first", *beside]
    return _aligned([heading, *rows], left=(0, 2))


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    """The targets that could be worked out, with `met` or `MISSED`."""
    rows = [
        [
            one.target.what,
            one.target.sense,
            f"{one.target.bound:g} {one.target.unit}".rstrip(),
            number(one.value),
            "" if one.by_rounds is None else number(one.by_rounds),
            "met" if one.met else "MISSED",
            _shown(one),
        ]
        for one in verdicts
    ]
    return _aligned([["target", "", "", "is", "by rounds", "", ""], *rows], left=(0, 1, 5, 6))


def _shown(verdict: Verdict) -> str:
    if verdict.shown is None:
        return ""
    ours, other = map(number, verdict.shown)
    return f"{verdict.target.shows}: {ours}, theirs {other}"


def _spread(rounds: Sequence[float]) -> str:
    return f"{number(min(rounds))} to {number(max(rounds))}"


def _times(figure: Figure, figures: Sequence[Figure]) -> str:
    """How many times the first one of its unit it is; nothing where it is the only one."""
    first, *others = (one.median for one in figures if one.unit == figure.unit)
    return f"{figure.median / first:.2f}" if first and others else ""


def _aligned(rows: Sequence[Sequence[str]], *, left: Sequence[int]) -> str:
    """Columns as wide as they have to be; those of `left` begin at their left edge."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        _GAP.join(
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)
