"""Handing batches over to a sink, and what follows where it cannot take them.

The sink signals, the courier decides: back off and have the same offered again, or park the one
event that is stuck. How what came of a batch is written down differs (a cursor moves, a replay
goes on), so whoever offers a batch says how to settle it.
"""

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence

from consumer.dispatcher.signals import Signals
from consumer.errors import Unavailable
from consumer.model import Record
from consumer.ports import Sink, Status
from consumer.retry import Backoff
from consumer.settings import RetrySettings
from consumer.telemetry import Log, Metrics

Settle = Callable[[int, Sequence[Record], Mapping[int, str]], Awaitable[None]]
"""Write down that everything up to a sequence number is through: what was offered of it, and what
was refused of that, number to reason.
"""


class Courier:
    """What stands between a pump and its sink."""

    def __init__(
        self,
        sink: Sink,
        retry: RetrySettings,
        *,
        signals: Signals,
        status: Status,
        metrics: Metrics,
        log: Log,
    ) -> None:
        self._sink = sink
        self._attempts = retry.attempts
        self._backoff = Backoff(initial=retry.initial, most=retry.max)
        self._signals = signals
        self._status = status
        self._metrics = metrics
        self._log = log
        self._stuck: tuple[bool, int] | None = None
        self._failed_attempts = 0

    @property
    def failing(self) -> bool:
        """Whether the sink could not take what it was offered last."""
        return self._failed_attempts > 0

    async def offer(self, wanted: Sequence[Record], upto: int, settle: Settle) -> None:
        """Deliver a batch and settle it up to `upto`, or as far as it went; wait where it failed.

        The caller offers what is not settled again.
        """
        try:
            refused = await self._deliver(wanted)
        except Unavailable as failure:
            await self._retreat(wanted, failure, settle)
        else:
            self._failed_attempts = 0
            await settle(upto, wanted, refused)

    async def _deliver(self, wanted: Sequence[Record]) -> Mapping[int, str]:
        if not wanted:
            return {}
        try:
            refused = await self._hand_over(wanted)
        except Unavailable:
            raise
        except Exception as error:
            # A plug-in with a bug is a sink that is down: it delays itself, not the others.
            self._log.bug(where=f"sinks.{self._sink.name}", error=error)
            raise Unavailable(f"failed unexpectedly ({type(error).__name__})") from error
        self._status.up()
        return refused

    async def _hand_over(self, wanted: Sequence[Record]) -> Mapping[int, str]:
        """Deliver, and hold the sink to what `Sink.deliver` promises.

        What breaks a promise never reaches the journal: it would pass events that went nowhere.
        """
        try:
            refused: object = await self._sink.deliver(wanted)
        except Unavailable as failure:
            if failure.delivered not in range(len(wanted)):
                raise ValueError("delivered is not from 0 to fewer than all") from failure
            raise
        if not isinstance(refused, Mapping):
            raise TypeError("deliver did not return a mapping")
        if not refused.keys() <= {record.seq for record in wanted}:
            raise ValueError("deliver refused what it was not offered")
        if not all(isinstance(reason, str) for reason in refused.values()):
            raise TypeError("a reason is not a string")
        return refused

    async def _retreat(
        self, wanted: Sequence[Record], failure: Unavailable, settle: Settle
    ) -> None:
        """Keep what went through; then wait, or park the event that never will."""
        self._status.down(failure.reason)
        self._metrics.retries.labels(self._sink.name).inc()
        through, stuck = wanted[: failure.delivered], wanted[failure.delivered]
        if through:
            await settle(through[-1].seq, through, {})
        self._count(stuck)
        if self._failed_attempts == self._attempts:
            self._failed_attempts = 0
            await settle(stuck.seq, [stuck], {stuck.seq: failure.reason})
        else:
            draw = random.random()  # noqa: S311 - jitter, not a secret
            retry_after = failure.retry_after
            wait = self._backoff.wait(self._failed_attempts, draw=draw, retry_after=retry_after)
            await self._signals.rest(wait)

    def _count(self, stuck: Record) -> None:
        """Count an attempt. Each event has its own, and once more where it is offered again."""
        which = stuck.replay, stuck.seq
        self._failed_attempts = self._failed_attempts + 1 if which == self._stuck else 1
        self._stuck = which
