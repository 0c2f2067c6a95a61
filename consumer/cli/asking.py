"""Orders on their way: what is told where they do not get through, or not all of them.

An order that was sent and not answered may have been carried out. Nobody knows but the journal, so
a person is told where to look.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

import click

from consumer.cli import table
from consumer.errors import ConsumerError

T = TypeVar("T")

INTERRUPTED = 130


def ask(order: Coroutine[Any, Any, T], *, shown: str) -> T:
    """Give an order; what came of it. `shown`: the command that shows what is the case.

    Raises `click.exceptions.Exit` where a person would not wait for the answer.
    """
    try:
        return asyncio.run(order)
    except KeyboardInterrupt:
        click.echo(
            f"interrupted; it may have been done all the same, or in part: {shown} shows", err=True
        )
    raise click.exceptions.Exit(INTERRUPTED)


async def in_steps(
    things: Sequence[T], do: Callable[[Sequence[T]], Awaitable[int]], *, together: int, done: str
) -> int:
    """Do something with many things, so many `together`; with how many it was done.

    Where a step fails, what was `done` before it is told, and its error raised.
    """
    count = 0
    for at in range(0, len(things), together):
        try:
            count += await do(things[at : at + together])
        except ConsumerError:
            if at:
                left = things[at:]
                click.echo(
                    f"{count} of {len(things)} {done}; not {done}, as far as is known:"
                    f" {table.first_of(left)}",
                    err=True,
                )
            raise
    return count
