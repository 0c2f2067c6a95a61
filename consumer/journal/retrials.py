"""What another try makes of a quarantined payload: the part of `readmit` that needs no storage.

A payload that is refused once more stays where it is and gets its new reasons; what is refused of
it besides (an event of a list) takes its place, as if it had come when the payload did.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from consumer.model import Entry, Outcome, Refusal


class Retrial(Struct, frozen=True):
    """One payload that was tried again: what is refused of it, and the `rest` of its entry."""

    id: str
    refusals: Sequence[Refusal]
    rest: Entry

    @property
    def stays(self) -> bool:
        """Whether the payload itself is refused once more."""
        return any(refusal.id == self.id for refusal in self.refusals)

    def outcome(self, of_rest: Outcome) -> Outcome:
        """The outcome of the whole entry, given that of the rest of it."""
        return replace(
            of_rest,
            quarantined=len(self.refusals),
            problems=tuple(problem for refusal in self.refusals for problem in refusal.problems),
        )


def retrials(entries: Mapping[str, Entry]) -> Sequence[Retrial]:
    """What became of payloads, by id."""
    return [
        Retrial(id, entry.refusals, replace(entry, refusals=())) for id, entry in entries.items()
    ]
