"""Rounds over several scopes: some at a time, and one that fails holds up no other.

An upstream that does not let us in is the exception: the round ends there, since the same
credentials would be turned away again for each of the others, and many a server locks the account
after a few failures. So the first scope goes alone. Those that failed last time go last: one that
is slow to fail, or is not let in for a reason of its own, keeps the others waiting only once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

from consumer.errors import Denied, Refused, Unavailable

S = TypeVar("S", bound=Hashable)

_Failed = Unavailable | Refused


class Rounds(Generic[S]):
    """The rounds of one source, one after the other; `at_once` scopes are polled together."""

    def __init__(self, *, at_once: int) -> None:
        self._at_once = at_once
        self._failed: set[S] = set()

    async def poll(self, scopes: Sequence[S], one: Callable[[S], Awaitable[str]]) -> str:
        """Poll each scope with `one`; the notes of all, those that said something.

        `scopes` are one at the least. Raises `Denied` at the first that was, otherwise
        `Unavailable` (something may pass by itself) or `Refused` after all had their turn.
        """
        self._failed.intersection_update(scopes)
        first, *others = sorted(scopes, key=self._failed.__contains__)
        turn = asyncio.Semaphore(self._at_once)

        async def in_turn(scope: S) -> str | _Failed:
            await turn.acquire()
            result = await self._try(scope, one)
            turn.release()  # not where that was denied: nobody begins any more
            return result

        results = [await self._try(first, one)]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(in_turn(scope)) for scope in others]
        except BaseExceptionGroup as failures:
            raise _weightiest(failures) from None
        results += [task.result() for task in tasks]
        failed = [result for result in results if not isinstance(result, str)]
        if failed:
            raise _together(failed, len(scopes))
        return "; ".join(note for note in results if isinstance(note, str) and note)

    async def _try(self, scope: S, one: Callable[[S], Awaitable[str]]) -> str | _Failed:
        """What a scope says, or what it failed of; raises `Denied`."""
        try:
            note = await one(scope)
        except (Unavailable, Refused) as error:
            self._failed.add(scope)
            if isinstance(error, Denied):
                raise
            return error
        self._failed.discard(scope)
        return note


def _weightiest(failures: "BaseExceptionGroup[BaseException]") -> BaseException:
    """Of what ended a round the one to tell: a bug before what an upstream said."""
    return min(failures.exceptions, key=lambda error: isinstance(error, Denied))


def _together(failed: Sequence[_Failed], scopes: int) -> _Failed:
    if len(failed) == 1:
        return failed[0]
    reason = f"{failed[0].reason} (and {len(failed) - 1} more of {scopes})"
    passing = [error for error in failed if isinstance(error, Unavailable)]
    if not passing:
        return Refused(reason)
    waits = [error.retry_after for error in passing if error.retry_after is not None]
    return Unavailable(reason, retry_after=max(waits, default=None))
