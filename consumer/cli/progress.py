"""Long work: a bar on a terminal and nothing elsewhere, and waiting for what the daemon does."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import click

_SECONDS_BETWEEN_LOOKS = 0.2


def on_terminal() -> bool:
    """Whether a bar would be seen: standard error is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def asked_by_a_person() -> bool:
    """Whether somebody could answer a question: standard input is a terminal."""
    return sys.stdin is not None and sys.stdin.isatty()


@contextmanager
def bar(length: int, label: str) -> Iterator[Callable[[int], None]]:
    """A bar on standard error; what is yielded moves it on by so many."""
    with click.progressbar(
        length=length, label=label, file=sys.stderr, hidden=not on_terminal(), show_pos=True
    ) as shown:
        yield shown.update


async def until_done(
    done: Callable[[], Awaitable[int]], *, length: int, label: str, patience: float
) -> bool:
    """Ask again and again how many of `length` are done, until all are.

    False: nothing has moved for `patience` seconds.
    """
    before, moved = 0, monotonic()
    with bar(length, label) as advance:
        while (now := await done()) < length:
            if now > before:
                advance(now - before)
                before, moved = now, monotonic()
            elif monotonic() - moved >= patience:
                return False
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
        advance(length - before)
    return True


def held_up(sink: str, *, paused: bool, patience: float) -> str:
    """Why what was ordered of a sink has not happened, and what becomes of it."""
    if paused:
        return f"{sink} is paused; it happens once `sinks resume {sink}` was called"
    return (
        f"nothing has moved for {patience:g} s; the sink or the daemon is down (/readyz tells)."
        " The order stands: it happens once they are back"
    )
