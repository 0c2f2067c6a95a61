"""What wakes a pump, and waiting until it does.

Two hints, the bell that a commit rings and a new order, and one command, to finish. A hint that is
missed costs time and nothing else: sooner or later a pump looks all the same.
"""

import asyncio
from collections.abc import Callable
from time import monotonic

# Seconds after which a pump looks into the journal though no bell rang.
_LOOK_AGAIN = 1.0

# Seconds after which it looks at its orders though nobody told of a new one. Whoever wrote one down
# may have been cancelled before he could.
_ORDERS_STAND = 5.0


class Bell:
    """Wakes everyone who listens; who is busy meanwhile finds that it rang."""

    def __init__(self) -> None:
        self._rings = 0
        self._ears: list[Callable[[], None]] = []

    @property
    def rings(self) -> int:
        """How often it rang. Ask before looking into the journal, so that no ring is missed."""
        return self._rings

    def ring(self) -> None:
        """Wake everyone."""
        self._rings += 1
        for wake in self._ears:
            wake()

    def wakes(self, ear: Callable[[], None]) -> None:
        """Call this at each ring, from now on."""
        self._ears.append(ear)


class Signals:
    """The ears of one pump, which waits for one thing at a time."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._finish = False
        self._ordered = False
        self._orders_due = 0.0
        self._waiting: asyncio.Future[None] | None = None
        bell.wakes(self._wake)

    # --- from outside ------------------------------------------------------------------------

    def finish(self) -> None:
        """End soon."""
        self._finish = True
        self._wake()

    def reconsider(self) -> None:
        """There may be a new order."""
        self._ordered = True
        self._wake()

    # --- what was heard ----------------------------------------------------------------------

    @property
    def finishing(self) -> bool:
        """Whether the pump is to end."""
        return self._finish

    @property
    def orders_due(self) -> bool:
        """Whether it is time to look at the orders."""
        return self._ordered or monotonic() >= self._orders_due

    def orders_looked_at(self) -> None:
        """The orders are about to be read: what is told from now on is news."""
        self._ordered = False
        self._orders_due = monotonic() + _ORDERS_STAND

    def listen(self) -> int:
        """What the bell has rung so far, as `Bell.rings`: `idle` ends where it rang since."""
        return self._bell.rings

    # --- waiting -----------------------------------------------------------------------------

    async def idle(self, heard: int, *, until: float) -> None:
        """Wait for something to do, or for a moment, as of `time.monotonic`."""
        at_most = min(_LOOK_AGAIN, until - monotonic())
        await self._wait(lambda: self._bell.rings != heard or self._disturbed, at_most)

    async def hold(self) -> None:
        """Wait for another order; what is committed meanwhile does not matter."""
        await self._wait(lambda: self._disturbed, _ORDERS_STAND)

    async def rest(self, *, until: float) -> None:
        """Wait for the moment of another delivery; a new order may change what that is."""
        await self._wait(lambda: self._disturbed, min(_ORDERS_STAND, until - monotonic()))

    async def rest_deaf(self, seconds: float) -> None:
        """Wait before the journal is asked again; nothing but a stop cuts that short."""
        await self._wait(lambda: self._finish, seconds)

    @property
    def _disturbed(self) -> bool:
        return self._ordered or self._finish

    async def _wait(self, over: Callable[[], bool], at_most: float) -> None:
        """Wait until it is over, or `at_most` seconds have passed.

        One future and one timer: a pump waits behind each batch, and tasks of its own for every
        signal would cost more than the batch.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + at_most
        while not over() and loop.time() < end:
            self._waiting = loop.create_future()
            timer = loop.call_at(end, self._wake)
            try:
                await self._waiting
            finally:
                timer.cancel()
                self._waiting = None

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
