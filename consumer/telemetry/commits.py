"""What is told of commits that are through: metrics and log lines."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from consumer.model import Entry, Outcome
from consumer.telemetry.log import Log
from consumer.telemetry.metrics import Metrics

# Drift is logged once a name; a hostile sender may invent names for ever.
_DRIFT_NAMES_REMEMBERED = 1000

# Systems that send messages. What polls find comes understood, and is told of by the surveyor.
_TOLD = frozenset({"radial"})

# Whether there were any: accepted, duplicates, quarantined.
_WORDS = {
    (True, False, False): "accepted",
    (False, True, False): "duplicate",
    (False, False, True): "quarantined",
}

Tally = Counter[tuple[Any, ...]]
"""How much to add, by counter and its labels: looking one up costs more than the rest."""


class Commits:
    """Counts what became of entries, and tells of it."""

    def __init__(self, metrics: Metrics, log: Log) -> None:
        self._metrics = metrics
        self._log = log
        self._drift_seen: set[str] = set()

    def through(self, entries: Sequence[Entry], outcomes: Sequence[Outcome]) -> bool:
        """These are committed now; whether the journal has grown by an event."""
        tally: Tally = Counter()
        grown = False
        for entry, outcome in zip(entries, outcomes, strict=True):
            told = entry.message.system in _TOLD
            if told:
                tally[self._metrics.messages, entry.message.source, _word(outcome)] += 1
            grown |= self._count_events(entry, outcome, tally)
            if entry.refusals:
                refused = [refusal.id for refusal in entry.refusals]
                self._count_refusals(entry, refused, tally, told=told)
        _count(tally)
        return grown

    def readmitted(self, entry: Entry, outcome: Outcome, id_: str) -> bool:
        """The same for a payload, by its id, that was tried again: the message is none that came,
        and where it stays in quarantine it is none that was put there.
        """
        tally: Tally = Counter()
        refused = [refusal.id for refusal in entry.refusals if refusal.id != id_]
        self._count_refusals(entry, refused, tally, told=True)
        grown = self._count_events(entry, outcome, tally)
        _count(tally)
        return grown

    def _count_refusals(
        self, entry: Entry, refused: Sequence[str], tally: Tally, *, told: bool
    ) -> None:
        if not refused:
            return
        tally[self._metrics.quarantined, entry.message.source] += len(refused)
        if told:
            self._log.quarantined(
                source=entry.message.source,
                origin=entry.message.origin,
                ids=list(refused),
                problems=sum(len(refusal.problems) for refusal in entry.refusals),
            )

    def _count_events(self, entry: Entry, outcome: Outcome, tally: Tally) -> bool:
        source = entry.message.source
        if outcome.duplicates:
            tally[self._metrics.duplicates, source] += outcome.duplicates
        if not outcome.accepted:
            return False
        tally[self._metrics.events, source] += outcome.accepted
        for event in entry.events:
            if event.drift:
                tally[self._metrics.drift, source] += 1
                self._tell_drift(source, event.drift)
        return True

    def _tell_drift(self, source: str, names: str) -> None:
        for name in names.split(","):
            if name not in self._drift_seen and len(self._drift_seen) < _DRIFT_NAMES_REMEMBERED:
                self._drift_seen.add(name)
                self._log.drift(source=source, name=name)


def _count(tally: Tally) -> None:
    for (metric, *labels), times in tally.items():
        metric.labels(*labels).inc(times)


def _word(outcome: Outcome) -> str:
    """The one word that the message counter uses for an outcome."""
    if outcome.kind != "backorder" and not outcome.quarantined:
        return outcome.kind
    said = outcome.accepted > 0, outcome.duplicates > 0, outcome.quarantined > 0
    return _WORDS.get(said, "mixed")
