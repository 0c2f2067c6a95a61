"""How much of the machine a measurement did not get.

A virtual machine shares its processors with others: what it asks for and its host gives to them is
*stolen* time. Medians and ratios bear some of that. The worst moments do not, and those are what
latencies are about.
"""

from pathlib import Path

from msgspec import Struct

_STAT = Path("/proc/stat")
# Source: proc(5). Ticks of all processors: user, nice, system, idle, iowait, irq, softirq, steal.
_WAITING = frozenset({3, 4})
_STEAL = 7


class Ticks(Struct, frozen=True):
    """Processor time since the machine began: what was asked for, and what of it was kept."""

    asked: int = 0
    stolen: int = 0

    def since(self, before: "Ticks") -> float:
        """The share (0 to 1) that was kept of what was asked for since then."""
        asked = self.asked - before.asked
        return (self.stolen - before.stolen) / asked if asked else 0.0


def ticks() -> Ticks:
    """Those of now; none where the system does not tell."""
    if not _STAT.exists():
        return Ticks()
    all_ = [int(number) for number in _STAT.read_text().split("\n", 1)[0].split()[1 : _STEAL + 2]]
    return Ticks(sum(n for place, n in enumerate(all_) if place not in _WAITING), all_[_STEAL])
