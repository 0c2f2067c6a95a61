"""What a simulated upstream does wrong, and when.

Rules
- A fault happens with a *share* (a probability for each answer that it can spoil), or is *forced*
  upon the next few of them, whatever the shares say.
- Chance has a generator of its own: the same seed and the same requests give the same faults.
- Faults come in variants: `status` is any of them, `status.429` is that one.
- `FAULTS` is the whole list. What a fault does to an answer is the servers' business; which answers
  it can spoil stands here.
"""

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal, Self

from msgspec import Struct

from consumer.model import System

Kind = Literal["list", "detail", "template", "subs", "token", "ping"]

_ANY: frozenset[Kind] = frozenset({"list", "detail", "template", "subs", "token", "ping"})
_LIST: frozenset[Kind] = frozenset({"list"})
_LIST_AND_DETAIL: frozenset[Kind] = frozenset({"list", "detail"})
_GUARDED: frozenset[Kind] = frozenset({"list", "detail", "template", "subs"})
_BOTH: frozenset[System] = frozenset({"mvet", "cinx"})
_MVET: frozenset[System] = frozenset({"mvet"})
_CINX: frozenset[System] = frozenset({"cinx"})


class Fault(Struct, frozen=True):
    """One way to misbehave: what it does, who does it, and to which kinds of answer."""

    does: str
    systems: frozenset[System] = _BOTH
    kinds: frozenset[Kind] = _ANY
    variants: tuple[str, ...] = ()


FAULTS: Mapping[str, Fault] = {
    "slow": Fault("answers late"),
    "status": Fault(
        "answers 429 with Retry-After, 500 or 401 instead", variants=("429", "500", "401")
    ),
    "cut": Fault(
        "ends the body early: short of its Content-Length, without the last chunk, or as an"
        " answer of the right length whose JSON breaks off",
        variants=("length", "chunked", "json"),
    ),
    "not_json": Fault("answers 200 with an HTML page"),
    "huge": Fault("answers with an endless body"),
    "empty": Fault("answers that nothing is on backorder", kinds=_LIST_AND_DETAIL),
    "reordered": Fault("tells the lines in another order than before", kinds=_LIST),
    "broken_row": Fault(
        "spoils a row: no key, a wrong type, or something that is no object",
        kinds=_LIST,
        variants=("key", "type", "shape"),
    ),
    "foreign": Fault("adds a line of another account", systems=_MVET, kinds=_LIST),
    "short": Fault("leaves a row out of a page", systems=_CINX, kinds=_LIST),
    "duplicate": Fault("tells a row of a page twice", systems=_CINX, kinds=_LIST),
    "shift": Fault(
        "lets a line open, end or move to the front while a list is read, so that the pages"
        " behind it shift",
        systems=_CINX,
        kinds=_LIST,
        variants=("inserted", "removed", "moved"),
    ),
    "total": Fault("tells another total_count", systems=_CINX, kinds=_LIST),
    "envelope": Fault(
        "answers 200 with an error status inside", systems=_CINX, variants=("500", "401", "429")
    ),
    "expired": Fault("says that the subscription has expired", systems=_CINX, kinds=_GUARDED),
}


class _Forced(Struct):
    """A fault to come: after so many answers that it could spoil, for so many `times`."""

    name: str
    variant: str
    kind: Kind | None
    after: int
    times: int


def faults_of(system: System) -> Mapping[str, Fault]:
    """The faults that the simulator of a system has, by name."""
    return {name: fault for name, fault in FAULTS.items() if system in fault.systems}


def spellings(system: System) -> Iterable[str]:
    """Every name that may be set or forced: `status`, `status.429`, ..."""
    for name, fault in faults_of(system).items():
        yield name
        yield from (f"{name}.{variant}" for variant in fault.variants)


class Faults:
    """The switches of one server; without any set, it behaves.

    `delay` is how late `slow` is and `retry_after` what a 429 asks for, in seconds; `huge` is where
    an endless body ends after all, in bytes. `done` counts what has been done, by name.
    """

    def __init__(
        self, seed: int = 0, *, delay: float = 2.0, retry_after: int = 1, huge: int = 256 << 20
    ) -> None:
        self.delay = delay
        self.retry_after = retry_after
        self.huge = huge
        self.done: Counter[str] = Counter()
        self.random = random.Random(seed)  # noqa: S311 - repeatable on purpose, no secret
        self._shares: dict[str, dict[str, float]] = {}
        self._forced: list[_Forced] = []

    def set(self, name: str, share: float = 1.0) -> Self:
        """From now on, `name` happens to this share (0 to 1) of the answers it can spoil."""
        if not 0 <= share <= 1:
            raise ValueError(f"a share lies between 0 and 1, not at {share:g}")
        fault, variant = _split(name)
        self._shares.setdefault(fault, {})[variant] = share
        return self

    def force(self, name: str, times: int = 1, *, after: int = 0, kind: Kind | None = None) -> Self:
        """Let `name` happen to the next `times` answers it can spoil, after `after` good ones.

        Only to those of one `kind`, where it is given. What is forced first happens first.
        """
        fault, variant = _split(name)
        self._forced.append(_Forced(fault, variant, kind, after, times))
        return self

    def calm(self) -> None:
        """Stop all of it: what comes is what the world is."""
        self._shares.clear()
        self._forced.clear()

    def strikes(self, name: str, kind: Kind) -> str | None:
        """Whether a fault happens to an answer of this kind that it can spoil: the variant, or "".

        None: it does not. To be asked once for each answer.
        """
        fault = FAULTS[name]
        variant = self._is_forced(name, kind)
        if variant is None and kind in fault.kinds:
            variant = self._by_chance(name)
        if variant is None:
            return None
        if not variant and fault.variants:
            variant = self.random.choice(fault.variants)
        self.done[name] += 1
        return variant

    def _is_forced(self, name: str, kind: Kind) -> str | None:
        for forced in self._forced:
            if forced.name != name or kind != (forced.kind or kind):
                continue
            if kind not in FAULTS[name].kinds:
                continue
            if forced.after:
                forced.after -= 1
                continue
            forced.times -= 1
            if forced.times <= 0:
                self._forced.remove(forced)
            return forced.variant
        return None

    def _by_chance(self, name: str) -> str | None:
        for variant, share in self._shares.get(name, {}).items():
            if share and self.random.random() < share:
                return variant
        return None


def _split(name: str) -> tuple[str, str]:
    """A fault and its variant; `KeyError` where there is none of that name."""
    fault, _, variant = name.partition(".")
    if fault not in FAULTS or (variant and variant not in FAULTS[fault].variants):
        raise KeyError(f"no fault of this name: {name}")
    return fault, variant
