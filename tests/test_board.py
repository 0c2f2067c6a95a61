from consumer.board import UNUSED, Board, PartState
from consumer.telemetry import Log, Metrics


def test_a_part_starts_as_starting_and_only_changes_count() -> None:
    metrics = Metrics()
    board = Board(metrics, Log())
    part = board.part("sources.queue")
    assert board.parts == {"sources.queue": PartState(ok=False, reason="starting")}

    part.up()
    part.up()
    assert board.parts["sources.queue"] == PartState(ok=True)
    assert b'backorder_part_up{part="sources.queue"} 1.0' in metrics.render()
    assert b"backorder_reconnects_total{" not in metrics.render()

    part.down("connection lost")
    part.down("connection lost")
    assert board.parts["sources.queue"] == PartState(ok=False, reason="connection lost")
    part.up()
    rendered = metrics.render()
    assert b'backorder_reconnects_total{part="sources.queue"} 1.0' in rendered


def test_a_link_that_comes_up_late_was_not_lost_before() -> None:
    metrics = Metrics()
    part = Board(metrics, Log()).part("sources.queue")
    part.down("nothing listens there")
    part.up()
    assert b"backorder_reconnects_total{" not in metrics.render()


def test_a_note_says_nothing_about_the_link() -> None:
    metrics = Metrics()
    board = Board(metrics, Log())
    part = board.part("sinks.archive", UNUSED)
    part.up()
    part.down("connection refused")
    part.note("paused")
    assert board.parts["sinks.archive"] == PartState(ok=False, reason="paused; connection refused")
    part.down("connection reset")
    assert board.parts["sinks.archive"].reason == "paused; connection reset"
    assert b'backorder_part_up{part="sinks.archive"} 0.0' in metrics.render()
    part.note("")
    assert board.parts["sinks.archive"] == PartState(ok=False, reason="connection reset")
    assert b"backorder_reconnects_total{" not in metrics.render()
    part.up()
    assert b'backorder_reconnects_total{part="sinks.archive"} 1.0' in metrics.render()


def test_a_note_stands_before_what_a_part_that_is_well_says() -> None:
    board = Board(Metrics(), Log())
    part = board.part("sinks.archive", UNUSED)
    part.note("paused")
    assert board.parts["sinks.archive"] == PartState(ok=True, reason="paused")
    part.up("one queue of two")
    assert board.parts["sinks.archive"] == PartState(ok=True, reason="paused")
    part.note("")
    assert board.parts["sinks.archive"] == PartState(ok=True, reason="one queue of two")


def test_a_sink_without_work_is_no_alarm() -> None:
    metrics = Metrics()
    board = Board(metrics, Log())
    part = board.part("sinks.archive", UNUSED)
    assert b'backorder_part_up{part="sinks.archive"} 1.0' in metrics.render()
    part.up()
    assert board.parts["sinks.archive"] == PartState(ok=True)
    assert b"backorder_reconnects_total{" not in metrics.render()
