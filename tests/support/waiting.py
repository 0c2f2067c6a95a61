"""Waiting for a condition instead of for a time."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic


async def until(
    condition: Callable[[], bool | Awaitable[bool]], *, within: float = 60.0, what: str = ""
) -> None:
    """Return as soon as `condition` holds; fail after `within` seconds."""
    deadline = monotonic() + within
    while True:
        holds = condition()
        if not isinstance(holds, bool):
            holds = await holds
        if holds:
            return
        if monotonic() > deadline:
            raise AssertionError(f"did not come true within {within} s: {what or condition}")
        await asyncio.sleep(0.005)
