"""Every metric and the log: their names stand here and nowhere else.

Metrics are Prometheus', in base units, and carry no ids in labels: `source` and `sink` are names
from the configuration. Log lines go to standard error, one an event, with a fixed name and fields;
neither ever carries a payload, a secret or personal data.
"""

import logging
import sys
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
)
from prometheus_client.exposition import generate_latest

from consumer import __version__
from consumer.model import Positions
from consumer.settings import LogSettings

# A timestamp beside each counter doubles the page and tells nobody anything.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the library leaves it untyped

_COMMIT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_DELIVERY_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
_LAG_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5)


class Metrics:
    """The metrics of one daemon, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry

        Info("backorder_build", "The version that runs.", registry=registry).info(
            {"version": __version__}
        )

        # In.
        self.messages = Counter(
            "backorder_messages_total",
            "Messages taken, by source and what became of them"
            " (accepted, duplicate, quarantined, mixed, test, other).",
            ["source", "outcome"],
            registry=registry,
        )
        self.events = Counter(
            "backorder_events_total", "Events added to the journal.", ["source"], registry=registry
        )
        self.duplicates = Counter(
            "backorder_duplicates_total",
            "Events the journal held already.",
            ["source"],
            registry=registry,
        )
        self.quarantined = Counter(
            "backorder_quarantined_total",
            "Payloads put in quarantine.",
            ["source"],
            registry=registry,
        )
        self.drift = Counter(
            "backorder_schema_drift_total",
            "Events with elements or attributes that the schemas do not know.",
            ["source"],
            registry=registry,
        )
        self.answers = Counter(
            "backorder_webhook_answers_total",
            "Answers of the public listener, by HTTP status.",
            ["status"],
            registry=registry,
        )
        self.unsettled = Gauge(
            "backorder_intake_messages", "Messages taken and not yet committed.", registry=registry
        )

        # The journal.
        self.commit = Histogram(
            "backorder_commit_seconds",
            "From handing messages to the journal until they are synced to disk.",
            buckets=_COMMIT_SECONDS,
            registry=registry,
        )
        self.commit_failures = Counter(
            "backorder_commit_failures_total",
            "Commits that the journal refused.",
            registry=registry,
        )
        self.head = Gauge(
            "backorder_journal_head", "The highest sequence number.", registry=registry
        )
        self.events_kept = Gauge(
            "backorder_journal_span",
            "Sequence numbers from the oldest event to the head.",
            registry=registry,
        )
        self.in_quarantine = Gauge(
            "backorder_quarantine_size", "Payloads in quarantine now.", registry=registry
        )
        self.pruned = Counter(
            "backorder_pruned_total", "Events removed by retention.", registry=registry
        )

        # Out.
        self.delivered = Counter(
            "backorder_delivered_total", "Events a sink has taken.", ["sink"], registry=registry
        )
        self.delivery = Histogram(
            "backorder_delivery_seconds",
            "From an event's commit until the sink had taken it.",
            ["sink"],
            buckets=_DELIVERY_SECONDS,
            registry=registry,
        )
        self.retries = Counter(
            "backorder_delivery_retries_total",
            "Deliveries that have to be repeated.",
            ["sink"],
            registry=registry,
        )
        self.parked = Counter(
            "backorder_parked_total", "Events a sink refused for good.", ["sink"], registry=registry
        )
        self.in_park = Gauge(
            "backorder_parked_size", "Parked events now.", ["sink"], registry=registry
        )
        self.lag = Gauge(
            "backorder_sink_lag_events",
            "Events the sink has not passed yet.",
            ["sink"],
            registry=registry,
        )
        self.lag_seconds = Gauge(
            "backorder_sink_lag_seconds",
            "Age of the oldest event not passed yet.",
            ["sink"],
            registry=registry,
        )

        # The process.
        self.up = Gauge(
            "backorder_part_up",
            "1 where the link of a source or sink works.",
            ["part"],
            registry=registry,
        )
        self.reconnects = Counter(
            "backorder_reconnects_total",
            "Times a link came back after it was lost.",
            ["part"],
            registry=registry,
        )
        self.loop_lag = Histogram(
            "backorder_loop_lag_seconds",
            "How late the event loop ran a timer.",
            buckets=_LAG_SECONDS,
            registry=registry,
        )

    def observe(self, positions: Positions, sinks: Collection[str]) -> None:
        """Set the gauges that tell where the journal and these sinks are.

        The journal remembers sinks that are not configured any more; nobody wants their alarms.
        """
        now = datetime.now(UTC)
        self.head.set(positions.head)
        self.events_kept.set(positions.head - positions.oldest + 1 if positions.oldest else 0)
        self.in_quarantine.set(positions.quarantined)
        for cursor in (each for each in positions.cursors if each.sink in sinks):
            oldest = cursor.oldest_pending
            self.lag.labels(cursor.sink).set(cursor.pending)
            self.lag_seconds.labels(cursor.sink).set(
                (now - oldest).total_seconds() if oldest else 0
            )
            self.in_park.labels(cursor.sink).set(cursor.parked)

    def render(self) -> bytes:
        """The metrics as Prometheus reads them."""
        return generate_latest(self.registry)


def configure_log(settings: LogSettings) -> None:
    """Send the log, and that a library reported an error, to standard error as configured."""
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    # Libraries log for their own developers, and may quote URLs with passwords or payloads: only
    # that something went wrong in one is worth a line, not its words.
    library = logging.StreamHandler(sys.stderr)
    library.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                _only_the_place,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                renderer,
            ],
        )
    )
    logging.basicConfig(handlers=[library], level=max(level, logging.ERROR), force=True)


def _only_the_place(_logger: Any, _method: str, fields: Any) -> Any:
    """Replace a library's message by where it came from."""
    record, raised = fields["_record"], fields.pop("exc_info", None)
    fields["event"] = "library.error"
    fields["logger"] = record.name
    fields["at"] = f"{record.module}:{record.lineno}"
    fields["error"] = raised[0].__name__ if raised else None
    return fields


class Log:
    """The log events of the daemon, a method each."""

    def __init__(self) -> None:
        self._log = structlog.get_logger()

    def started(self, *, version: str, sources: list[str], sinks: list[str]) -> None:
        """The daemon takes messages from now on."""
        self._log.info("daemon.started", version=version, sources=sources, sinks=sinks)

    def stopping(self, *, reason: str) -> None:
        """A stop was asked for, or a part died."""
        self._log.info("daemon.stopping", reason=reason)

    def stopped(self) -> None:
        """Everything is closed."""
        self._log.info("daemon.stopped")

    def listening(self, *, what: str, address: str) -> None:
        """A listener takes connections."""
        self._log.info("listener.started", listener=what, address=address)

    def part_up(self, part: str) -> None:
        """A link works."""
        self._log.info("part.up", part=part)

    def part_down(self, part: str, reason: str) -> None:
        """A link is lost or was never there."""
        self._log.warning("part.down", part=part, reason=reason)

    def quarantined(self, *, source: str, origin: str, ids: list[str], problems: int) -> None:
        """A payload was refused and kept; the journal holds its bytes and the reasons."""
        self._log.warning(
            "message.quarantined", source=source, origin=origin, ids=ids, problems=problems
        )

    def webhook_refused(self, *, status: int) -> None:
        """A request was not taken (401: who sent it is not known); said once a minute a status."""
        self._log.warning("webhook.refused", status=status)

    def drift(self, *, source: str, name: str) -> None:
        """The schemas do not know this element or attribute; said once for each name."""
        self._log.warning("schema.drift", source=source, name=name)

    def intake_paused(self, *, reason: str) -> None:
        """The journal cannot commit: nothing is taken or settled."""
        self._log.error("intake.paused", reason=reason)

    def intake_resumed(self) -> None:
        """The journal commits again."""
        self._log.info("intake.resumed")

    def parked(self, *, sink: str, seq: int, reason: str) -> None:
        """A sink refused an event for good."""
        self._log.warning("event.parked", sink=sink, seq=seq, reason=reason)

    def pruned(self, *, events: int) -> None:
        """Retention removed events."""
        self._log.info("journal.pruned", events=events)

    def bug(self, *, where: str, error: BaseException) -> None:
        """Something happened that this program did not foresee: its place, never its values."""
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        at = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else ""
        self._log.error("bug", where=where, error=type(error).__name__, at=at)

    def journal_unavailable(self, *, sink: str, reason: str) -> None:
        """A sink waits for the journal, to read events or to move its cursor; once an outage."""
        self._log.error("journal.unavailable", sink=sink, reason=reason)
