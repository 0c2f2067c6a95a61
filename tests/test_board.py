from consumer.board import Board, PartState
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
