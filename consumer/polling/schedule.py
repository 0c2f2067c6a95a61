"""When the next round begins: pure arithmetic on aware datetimes.

Moments that passed while a round was under way are left out: the next one counts, so that there are
never two rounds at once, nor one right behind the other to catch up. In a time zone with summer
time a moment of `cron` that the clock leaps over comes right after the leap, and one that it shows
twice comes once (as Debian's cron does it; lines whose minute or hour is `*` just go on).
"""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from consumer.polling.options import LONGEST_DAYS, PollOptions

# Seconds. Options refuse what is longer; what is built without that check, or is so short that its
# parts of a day cannot be counted, must not end the daemon.
_SHORTEST, _LONGEST = 0.001, LONGEST_DAYS * 86_400.0


class Schedule:
    """The moments that the options of a source name."""

    def __init__(self, options: PollOptions) -> None:
        self._interval = min(max(float(options.interval), _SHORTEST), _LONGEST)
        self._jitter = min(float(options.jitter), _LONGEST)
        self._cron = options.cron
        self._zone = ZoneInfo(options.timezone)

    def after(self, begun: datetime, now: datetime, draw: float) -> datetime:
        """The beginning of the next round, in UTC; `begun` is that of the last one.

        `draw` is a random number from 0 up to 1, given by the caller so that this stays pure. Where
        `now` is before `begun` the clock was set back, and the last round counts as begun now.
        """
        now = now.astimezone(UTC)
        if self._cron:
            due = next(moment for moment in self._moments(now) if moment > now)
        else:
            begun = min(begun.astimezone(UTC), now)
            passed = (now - begun).total_seconds()
            due = begun + timedelta(
                seconds=self._interval * max(1, math.ceil(passed / self._interval))
            )
        return due + timedelta(seconds=self._jitter * draw)

    def _moments(self, now: datetime) -> Iterator[datetime]:
        """What `cron` names from about now on, some of it maybe past: the hour that comes twice."""
        return (
            moment.astimezone(UTC) for moment in CronSim(self._cron, now.astimezone(self._zone))
        )
