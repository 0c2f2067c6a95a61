"""A share of every turn of the event loop, for all who have messages to be understood.

The event loop goes round: in each turn it gives time to everybody who is ready, and reads and
writes sockets in between. Somebody with much to do may do a slice and let the others have their
turn; but where two hundred do so at once, a turn takes two hundred slices, and every answer of a
broker waits for one. So they have one slice of each turn together, and take it in the order in
which they came.
"""

import asyncio


class Turns:
    """`share` is what may be done in one turn, in a unit of the caller's. For one event loop."""

    def __init__(self, share: int) -> None:
        self._share = share
        self._done = 0
        self._line = asyncio.Lock()
        self._renewed = asyncio.Event()

    @property
    def over(self) -> bool:
        """Whether this turn's share is used up, or others are waiting for the next."""
        return self._done >= self._share or self._line.locked()

    async def next(self) -> None:
        """Wait in line for another turn. Who is first in line has it, whatever others did in it
        without asking: or else these could keep him waiting for ever.
        """
        async with self._line:
            if self._done >= self._share:
                self._renewed.clear()
                await self._renewed.wait()

    def did(self, size: int) -> None:
        """So much was done now, whether there was something left or not."""
        if not self._done:
            asyncio.get_running_loop().call_soon(self._renew)
        self._done += size

    def _renew(self) -> None:
        self._done = 0
        self._renewed.set()
