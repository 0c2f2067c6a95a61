"""Work on the event loop, with a turn for others in between; what is large goes to a thread."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

# Bytes of a page above which it is read on a thread: only its keys are read. A row is read whole,
# with its detail and its last event, which for so many takes about 20 ms.
PAGE_ON_THE_LOOP = 256 << 10
ROW_ON_THE_LOOP = 64 << 10

# What is done until others get their turn, in bytes; a row costs as much as so many beside them.
_IN_ONE_TURN = 64 << 10
_EACH = 640

T = TypeVar("T")


async def run(work: Callable[[], T], *, away: bool) -> T:
    """Do it here, or away on a thread."""
    return await asyncio.to_thread(work) if away else work()


class Rows:
    """Does one row after the other, and counts."""

    def __init__(self) -> None:
        self._done = 0

    async def run(self, size: int, work: Callable[[], T]) -> T:
        """Do work on `size` bytes."""
        self._done += size + _EACH
        if size > ROW_ON_THE_LOOP:
            self._done = 0
        elif self._done >= _IN_ONE_TURN:
            self._done = 0
            await asyncio.sleep(0)
        return await run(work, away=size > ROW_ON_THE_LOOP)
