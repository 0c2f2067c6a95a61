"""What wakes a pump, and waiting until it does.

Two hints, the bell that a commit rings and a new order, and one command, to finish. A hint that is
missed costs time and nothing else: sooner or later a pump looks all the same.
"""

import asyncio
from time import monotonic

# Seconds after which a pump looks into the journal though no bell rang.
_LOOK_AGAIN = 1.0

# Seconds after which it looks at its orders though nobody told of a new one. Whoever wrote one down
# may have been cancelled before he could.
_ORDERS_STAND = 5.0


class Bell:
    """Wakes everyone who waits; a ring is remembered for those who do not wait just now."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        """Wake everyone who listens to what `listen` returned."""
        self._rung.set()
        self._rung = asyncio.Event()

    def listen(self) -> asyncio.Event:
        """The next ring. Ask before looking into the journal, so that no ring is missed."""
        return self._rung


class Signals:
    """The ears of one pump."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._finish = asyncio.Event()
        self._ordered = asyncio.Event()
        self._orders_due = 0.0

    # --- from outside ------------------------------------------------------------------------

    def finish(self) -> None:
        """End soon."""
        self._finish.set()

    def reconsider(self) -> None:
        """There may be a new order."""
        self._ordered.set()

    # --- what was heard ----------------------------------------------------------------------

    @property
    def finishing(self) -> bool:
        """Whether the pump is to end."""
        return self._finish.is_set()

    @property
    def orders_due(self) -> bool:
        """Whether it is time to look at the orders."""
        return self._ordered.is_set() or monotonic() >= self._orders_due

    def orders_looked_at(self) -> None:
        """The orders are about to be read: what is told from now on is news."""
        self._ordered.clear()
        self._orders_due = monotonic() + _ORDERS_STAND

    def listen(self) -> asyncio.Event:
        """The next ring of the bell, as `Bell.listen`."""
        return self._bell.listen()

    # --- waiting -----------------------------------------------------------------------------

    async def idle(self, ring: asyncio.Event, *, until: float) -> None:
        """Wait for something to do, or for a moment, as of `time.monotonic`."""
        at_most = min(_LOOK_AGAIN, until - monotonic())
        await _either(ring, self._ordered, self._finish, at_most=at_most)

    async def hold(self) -> None:
        """Wait for another order; what is committed meanwhile does not matter."""
        await _either(self._ordered, self._finish, at_most=_ORDERS_STAND)

    async def rest(self, *, until: float) -> None:
        """Wait for the moment of another delivery; a new order may change what that is."""
        at_most = min(_ORDERS_STAND, until - monotonic())
        await _either(self._ordered, self._finish, at_most=at_most)

    async def rest_deaf(self, seconds: float) -> None:
        """Wait before the journal is asked again; nothing but a stop cuts that short."""
        await _either(self._finish, at_most=seconds)


async def _either(*events: asyncio.Event, at_most: float) -> None:
    """Wait until one of the events is set, or `at_most` seconds have passed."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=max(at_most, 0.0), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
