import errno
import io
import json
import logging
import sys
from typing import Literal

import pytest

from consumer.model import Cursor, Positions
from consumer.settings import LogSettings
from consumer.telemetry import Log, Metrics, configure_log
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
