"""A histogram that counts many equal durations at once.

The events of one commit were recorded at one moment and go out in one batch: they took equally
long. prometheus_client counts one observation at a time, under a lock, which for each event and
each sink is more work than handing the event over. What is rendered is the same.
"""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString  # as its own histograms name their buckets


class Durations(Collector):
    """A histogram with one label; counted in the event loop only."""

    def __init__(
        self,
        name: str,
        documentation: str,
        label: str,
        *,
        buckets: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._name, self._documentation, self._label = name, documentation, label
        self._bounds = (*buckets, math.inf)
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}
        registry.register(self)

    def observe(self, value: str, seconds: float, *, times: int = 1) -> None:
        """Count a duration, `times` of it, for this value of the label."""
        counts = self._counts.setdefault(value, [0] * len(self._bounds))
        counts[bisect_left(self._bounds, seconds)] += times
        self._sums[value] = self._sums.get(value, 0.0) + seconds * times

    def describe(self) -> Iterator[HistogramMetricFamily]:
        """See `prometheus_client`: what `collect` gives, without samples."""
        yield self._family()

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """See `prometheus_client`. Each bucket counts what is at most as long as it says."""
        family = self._family()
        names = list(map(floatToGoString, self._bounds))
        for value, counts in self._counts.items():
            buckets = list(zip(names, map(float, accumulate(counts)), strict=True))
            family.add_metric([value], buckets, self._sums[value])
        yield family

    def _family(self) -> HistogramMetricFamily:
        return HistogramMetricFamily(self._name, self._documentation, labels=[self._label])
