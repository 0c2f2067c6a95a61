"""Handing batches over to a sink, and what follows where it cannot take them.

The sink signals, the courier decides: have the same offered again later, or park the one event that
is stuck. How what came of a batch is written down differs (a cursor moves, a replay goes on), so
whoever offers a batch says how to settle it.

The courier never waits; it says from when on another attempt is due. A person's order may hasten
that attempt. One that is made before it was due says nothing about the event, and does not count
towards `retry.attempts`.
"""

import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import monotonic

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
        status: Status,
        metrics: Metrics,
        log: Log,
    ) -> None:
        self._sink = sink
        self._attempts = retry.attempts
        self._backoff = Backoff(initial=retry.initial, most=retry.max)
        self._status = status
        self._metrics = metrics
        self._log = log
        self._due = 0.0
        self._hastened = False
        self._failed_attempts: Counter[int] = Counter()
        self.failing = False
        """Whether the sink could not take what it was offered last."""
        self.taken = 0
        """How often the sink took something of what it was offered, or refused it for good."""

    @property
    def ready_at(self) -> float:
        """The moment, as of `time.monotonic`, from which on something may be offered."""
        return 0.0 if self._hastened else self._due

    def hasten(self) -> None:
        """Let the next attempt be made at once: what it is about is another thing by now."""
        self._hastened = True

    async def offer(
        self, wanted: Sequence[Record], upto: int, settle: Settle, *, last: bool = False
    ) -> Record | None:
        """Deliver a batch and settle it up to `upto`, or as far as it went.

        Returns the event that it is stuck at: from there on the caller offers it again, once that
        is due. With `last`, of a sink that is known to work, there is no other attempt: the event
        is parked instead.
        """
        if not wanted:
            await settle(upto, wanted, {})
            return None
        is_early = monotonic() < self._due
        self._hastened = False
        try:
            refused = await self._deliver(wanted)
        except Unavailable as failure:
            return await self._retreat(wanted, failure, settle, early=is_early, last=last)
        self.taken += 1
        self._recover()
        await settle(upto, wanted, refused)
        return None

    async def _deliver(self, wanted: Sequence[Record]) -> Mapping[int, str]:
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
        self,
        wanted: Sequence[Record],
        failure: Unavailable,
        settle: Settle,
        *,
        early: bool,
        last: bool,
    ) -> Record | None:
        """Keep what went through; then leave the rest for later, or park what never will."""
        if not last:  # the sink works then: what fails is this event
            self._status.down(failure.reason)
        self._metrics.retries.labels(self._sink.name).inc()
        through, stuck = wanted[: failure.delivered], wanted[failure.delivered]
        if through:
            self.taken += 1
            self._failed_attempts.clear()
            await settle(through[-1].seq, through, {})
        if not early:
            self._failed_attempts[stuck.seq] += 1
        if last or (not early and self._failed_attempts[stuck.seq] == self._attempts):
            self._recover()
            await settle(stuck.seq, [stuck], {stuck.seq: failure.reason})
            return None
        self._back_off(failure.retry_after)
        return stuck

    def _back_off(self, retry_after: float | None) -> None:
        draw = random.random()  # noqa: S311 - jitter, not a secret
        wait = self._backoff.wait(self._failed_attempts.total(), draw=draw, retry_after=retry_after)
        self.failing = True
        self._due = monotonic() + wait

    def _recover(self) -> None:
        self.failing = False
        self._due = 0.0
        self._failed_attempts.clear()
