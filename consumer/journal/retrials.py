"""What another try makes of a quarantined payload: the part of `readmit` that needs no storage.

A payload that is refused once more stays where it is and gets its new reasons; what is refused of
it besides (an event of a list) is quarantined as if it had come just now.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from consumer.model import Entry, Outcome, Problem


class Retrial(Struct, frozen=True):
    """One payload that was tried again.

    `rest` is its entry without a refusal of the payload itself; `problems` are the reasons of that
    refusal, None where there is none and the payload leaves quarantine.
    """

    id: str
    entry: Entry
    rest: Entry
    problems: tuple[Problem, ...] | None

    def outcome(self, of_rest: Outcome) -> Outcome:
        """The outcome of the whole entry, given that of the rest of it."""
        refusals = self.entry.refusals
        return replace(
            of_rest,
            quarantined=len(refusals),
            problems=tuple(problem for refusal in refusals for problem in refusal.problems),
        )


def retrials(entries: Mapping[str, Entry]) -> Sequence[Retrial]:
    """What became of payloads, by id."""
    return [_retrial(id, entry) for id, entry in entries.items()]


def _retrial(id: str, entry: Entry) -> Retrial:
    own = [refusal for refusal in entry.refusals if refusal.id == id]
    others = tuple(refusal for refusal in entry.refusals if refusal.id != id)
    rest = replace(entry, refusals=others) if own else entry
    return Retrial(id, entry, rest, own[-1].problems if own else None)
