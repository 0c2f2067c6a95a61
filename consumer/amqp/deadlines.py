"""How long an answer of the broker is waited for, and ending a wait before its time."""

import asyncio

RPC_TIMEOUT = 15.0
"""Seconds for the answer to one question on a channel."""


def cut_short(wait: asyncio.Timeout | None) -> None:
    """Have a wait time out now, unless there is none or it is timing out already."""
    if wait is not None and not wait.expired():
        wait.reschedule(asyncio.get_running_loop().time())
