import errno
import io
import json
import logging
import random
import sys
from typing import Literal
from unittest.mock import ANY

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from consumer.model import Cursor, Outcome, Positions
from consumer.settings import LogSettings
from consumer.telemetry import Log, Metrics, configure_log
from consumer.telemetry.commits import Commits
from consumer.telemetry.durations import Durations
from consumer.testing import builders
from consumer.testing.builders import MOMENT


def test_a_log_line_is_one_json_object_with_a_fixed_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_log(LogSettings())
    Log().part_down("sources.queue", "line one\nline two")
    [line] = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["event"], told["level"]) == ("part.down", "warning")
    assert told["reason"] == "line one\nline two"
    assert told["timestamp"].endswith("Z")


def test_levels_hide_what_is_below_them(capsys: pytest.CaptureFixture[str]) -> None:
    configure_log(LogSettings(level="error"))
    Log().part_up("sources.queue")
    Log().intake_paused(reason="disk full")
    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == [
        "intake.paused"
    ]


def test_words_of_libraries_never_reach_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    configure_log(LogSettings(level="debug"))
    try:
        float("amqp://user:hunter2@host/")
    except ValueError:
        logging.getLogger("somelibrary").exception("cannot reach amqp://user:hunter2@host/")
    logging.getLogger("somelibrary").info("connected as user:hunter2")
    said = capsys.readouterr().err
    assert "hunter2" not in said
    told = json.loads(said)
    assert (told["event"], told["logger"], told["error"]) == (
        "library.error",
        "somelibrary",
        "ValueError",
    )


def test_a_bug_is_told_by_its_place_not_by_its_values(capsys: pytest.CaptureFixture[str]) -> None:
    configure_log(LogSettings())
    try:
        int("email@example.com")
    except ValueError as error:
        Log().bug(where="intake", error=error)
    said = capsys.readouterr().err
    assert "email@example.com" not in said
    assert json.loads(said)["at"].startswith(__file__)
    assert sys.exc_info() == (None, None, None)


class Unwritable(io.StringIO):
    """Standard error on a full disk."""

    def write(self, _text: str, /) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("format", ["json", "console"])
@pytest.mark.parametrize("stream", [Unwritable(), None], ids=["full", "closed"])
def test_a_line_that_cannot_be_written_is_lost_and_nothing_else(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    stream: Unwritable | None,
    format: Literal["json", "console"],
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    configure_log(LogSettings(format=format))
    Log().intake_paused(reason="disk full")
    logging.getLogger("somelibrary").error("anything")
    assert capsys.readouterr() == ("", "")


def test_the_gauges_follow_the_journal() -> None:
    metrics = Metrics()
    behind = Cursor(sink="archive", seq=7, pending=3, oldest_pending=MOMENT, parked=2)
    level = Cursor(sink="queue", seq=10, pending=0, oldest_pending=None, parked=0)
    gone = Cursor(sink="gone", seq=1, pending=9, oldest_pending=MOMENT, parked=0)
    positions = Positions(
        journal="j", head=10, oldest=4, quarantined=5, cursors=(behind, level, gone)
    )
    metrics.observe(positions, {"archive", "queue"})
    page = metrics.render().decode()
    for line in (
        "backorder_journal_head 10.0",
        "backorder_journal_span 7.0",
        "backorder_quarantine_size 5.0",
        'backorder_sink_lag_events{sink="archive"} 3.0',
        'backorder_parked_size{sink="archive"} 2.0',
        'backorder_sink_lag_seconds{sink="queue"} 0.0',
    ):
        assert line in page
    assert "gone" not in page
    metrics.observe(Positions(journal="j", head=10, oldest=0, quarantined=0, cursors=()), set())
    assert "backorder_journal_span 0.0" in metrics.render().decode()


def test_durations_are_rendered_as_any_histogram() -> None:
    chance = random.Random(1)  # noqa: S311 - made-up durations, not secrets
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    buckets = (0.005, 0.5, 1, 3600)
    one = Durations("x_seconds", "How long.", "sink", buckets=buckets, registry=ours)
    other = Histogram("x_seconds", "How long.", ["sink"], buckets=buckets, registry=theirs)
    assert generate_latest(ours) == generate_latest(theirs)
    for seconds in (0.0, 0.005, 0.25, 0.5, 2, 3600, 5000):  # their sums are exact
        for sink in ("archive", "queue"):
            times = chance.randrange(1, 5)
            one.observe(sink, seconds, times=times)
            for _ in range(times):
                other.labels(sink).observe(seconds)
    for sink in ("archive", "queue"):
        names = {"sink": sink}
        total = ours.get_sample_value("x_seconds_sum", names)
        assert total == pytest.approx(theirs.get_sample_value("x_seconds_sum", names))
    samples = [line for line in generate_latest(ours).splitlines() if b"_sum" not in line]
    assert samples == [each for each in generate_latest(theirs).splitlines() if b"_sum" not in each]
    with pytest.raises(ValueError, match="Duplicated"):
        Histogram("x_seconds", "How long.", registry=ours)


def test_what_came_of_entries_is_counted() -> None:
    metrics, told = Metrics(), Told()
    drifting = builders.event(2, drift=("a", "b"))
    entries = [
        builders.entry(builders.event(1)),
        builders.entry(drifting, drifting),
        builders.entry(builders.event(3), refusals=[builders.refusal(), builders.refusal(b"<")]),
        builders.entry(builders.event(4), message=builders.message(source="hook")),
        builders.entry(builders.event(5), message=builders.message(system="mvet")),
        builders.entry(kind="test"),
        builders.entry(),
    ]
    outcomes = [
        Outcome(accepted=1),
        Outcome(accepted=1, duplicates=1),
        Outcome(duplicates=1, quarantined=2),
        Outcome(duplicates=1),
        Outcome(accepted=1),
        Outcome(kind="test"),
        Outcome(quarantined=3),
    ]
    commits = Commits(metrics, told)
    assert commits.through(entries, outcomes)
    assert not commits.through(entries[3:4], outcomes[3:4])
    assert counts(metrics) == {
        'messages_total{outcome="accepted",source="radial-queue"}': 1,
        'messages_total{outcome="mixed",source="radial-queue"}': 2,
        'messages_total{outcome="duplicate",source="hook"}': 2,
        'messages_total{outcome="test",source="radial-queue"}': 1,
        'messages_total{outcome="quarantined",source="radial-queue"}': 1,
        'events_total{source="radial-queue"}': 3,
        'duplicates_total{source="radial-queue"}': 2,
        'duplicates_total{source="hook"}': 2,
        'quarantined_total{source="radial-queue"}': 2,
        'schema_drift_total{source="radial-queue"}': 2,
    }
    assert told.lines == [
        ("drift", {"source": "radial-queue", "name": "a"}),
        ("drift", {"source": "radial-queue", "name": "b"}),
        ("quarantined", ANY),
    ]


class Told(Log):
    """Keeps what is said of commits."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, object]] = []

    def drift(self, **fields: object) -> None:
        self.lines.append(("drift", fields))

    def quarantined(self, **fields: object) -> None:
        self.lines.append(("quarantined", fields))


def counts(metrics: Metrics) -> dict[str, float]:
    """What was counted in, by the names without their beginning."""
    lines = metrics.render().decode().splitlines()
    found = [line.removeprefix("backorder_").split() for line in lines if "source=" in line]
    return {name: float(value) for name, value in found if not name.startswith("#")}


def test_all_names_start_alike_and_two_daemons_do_not_share_counters() -> None:
    one, other = Metrics(), Metrics()
    one.commit_failures.inc()
    names = [line for line in one.render().decode().splitlines() if not line.startswith("#")]
    assert all(name.startswith("backorder_") for name in names)
    assert b"backorder_commit_failures_total 0.0" in other.render()


def test_what_can_be_counted_begins_at_zero() -> None:
    metrics = Metrics()
    metrics.expect(["queue", "mvet"], ["archive"], ["mvet"])
    rendered = metrics.render().decode()
    for line in (
        'backorder_quarantined_total{source="queue"} 0.0',
        'backorder_poll_broken_total{source="mvet"} 0.0',
        'backorder_parked_total{sink="archive"} 0.0',
        'backorder_reconnects_total{part="sources.queue"} 0.0',
    ):
        assert line in rendered
    assert 'backorder_poll_broken_total{source="queue"}' not in rendered
