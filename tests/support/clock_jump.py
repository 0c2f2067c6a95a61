"""Runs the program with a wall clock that jumps when it is told to; the monotonic clock is real.

    python clock_jump.py CLOCK run -c FILE

The real daemon, in which `time.time`, `datetime.now` and their kin are off by as many seconds as
stand in the file CLOCK; it is looked at all the time, and CLOCK.shown tells what is shown.
Retention looks at the clock more often than otherwise, since nobody wants to wait for it here.
"""

import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import time_machine

from consumer import housekeeping
from consumer.__main__ import main
from waiting import until

_LOOKED_AT_EVERY = 0.02
_RETENTION_EVERY = 0.2


class Clock:
    """The clock of a daemon that runs on it, from the test's side."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._off = 0.0
        self.file.write_text("0")

    async def jump(self, by: timedelta) -> None:
        """Set the clock forward, or back; return when the daemon sees it."""
        self._off += by.total_seconds()
        written = self.file.with_suffix(".new")
        written.write_text(repr(self._off))
        written.rename(self.file)
        shown = self.file.with_suffix(".shown")
        await until(lambda: shown.exists() and shown.read_text() == repr(self._off))


def _follow(file: Path, traveller: time_machine.Traveller) -> None:
    off = 0.0
    while True:
        wanted = float(file.read_text())
        if wanted != off:
            traveller.shift(wanted - off)
            off = wanted
            file.with_suffix(".shown").write_text(repr(off))
        time.sleep(_LOOKED_AT_EVERY)


if __name__ == "__main__":
    clock = Path(sys.argv.pop(1)).absolute()
    housekeeping._RETENTION_EVERY = _RETENTION_EVERY
    traveller = time_machine.travel(time.time(), tick=True).start()
    threading.Thread(target=_follow, args=(clock, traveller), daemon=True).start()
    sys.exit(main())
