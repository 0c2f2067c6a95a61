"""What is told of commits that are through: metrics and log lines."""

from collections.abc import Sequence

from consumer.model import Entry, Outcome
from consumer.telemetry.log import Log
from consumer.telemetry.metrics import Metrics

# Drift is logged once a name; a hostile sender may invent names for ever.
_DRIFT_NAMES_REMEMBERED = 1000

# Systems that send messages. What polls find comes understood, and is told of by the surveyor.
_TOLD = frozenset({"radial"})


class Commits:
    """Counts what became of entries, and tells of it."""

    def __init__(self, metrics: Metrics, log: Log) -> None:
        self._metrics = metrics
        self._log = log
        self._drift_seen: set[str] = set()

    def through(self, entries: Sequence[Entry], outcomes: Sequence[Outcome]) -> bool:
        """These are committed now; whether the journal has grown by an event."""
        grown = False
        for entry, outcome in zip(entries, outcomes, strict=True):
            source = entry.message.source
            told = entry.message.system in _TOLD
            if told:
                self._metrics.messages.labels(source, _word(outcome)).inc()
            grown |= self._count_events(entry, outcome)
            self._count_refusals(entry, [refusal.id for refusal in entry.refusals], told=told)
        return grown

    def readmitted(self, entry: Entry, outcome: Outcome, id_: str) -> bool:
        """The same for a payload, by its id, that was tried again: the message is none that came,
        and where it stays in quarantine it is none that was put there.
        """
        refused = [refusal.id for refusal in entry.refusals if refusal.id != id_]
        self._count_refusals(entry, refused, told=True)
        return self._count_events(entry, outcome)

    def _count_refusals(self, entry: Entry, refused: Sequence[str], *, told: bool) -> None:
        if not refused:
            return
        self._metrics.quarantined.labels(entry.message.source).inc(len(refused))
        if told:
            self._log.quarantined(
                source=entry.message.source,
                origin=entry.message.origin,
                ids=list(refused),
                problems=sum(len(refusal.problems) for refusal in entry.refusals),
            )

    def _count_events(self, entry: Entry, outcome: Outcome) -> bool:
        source = entry.message.source
        if outcome.duplicates:
            self._metrics.duplicates.labels(source).inc(outcome.duplicates)
        if not outcome.accepted:
            return False
        self._metrics.events.labels(source).inc(outcome.accepted)
        for event in entry.events:
            if event.drift:
                self._metrics.drift.labels(source).inc()
                self._tell_drift(source, event.drift)
        return True

    def _tell_drift(self, source: str, names: str) -> None:
        for name in names.split(","):
            if name not in self._drift_seen and len(self._drift_seen) < _DRIFT_NAMES_REMEMBERED:
                self._drift_seen.add(name)
                self._log.drift(source=source, name=name)


def _word(outcome: Outcome) -> str:
    """The one word that the message counter uses for an outcome."""
    if outcome.kind != "backorder" and not outcome.quarantined:
        return outcome.kind
    said = [
        word
        for word, count in (
            ("accepted", outcome.accepted),
            ("duplicate", outcome.duplicates),
            ("quarantined", outcome.quarantined),
        )
        if count
    ]
    return said[0] if len(said) == 1 else "mixed"
