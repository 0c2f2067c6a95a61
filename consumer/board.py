"""The board where every source and sink says how it is: for `/readyz`, the metrics and the log.

A source that has not spoken yet is *starting*; a sink that had nothing to deliver yet is taken for
well, since nobody is served by an alarm about a link that is not needed. Only changes are logged
and counted, so a part may say the same as often as it likes.
"""

from msgspec import Struct

from consumer.telemetry import Log, Metrics


class PartState(Struct, frozen=True, kw_only=True):
    """How a part is: `ok`, and why not, or what is worth knowing. `reason` is fit for strangers."""

    ok: bool
    reason: str | None = None


STARTING = PartState(ok=False, reason="starting")
UNUSED = PartState(ok=True, reason="nothing delivered yet")


class Board:
    """The states of all parts, by name (`sources.radial-queue`)."""

    def __init__(self, metrics: Metrics, log: Log) -> None:
        self.parts: dict[str, PartState] = {}
        self._worked: set[str] = set()
        self._metrics = metrics
        self._log = log

    def part(self, name: str, first: PartState = STARTING) -> "PartStatus":
        """The place where the part of this name speaks; `first` stands there until it does."""
        self.parts[name] = first
        self._metrics.up.labels(name).set(first.ok)
        return PartStatus(self, name)

    def post(self, name: str, state: PartState) -> None:
        """Take note of what a part says."""
        before = self.parts[name]
        if state == before:
            return
        self.parts[name] = state
        self._metrics.up.labels(name).set(state.ok)
        if state.ok and before.ok and name in self._worked:
            self._log.part_note(name, state.reason)
        elif state.ok:
            self._log.part_up(name, state.reason)
            if name in self._worked and not before.ok:
                self._metrics.reconnects.labels(name).inc()
            self._worked.add(name)
        else:
            self._log.part_down(name, state.reason or "")


class PartStatus:
    """Implements `ports.Status` for one part."""

    def __init__(self, board: Board, name: str) -> None:
        self._board = board
        self._name = name

    def up(self, note: str = "") -> None:
        """See `ports.Status`."""
        self._board.post(self._name, PartState(ok=True, reason=note or None))

    def down(self, reason: str) -> None:
        """See `ports.Status`."""
        self._board.post(self._name, PartState(ok=False, reason=reason))
