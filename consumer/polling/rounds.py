"""Runs the rounds of a polled source: the first at once, the others on schedule, until a stop.

Theory of operation. A round is one call of `once`. What it raises decides only what is said about
the source and how soon the next round may begin; the schedule goes on whatever happens. A stop
cancels the round under way: what it committed is committed, the rest is asked for again.

The schedule is in wall clock time, and that may leap. So the clock is looked at again every minute:
where it was set back, the wait is counted anew from then; where it was set forward, the round is
due. Waits that a server asked for are counted by a clock that does not leap.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from time import monotonic

from consumer.errors import Denied, Refused, Unavailable
from consumer.model import utc_now
from consumer.polling.options import PollOptions
from consumer.polling.schedule import Schedule
from consumer.ports import Status
from consumer.retry import LONGEST_REQUESTED_WAIT

# Credentials that were not accepted are reported, and not hammered: many a server locks the account
# after a few failures. Seconds.
DENIED_WAIT = 300.0

# Seconds between looks at the clock, at the most.
_LOOK = 60.0


class Due:
    """When the next round begins, as a clock that may leap is looked at again and again."""

    def __init__(self, schedule: Schedule, begun: datetime, now: datetime, draw: float) -> None:
        self._schedule = schedule
        self._draw = draw
        self._latest = now
        self._moment = schedule.after(begun, now, draw)

    def left(self, now: datetime) -> float:
        """Seconds until the round begins; zero or less: it is due."""
        if now < self._latest:
            self._moment = self._schedule.after(now, now, self._draw)
        self._latest = now
        return (self._moment - now).total_seconds()


async def keep_polling(
    options: PollOptions,
    once: Callable[[], Awaitable[str]],
    *,
    stopping: asyncio.Event,
    status: Status,
) -> None:
    """Call `once` on schedule until `stopping` is set; then it is cancelled.

    It returns what a person should know, or an empty text. `Unavailable` and `Refused` put the
    source down until a round succeeds, and `Denied` keeps it waiting for `DENIED_WAIT` besides (a
    scope that is denied alone is the business of `scopes`); anything else is raised here.
    """
    schedule = Schedule(options)
    while not stopping.is_set():
        begun, patience = utc_now(), 0.0
        try:
            note = await _unless(stopping, once)
        except Unavailable as trouble:
            status.down(trouble.reason)
            patience = patience_after(trouble)
        except Refused as trouble:
            status.down(trouble.reason)
        else:
            if note is None:
                return
            status.up(note)
        draw = random.random()  # noqa: S311 - jitter, not a secret
        due = Due(schedule, begun, utc_now(), draw)
        await _wait(due, monotonic() + patience, stopping)


def patience_after(trouble: Unavailable) -> float:
    """Seconds for which the other side is left alone, whatever the schedule says."""
    asked = min(trouble.retry_after or 0.0, LONGEST_REQUESTED_WAIT)
    return max(asked, DENIED_WAIT) if isinstance(trouble, Denied) else asked


async def _unless(stopping: asyncio.Event, once: Callable[[], Awaitable[str]]) -> str | None:
    """What a round returns or raises; None where a stop came first and the round was cancelled."""
    stop = asyncio.ensure_future(stopping.wait())
    round_ = asyncio.ensure_future(once())
    try:
        await asyncio.wait((stop, round_), return_when=asyncio.FIRST_COMPLETED)
        if round_.done():
            return await round_
    finally:
        stop.cancel()
        round_.cancel()
        await asyncio.wait((stop, round_))
    if not round_.cancelled():  # it ended in that very moment, or failed while it was let go
        with contextlib.suppress(Unavailable, Refused):
            round_.result()
    return None


async def _wait(due: Due, not_before: float, stopping: asyncio.Event) -> None:
    """Return when the round is due and the monotonic clock shows `not_before`, or at a stop."""
    while (left := max(due.left(utc_now()), not_before - monotonic())) > 0:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(left, _LOOK)):
                await stopping.wait()
                return
