"""The board where every source and sink says how it is: for `/readyz`, the metrics and the log.

A source that has not spoken yet is *starting*; a sink that had nothing to deliver yet is taken for
well, since nobody is served by an alarm about a link that is not needed. Only changes are logged
and counted, so a part may say the same as often as it likes. A note says nothing about the link: a
sink that is down and paused is down, and comes back when it delivers.
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
    """The states of all parts, by name (`sources.radial-queue`), as they are shown."""

    def __init__(self, metrics: Metrics, log: Log) -> None:
        self.parts: dict[str, PartState] = {}
        self._said: dict[str, PartState] = {}
        self._notes: dict[str, str] = {}
        self._worked: set[str] = set()
        self._metrics = metrics
        self._log = log

    def part(self, name: str, first: PartState = STARTING) -> "PartStatus":
        """The place where the part of this name speaks; `first` stands there until it does."""
        self.parts[name] = self._said[name] = first
        self._metrics.up.labels(name).set(first.ok)
        return PartStatus(self, name)

    def post(self, name: str, state: PartState) -> None:
        """Take down how a part says it is."""
        before = self._said[name]
        if state == before:
            return
        self._said[name] = state
        self._show(name)
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

    def note(self, name: str, note: str) -> None:
        """Have this stand before whatever a part says, however it is; an empty text ends that."""
        if note == self._notes.get(name, ""):
            return
        self._notes[name] = note
        self._show(name)
        self._log.part_note(name, note or None)

    def _show(self, name: str) -> None:
        said, note = self._said[name], self._notes.get(name)
        if note:
            reason = note if said.ok else f"{note}; {said.reason}"
            self.parts[name] = PartState(ok=said.ok, reason=reason)
        else:
            self.parts[name] = said


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

    def note(self, note: str) -> None:
        """See `ports.Status`."""
        self._board.note(self._name, note)
