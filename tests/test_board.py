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


def test_a_sink_without_work_is_no_alarm() -> None:
    metrics = Metrics()
    board = Board(metrics, Log())
    part = board.part("sinks.archive", UNUSED)
    assert b'backorder_part_up{part="sinks.archive"} 1.0' in metrics.render()
    part.up()
    assert board.parts["sinks.archive"] == PartState(ok=True)
    assert b"backorder_reconnects_total{" not in metrics.render()
