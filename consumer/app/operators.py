"""What operators see of a daemon: readiness, metrics, and what its public listener answered."""

from collections.abc import Collection
from contextlib import suppress
from time import monotonic

from consumer.admin import Readiness
from consumer.board import Board, PartState
from consumer.errors import JournalUnavailable
from consumer.ports import Journal
from consumer.telemetry import Log, Metrics

# A probe of the journal is a synced write: asked more often, the last answer stands.
_PROBE_LASTS = 2.0

# HTTP statuses from here on tell a sender that nothing was taken.
_REFUSED = 400
_SECONDS_BETWEEN_LINES = 60.0


class Operators:
    """Answers the admin listener. `not_running` is why no work is to be sent now, if so."""

    def __init__(
        self, journal: Journal, sinks: Collection[str], board: Board, metrics: Metrics, log: Log
    ) -> None:
        self.not_running: str | None = "starting"
        self._journal = journal
        self._sinks = frozenset(sinks)
        self._board = board
        self._metrics = metrics
        self._log = log
        self._probe_again = 0.0
        self._journal_state = PartState(ok=True)
        self._tell_again: dict[int, float] = {}

    async def readiness(self) -> Readiness:
        """For `/readyz`."""
        journal = await self._probe_journal()
        state = PartState(ok=self.not_running is None, reason=self.not_running)
        return Readiness(
            ready=journal.ok and state.ok,
            parts={"daemon": state, "journal": journal, **self._board.parts},
        )

    async def _probe_journal(self) -> PartState:
        if monotonic() >= self._probe_again:
            try:
                await self._journal.probe()
            except JournalUnavailable as error:
                self._journal_state = PartState(ok=False, reason=error.reason)
            else:
                self._journal_state = PartState(ok=True)
            self._probe_again = monotonic() + _PROBE_LASTS
        return self._journal_state

    async def render_metrics(self) -> bytes:
        """For `/metrics`."""
        with suppress(JournalUnavailable):  # the gauges keep what was known last
            self._metrics.observe(await self._journal.positions(), self._sinks)
        return self._metrics.render()

    def answered(self, status: int) -> None:
        """Count what a sender was told; one that is turned away is worth a line, not a flood."""
        self._metrics.answers.labels(str(status)).inc()
        now = monotonic()
        if status >= _REFUSED and now >= self._tell_again.get(status, 0.0):
            self._tell_again[status] = now + _SECONDS_BETWEEN_LINES
            self._log.webhook_refused(status=status)
