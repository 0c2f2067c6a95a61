"""Whether what a process takes stays flat: samples in, a verdict for each measure out.

Rules
1. What the first quarter of a run shows is warm-up: caches fill, pools open, the journal grows to
   what its retention keeps. It is not judged.
2. Behind it the slope is Theil and Sen's: the median of the slopes between all pairs of samples.
   Up to 29 of 100 samples may be wild (a fault, a pruning, a burst) without moving it.
3. A measure is flat where the rise, which is that slope times the time judged, stays within its
   tolerance: an absolute one or a share of what it was, whichever is more. A fall is no fault.
4. Of memory the highest of the last half minute counts: an allocator gives back what it will take
   again a moment later, and a leak raises the peaks as well.
5. Beside it stand the medians of the first and of the last third of that time, so that a person can
   check the slope by eye.
"""

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations

from msgspec import Struct

from consumer.errors import Unusable

_WARM_UP = 4  # a quarter
_MOST_POINTS = 600  # slopes between them: their number grows by the square
_FEWEST_POINTS = 4
_HOUR = 3600.0
_MIB = 1 << 20


class Sample(Struct, frozen=True, kw_only=True):
    """One look at the daemon, `at` seconds after load began. Sizes in bytes, lags in events.

    `lag` is the largest of the sinks that live, `dead_lag` that of the one that is mostly dead.
    """

    at: float
    resident: float
    descriptors: float
    threads: float
    tasks: float
    journal: float
    events: float
    lag: float
    dead_lag: float


class Measure(Struct, frozen=True, kw_only=True):
    """What is judged: how it is had of a sample, how it is quoted, and what rise it may have.

    `peak` is for how many seconds the highest value counts.
    """

    name: str
    unit: str
    of: Callable[[Sample], float]
    scale: float
    absolute: float
    share: float
    peak: float = 0.0


class Verdict(Struct, frozen=True, kw_only=True):
    """One measure: medians of both thirds, rise and tolerance over the time judged; in `unit`."""

    name: str
    unit: str
    start: float
    end: float
    rise: float
    tolerance: float
    per_hour: float
    flat: bool


MEASURES: Sequence[Measure] = (
    Measure(
        name="resident memory",
        unit="MiB",
        of=lambda sample: sample.resident,
        scale=_MIB,
        absolute=4.0,
        share=0.05,
        peak=30.0,
    ),
    Measure(
        name="file descriptors",
        unit="",
        of=lambda sample: sample.descriptors,
        scale=1,
        absolute=2.0,
        share=0.0,
    ),
    Measure(
        name="threads",
        unit="",
        of=lambda sample: sample.threads,
        scale=1,
        absolute=1.0,
        share=0.0,
    ),
    Measure(
        name="tasks",
        unit="",
        of=lambda sample: sample.tasks,
        scale=1,
        absolute=5.0,
        share=0.10,
    ),
    Measure(
        name="journal files",
        unit="MiB",
        of=lambda sample: sample.journal,
        scale=_MIB,
        absolute=8.0,
        share=0.15,
    ),
    Measure(
        name="events kept",
        unit="",
        of=lambda sample: sample.events,
        scale=1,
        absolute=3000.0,
        share=0.25,
    ),
    Measure(
        name="lag of live sinks",
        unit="",
        of=lambda sample: sample.lag,
        scale=1,
        absolute=2000.0,
        share=0.15,
    ),
)


def warmed_up(samples: Sequence[Sample]) -> Sequence[Sample]:
    """The samples behind the warm-up."""
    if not samples:
        return ()
    end = samples[0].at + (samples[-1].at - samples[0].at) / _WARM_UP
    return [sample for sample in samples if sample.at >= end]


def judge(samples: Sequence[Sample]) -> Sequence[Verdict]:
    """A verdict for each measure; `Unusable` where there are too few samples to tell anything."""
    judged = warmed_up(samples)
    if len(judged) < _FEWEST_POINTS:
        raise Unusable(
            f"there are only {len(judged)} samples behind the warm-up: nothing can be told",
            "Let it run for longer",
        )
    return [_verdict(measure, samples, judged[0].at) for measure in MEASURES]


def _verdict(measure: Measure, samples: Sequence[Sample], since: float) -> Verdict:
    seen = [(sample.at, measure.of(sample) / measure.scale) for sample in samples]
    points = [(at, value) for at, value in _peaks(seen, measure.peak) if at >= since]
    third = max(1, len(points) // 3)
    start = statistics.median(value for _, value in points[:third])
    end = statistics.median(value for _, value in points[-third:])
    slope = theil_sen(points)
    rise = slope * (points[-1][0] - points[0][0])
    tolerance = max(measure.absolute, measure.share * start)
    return Verdict(
        name=measure.name,
        unit=measure.unit,
        start=start,
        end=end,
        rise=rise,
        tolerance=tolerance,
        per_hour=slope * _HOUR,
        flat=rise <= tolerance,
    )


def _peaks(points: Sequence[tuple[float, float]], seconds: float) -> Iterator[tuple[float, float]]:
    """The highest value of the last so many seconds, at each point."""
    first = 0
    for place, (at, _) in enumerate(points):
        while points[first][0] < at - seconds:
            first += 1
        yield at, max(value for _, value in points[first : place + 1])


def theil_sen(points: Sequence[tuple[float, float]]) -> float:
    """The median of the slopes between all pairs; 0 where there are none.

    Many points are thinned out first, evenly.
    """
    step = -(-len(points) // _MOST_POINTS) or 1
    slopes = _slopes(points[::step])
    return statistics.median(slopes) if slopes else 0.0


def _slopes(points: Iterable[tuple[float, float]]) -> list[float]:
    return [
        (later - earlier) / (to - at)
        for (at, earlier), (to, later) in combinations(points, 2)
        if to > at
    ]


def table(verdicts: Sequence[Verdict]) -> str:
    """The verdicts for a person to read."""
    columns = ("warm-up end", "end", "rise", "tolerance", "per hour")
    lines = [" " * 20 + "".join(f"{column:>12}" for column in columns) + "  verdict"]
    for one in verdicts:
        name = f"{one.name}, {one.unit}" if one.unit else one.name
        lines.append(
            f"{name:<20}{one.start:>12.1f}{one.end:>12.1f}{one.rise:>+12.1f}"
            f"{one.tolerance:>12.1f}{one.per_hour:>+12.1f}  {'flat' if one.flat else 'RISES'}"
        )
    return "\n".join(lines)
