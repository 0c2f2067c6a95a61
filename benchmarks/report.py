"""What suites measure, in the form in which it is told: figures, in rounds.

Rules
1. Everything that is compared was measured in the same run, its rounds in turn with those of the
   others: what disturbs the machine for a while disturbs them all.
2. Of a figure the median of its rounds is quoted, and the rounds go into the JSON file.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from benchmarks.measuring import median


class Figure(Struct, frozen=True, kw_only=True):
    """One thing that was measured, several times.

    `suite` and `name` tell it from all others. `rounds` are in `unit`. `beside` holds what else is
    worth knowing of it, unit after the name: `{"own CPU, µs/message": 310.5}`; medians as well.
    """

    suite: str
    name: str
    unit: str
    rounds: tuple[float, ...]
    beside: Mapping[str, float] = {}

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return median(self.rounds)


class Effort(Struct, frozen=True, kw_only=True):
    """How much is measured: messages in a round, rounds; `directory` holds what is written."""

    messages: int = 20_000
    rounds: int = 5
    directory: Path


class Suite(Protocol):
    """A part of the benchmarks."""

    async def __call__(self, effort: Effort) -> Sequence[Figure]:
        """Measure."""
        ...
