"""What the figures have to reach: a table, and the verdicts that follow from a run.

Rules
1. A ratio is that of two medians of one run: the median of ours by the median of the other. It
   decides. Rounds went in turn, so beside it stands the median of the ratios round by round, where
   both have as many rounds and belong to one suite: where the two differ, the machine was disturbed
   for a while, and the run is worth repeating.
2. What was not measured has no verdict: neither met nor missed.
3. A target stands here as it was set. What turns out to be out of reach is missed.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct

from benchmarks import latency, queues, resting, webhooks
from benchmarks.measuring import median
from benchmarks.report import Figure

Sense = Literal["at least", "under"]


class Name(Struct, frozen=True):
    """Where a value stands: in the rounds of a figure, or among what stands beside it."""

    suite: str
    figure: str
    beside: str | None = None


class Target(Struct, frozen=True, kw_only=True):
    """One row of the table: `of` by `against`, or `of` alone, is to be at least, or under, `bound`.

    `unit` is empty for a ratio. `shows` is what else is told of both, by its name beside them.
    """

    what: str
    of: Name
    against: Name | None = None
    sense: Sense = "at least"
    bound: float
    unit: str = ""
    shows: str | None = None

    def is_met_by(self, value: float) -> bool:
        """Whether a value is on the right side; the bound itself is at least, and not under."""
        return value >= self.bound if self.sense == "at least" else value < self.bound


class Verdict(Struct, frozen=True, kw_only=True):
    """What came of a target. `by_rounds`: the median of the ratios, round by round, if any;
    `shown`: what the target shows, of ours and of the other.
    """

    target: Target
    value: float
    by_rounds: float | None
    met: bool
    shown: tuple[float, float] | None = None


_OURS = Name(queues.SUITE, queues.OURS)
_P99 = "p99, ms"
_HALF = 0.5

TARGETS: Sequence[Target] = (
    Target(
        what="queue to queue, against bare aio-pika",
        of=_OURS,
        against=Name(queues.SUITE, "aio-pika"),
        bound=1.5,
    ),
    Target(
        what="queue to queue, against FastStream",
        of=_OURS,
        against=Name(queues.SUITE, "FastStream"),
        bound=3.0,
    ),
    Target(
        what="queue to queue, against aiormq in batches",
        of=_OURS,
        against=Name(queues.SUITE, "aiormq, batched"),
        bound=0.7,
    ),
    Target(
        what="queue to queue, against mq-bridge with the same handler",
        of=_OURS,
        against=Name(queues.SUITE, "mq-bridge, handler"),
        bound=0.6,
        shows="own CPU, µs/message",
    ),
    Target(
        what="four sinks instead of one",
        of=Name(queues.SUITE, queues.FAN_OUT),
        against=_OURS,
        bound=0.5,
    ),
    Target(
        what="webhook, one event a post, against a bare aiohttp handler",
        of=Name(webhooks.SUITE, webhooks.OURS),
        against=Name(webhooks.SUITE, webhooks.BARE),
        bound=0.35,
    ),
    Target(
        what="webhook, one event a post, p99 (closed loop)",
        of=Name(webhooks.SUITE, webhooks.OURS, _P99),
        sense="under",
        bound=50.0,
        unit="ms",
    ),
    Target(
        what="webhook, 100 events a post, against the queue's events",
        of=Name(webhooks.SUITE, webhooks.OURS_MANY),
        against=_OURS,
        bound=1.5,
    ),
    Target(
        what="publish to delivery at half of capacity, p99",
        of=Name(latency.SUITE, f"p99 at {_HALF:.0%} of capacity"),
        sense="under",
        bound=100.0,
        unit="ms",
    ),
    Target(
        what="idle daemon, resident memory",
        of=Name(resting.SUITE, "idle, resident"),
        sense="under",
        bound=120.0,
        unit="MB",
    ),
    Target(
        what="idle daemon, share of a core",
        of=Name(resting.SUITE, "idle, of a core"),
        sense="under",
        bound=1.0,
        unit="%",
    ),
    Target(
        what="start to ready with a journal of a million events",
        of=Name(resting.SUITE, "start to ready, 1,000,000 events"),
        sense="under",
        bound=2.0,
        unit="s",
    ),
)


def verdicts(figures: Sequence[Figure], targets: Sequence[Target] = TARGETS) -> Sequence[Verdict]:
    """A verdict on each target that can be worked out of these figures, in the table's order."""
    by_name = {(figure.suite, figure.name): figure for figure in figures}
    return [verdict for target in targets if (verdict := _verdict(target, by_name)) is not None]


def _verdict(target: Target, figures: Mapping[tuple[str, str], Figure]) -> Verdict | None:
    value = _value(target.of, figures)
    if value is not None and target.against is not None:
        other = _value(target.against, figures)
        value = value / other if other else None
    if value is None:
        return None
    return Verdict(
        target=target,
        value=value,
        by_rounds=_by_rounds(target, figures),
        met=target.is_met_by(value),
        shown=_shown(target, figures),
    )


def _shown(target: Target, figures: Mapping[tuple[str, str], Figure]) -> tuple[float, float] | None:
    if target.shows is None or target.against is None:
        return None
    ours, other = (
        figures[name.suite, name.figure].beside.get(target.shows)
        for name in (target.of, target.against)
    )
    return None if ours is None or other is None else (ours, other)


def _value(name: Name, figures: Mapping[tuple[str, str], Figure]) -> float | None:
    figure = figures.get((name.suite, name.figure))
    if figure is None:
        return None
    if name.beside is None:
        return figure.median
    return figure.beside.get(name.beside)


def _by_rounds(target: Target, figures: Mapping[tuple[str, str], Figure]) -> float | None:
    """The median of the ratios of the rounds; None where rounds do not go in pairs."""
    of, against = target.of, target.against
    if against is None or of.suite != against.suite or of.beside or against.beside:
        return None
    ours, theirs = (figures[name.suite, name.figure].rounds for name in (of, against))
    if len(ours) != len(theirs):
        return None
    return median(mine / other for mine, other in zip(ours, theirs, strict=True))
