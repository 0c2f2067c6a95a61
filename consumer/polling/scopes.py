"""Rounds over several scopes: some at a time, and one that fails holds up no other.

Rules
1. An upstream that lets nobody in ends the round: the same credentials would be turned away again
   for each of the others, and many a server locks the account after a few failures. So the first
   scope goes alone, and one that is denied before another was let in stands for all.
2. Where another one was let in, in the same round, a denial is the scope's own: the credentials are
   good, for others. It is a note of the round, and this scope alone is left out for as long as the
   whole source would have waited (`rounds.patience_after`); the others keep their schedule.
3. Credentials may go bad in the middle of a round. So only a few scopes that were not denied before
   may be by rule 2; one more ends the round by rule 1.
4. An upstream that asks for time (Retry-After) gets it from all: nobody begins any more in that
   round, and the next one waits.
5. Those that failed last time go last: one that is slow to fail keeps the others waiting only once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable, Sequence
from time import monotonic
from typing import Generic, TypeVar

from msgspec import Struct

from consumer.errors import Denied, Refused, Unavailable
from consumer.polling.rounds import patience_after

# So many scopes may be found denied on their own account in one round, beside those that were.
_MOST_NEWLY_DENIED = 2

S = TypeVar("S", bound=Hashable)

_Failed = Unavailable | Refused


class _LeftOut(Struct, frozen=True):
    """Why a scope is not polled, and until when, by the clock that does not leap."""

    reason: str
    until: float


class Rounds(Generic[S]):
    """The rounds of one source, one after the other; `at_once` scopes are polled together.

    `denied` are the scopes that the last round found denied on their own account.
    """

    def __init__(self, *, at_once: int) -> None:
        self._at_once = at_once
        self._failed: set[S] = set()
        self._left_out: dict[S, _LeftOut] = {}
        self.denied: Collection[S] = ()

    async def poll(self, scopes: Sequence[S], one: Callable[[S], Awaitable[str]]) -> str:
        """Poll each scope with `one`; the notes of all, those that said something.

        `scopes` are one at the least; what `one` raises says which of them it was. Raises `Denied`
        at the first that ends the round, otherwise `Unavailable` (something may pass by itself) or
        `Refused` after all had their turn.
        """
        self._failed.intersection_update(scopes)
        asked, waiting = self._divided(scopes)
        round_ = _Round(one, denied_before=self._left_out)
        try:
            await self._ask(round_, asked)
        finally:
            self._failed = (self._failed - round_.notes.keys()) | round_.failed
            self._left_out |= round_.own
            for scope in round_.notes:
                self._left_out.pop(scope, None)
            self.denied = tuple(round_.own)
        alone = waiting | round_.own
        if round_.errors:
            errors = [round_.errors[scope] for scope in scopes if scope in round_.errors]
            raise _together(errors, len(errors) + len(alone), len(scopes))
        notes = (round_.notes.get(scope) for scope in scopes)
        apart = (
            f"{alone[scope].reason} (left out for a while; the others are polled)"
            for scope in scopes
            if scope in alone
        )
        return "; ".join(note for note in (*notes, *apart) if note)

    def _divided(self, scopes: Sequence[S]) -> tuple[Sequence[S], dict[S, _LeftOut]]:
        """Whom to ask, in what order, and who is left out."""
        left_out, now = self._left_out, monotonic()
        waiting = {
            scope: left_out[scope]
            for scope in scopes
            if scope in left_out and now < left_out[scope].until
        }
        asked = [scope for scope in scopes if scope not in waiting]
        if not asked:  # nobody is polled any more whose being let in would say anything
            asked, waiting = list(scopes), {}
        return sorted(asked, key=self._failed.__contains__), waiting

    async def _ask(self, round_: "_Round[S]", scopes: Sequence[S]) -> None:
        """Ask the first alone, then the others; raises what ends the round."""
        first, *others = scopes
        turn = asyncio.Semaphore(self._at_once)

        async def in_turn(scope: S) -> None:
            await turn.acquire()
            await round_.ask(scope)
            turn.release()  # not where that ended the round: nobody begins any more

        await round_.ask(first)
        try:
            async with asyncio.TaskGroup() as group:
                for scope in others:
                    group.create_task(in_turn(scope))
        except BaseExceptionGroup as failures:
            raise _weightiest(failures) from None


class _Round(Generic[S]):
    """What came of one round, by scope: notes, errors, own denials; and who failed in any way."""

    def __init__(self, one: Callable[[S], Awaitable[str]], *, denied_before: Collection[S]) -> None:
        self._one = one
        self._denied_before = frozenset(denied_before)
        self.notes: dict[S, str] = {}
        self.failed: set[S] = set()
        self.errors: dict[S, _Failed] = {}
        self.own: dict[S, _LeftOut] = {}

    async def ask(self, scope: S) -> None:
        """Poll a scope, unless rule 4 forbids; raises `Denied` where that ends the round."""
        if any(isinstance(each, Unavailable) and each.retry_after for each in self.errors.values()):
            return
        try:
            self.notes[scope] = await self._one(scope)
        except Denied as error:
            self.failed.add(scope)
            if not self._is_own(scope):
                raise
            self.own[scope] = _LeftOut(error.reason, monotonic() + patience_after(error))
        except (Unavailable, Refused) as error:
            self.failed.add(scope)
            self.errors[scope] = error

    def _is_own(self, scope: S) -> bool:
        new = {*self.own, scope} - self._denied_before
        return bool(self.notes) and len(new) <= _MOST_NEWLY_DENIED


def _weightiest(failures: "BaseExceptionGroup[BaseException]") -> BaseException:
    """Of what ended a round the one to tell: a bug before what an upstream said."""
    return min(failures.exceptions, key=lambda error: isinstance(error, Denied))


def _together(errors: Sequence[_Failed], failed: int, scopes: int) -> _Failed:
    """One error for several; `failed` counts those that are left out, too."""
    if failed == 1:
        return errors[0]
    reason = f"{errors[0].reason} (and {failed - 1} more of {scopes})"
    passing = [error for error in errors if isinstance(error, Unavailable)]
    if not passing:
        return Refused(reason)
    waits = [error.retry_after for error in passing if error.retry_after is not None]
    return Unavailable(reason, retry_after=max(waits, default=None))
