"""Every metric: their names stand here and nowhere else.

Metrics are Prometheus', in base units, and carry no ids in labels: `source` and `sink` are names
from the configuration.
"""

from collections.abc import Collection
from datetime import UTC, datetime

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import generate_latest

from consumer import __version__
from consumer.model import Positions
from consumer.telemetry.durations import Durations

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
        self.cut_off = Counter(
            "backorder_webhook_cut_off_total",
            "Connections of the public listener that were cut off to make room for others.",
            registry=registry,
        )
        self.unsettled = Gauge(
            "backorder_intake_messages", "Messages taken and not yet committed.", registry=registry
        )

        # Polls. A `source` may have several scopes: the gauges add them up.
        self.polls = Counter(
            "backorder_polls_total",
            "Looks at a polled scope, by what they were (complete, held, incomplete, failed).",
            ["source", "outcome"],
            registry=registry,
        )
        self.poll_seconds = Histogram(
            "backorder_poll_seconds",
            "How long a look at a scope took, its requests and commits.",
            ["source"],
            buckets=_DELIVERY_SECONDS,
            registry=registry,
        )
        self.broken_answers = Counter(
            "backorder_poll_broken_total",
            "Answers of polled upstreams that were broken, refused or missing.",
            ["source"],
            registry=registry,
        )
        self.last_complete = Gauge(
            "backorder_poll_complete_timestamp_seconds",
            "When a scope of the source was last seen completely.",
            ["source"],
            registry=registry,
        )
        self.watched_lines = Gauge(
            "backorder_watched_lines",
            "Open lines in the scopes that the source polls.",
            ["source"],
            registry=registry,
        )
        self.held_lines = Gauge(
            "backorder_held_lines",
            "Lines that are missing, and not believed to be over yet.",
            ["source"],
            registry=registry,
        )
        self.unwatched_lines = Gauge(
            "backorder_unwatched_lines",
            "Open lines that were polled once, by the source, and are not any more.",
            ["source"],
            registry=registry,
        )
        self.subscription_end = Gauge(
            "backorder_subscription_end_timestamp_seconds",
            "When the first subscription that the source polls with ends.",
            ["source"],
            registry=registry,
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
        self.delivery = Durations(
            "backorder_delivery_seconds",
            "From an event's commit until the sink had taken it.",
            "sink",
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
        self.redelivered = Counter(
            "backorder_redelivered_total",
            "Events a sink has taken once more, because a person asked for that.",
            ["sink"],
            registry=registry,
        )
        self.paused = Gauge(
            "backorder_sink_paused",
            "1 where a person has the sink hold still.",
            ["sink"],
            registry=registry,
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
        self.tasks = Gauge(
            "backorder_tasks", "Tasks of the event loop that have not ended.", registry=registry
        )
        self.threads = Gauge("backorder_threads", "Threads of the interpreter.", registry=registry)
        # Memory, processor time and file descriptors, where the system has /proc.
        ProcessCollector(namespace="backorder", registry=registry)

    def expect(
        self, sources: Collection[str], sinks: Collection[str], polled: Collection[str] = ()
    ) -> None:
        """Begin what is counted of these at zero: a counter whose first sample is 1 never rose.

        `polled` are those of the sources that ask instead of being told.
        """
        for counter in (self.events, self.duplicates, self.quarantined, self.drift):
            for source in sources:
                counter.labels(source)
        for counter in (self.delivered, self.redelivered, self.retries, self.parked):
            for sink in sinks:
                counter.labels(sink)
        for sink in sinks:
            self.paused.labels(sink)
            self.delivery.observe(sink, 0.0, times=0)
        for part in (
            *(f"sources.{name}" for name in sources),
            *(f"sinks.{name}" for name in sinks),
        ):
            self.reconnects.labels(part)
        for source in polled:
            self.broken_answers.labels(source)
            self.held_lines.labels(source)
            self.unwatched_lines.labels(source)

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
