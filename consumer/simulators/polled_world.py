"""What the worlds behind polled upstreams have in common: lines that open, change, end and return.

Rules
- Rows are frozen: a change is a new row in the place of the old one. What a world handed out before
  a step stays what it was.
- A line that ended is remembered for some steps. For as long it can come back as the same line.
- The same seed and the same calls give the same lines, in the same order.
"""

import random
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from msgspec import Struct

L = TypeVar("L")


class Rates(Struct, frozen=True, kw_only=True):
    """What happens in one step, as shares of the lines; `reopened` is one of those that ended.

    `rephrased` rows are written in another way and mean the same (`4`, `"4"`; `""`, null), where an
    upstream does so. `remembered` is how many steps a line is known after its end.
    """

    opened: float = 0.01
    updated: float = 0.02
    cleared: float = 0.01
    reopened: float = 0.01
    rephrased: float = 0.002
    remembered: int = 20


class Step(Struct, frozen=True, kw_only=True):
    """What one step did, as keys of lines; a line is in one of these at the most."""

    opened: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    cleared: tuple[str, ...] = ()
    reopened: tuple[str, ...] = ()
    rephrased: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__struct_fields__)

    def __str__(self) -> str:
        counts = ((name, len(getattr(self, name))) for name in self.__struct_fields__)
        return ", ".join(f"{count} {name}" for name, count in counts if count) or "nothing changed"

    def __add__(self, other: "Step") -> "Step":
        return Step(
            **{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__}
        )


class _Ended(Struct, Generic[L], frozen=True):
    line: L
    step: int


class Lines(Generic[L]):
    """The lines of one account or organisation, by key, in the order in which they are told.

    `usual` is how many there usually are: what opens in a step is a share of that.
    """

    def __init__(self, numbers: random.Random, rates: Rates, usual: int) -> None:
        self._random = numbers
        self._rates = rates
        self._present: dict[str, L] = {}
        self._ended: dict[str, _Ended[L]] = {}
        self._listed: tuple[L, ...] | None = None
        self._steps = 0
        self.usual = usual

    def __len__(self) -> int:
        return len(self._present)

    def __iter__(self) -> Iterator[str]:
        return iter(self._present)

    def __getitem__(self, key: str) -> L:
        return self._present[key]

    @property
    def listed(self) -> tuple[L, ...]:
        """The lines as they are told at present."""
        if self._listed is None:
            self._listed = tuple(self._present.values())
        return self._listed

    def present(self, key: str) -> L | None:
        """A line that is there."""
        return self._present.get(key)

    def ended(self, key: str) -> L | None:
        """A line that is over and still remembered."""
        ended = self._ended.get(key)
        return None if ended is None else ended.line

    # --- one by one --------------------------------------------------------------------------

    def put(self, key: str, line: L, *, at: int | None = None) -> None:
        """Open a line, or change it where it stands; `at` is the place of a new one."""
        self._ended.pop(key, None)
        if at is None or key in self._present:
            self._present[key] = line
        else:
            lines = list(self._present.items())
            lines.insert(at, (key, line))
            self._present = dict(lines)
        self._listed = None

    def end(self, key: str, last: L | None = None) -> None:
        """End a line, with what is to be said of it from then on; `KeyError` where it is not."""
        line = self._present.pop(key)
        self._ended[key] = _Ended(line if last is None else last, self._steps)
        self._listed = None

    def forget(self, key: str) -> None:
        """Know nothing of a line any more."""
        self._present.pop(key, None)
        self._ended.pop(key, None)
        self._listed = None

    def move(self, key: str, to: int) -> None:
        """Tell a line in another place."""
        line = self._present.pop(key)
        self.put(key, line, at=to)

    def shuffle(self, numbers: random.Random) -> None:
        """Tell the lines in another order."""
        lines = list(self._present.items())
        numbers.shuffle(lines)
        self._present = dict(lines)
        self._listed = None

    # --- time --------------------------------------------------------------------------------

    def step(
        self,
        *,
        new: Callable[[], tuple[str, L]],
        changed: Callable[[L], L],
        over: Callable[[L], L] | None = None,
        rephrased: Callable[[L], L] | None = None,
    ) -> Step:
        """Let time go by. `new` makes a line with its key, `changed` what becomes of a line, `over`
        what is said of one that ended, `rephrased` the same in other words.
        """
        self._steps += 1
        rates, here = self._rates, len(self)
        ends, updates, rewrites = (
            self._about(share * here)
            for share in (rates.cleared, rates.updated, rates.rephrased if rephrased else 0)
        )
        touched = self._random.sample(tuple(self._present), min(here, ends + updates + rewrites))
        returns = min(len(self._ended), self._about(rates.reopened * len(self._ended)))
        returning = self._random.sample(tuple(self._ended), returns)
        step = Step(
            cleared=tuple(touched[:ends]),
            updated=tuple(touched[ends : ends + updates]),
            rephrased=tuple(touched[ends + updates :]),
            reopened=tuple(returning),
        )
        for key in step.cleared:
            self.end(key, over and over(self._present[key]))
        for key in step.updated:
            self.put(key, changed(self._present[key]))
        for key in step.rephrased:
            self.put(key, rephrased(self._present[key]) if rephrased else self._present[key])
        for key in step.reopened:
            self.put(key, changed(self._ended[key].line))
        self._forget_old_ones()
        return step + Step(opened=self._open(self._about(rates.opened * self.usual), new))

    def _open(self, many: int, new: Callable[[], tuple[str, L]]) -> tuple[str, ...]:
        opened = [new() for _ in range(many)]
        for key, line in opened:
            self.put(key, line)
        return tuple(key for key, _ in opened)

    def _forget_old_ones(self) -> None:
        oldest = self._steps - self._rates.remembered
        for key in [key for key, ended in self._ended.items() if ended.step < oldest]:
            del self._ended[key]

    def _about(self, many: float) -> int:
        """A whole number that is `many` on the average."""
        whole, rest = divmod(many, 1)
        return int(whole) + (self._random.random() < rest)
