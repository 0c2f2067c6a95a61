"""Intake: message → events → one durable commit → settle. The durability rule stands here.

Rules
1. A source learns what became of a message only from what `accept` returns, and that is an outcome
   only after the journal has synced it. There is no other way to an outcome, so nothing can be
   settled too early.
2. Whatever a message holds, it ends in the journal: as events, in quarantine, or, for tests and
   other event types where the configuration says so, as acknowledged. A message that our own code
   stumbles over is quarantined too; it never comes round again and again.
3. While the journal cannot commit, nothing is settled. A source that must answer at once gets
   `JournalUnavailable`; one that can wait waits, which pauses its upstream by itself.

Theory of operation. `accept` glances at small messages on the event loop, and at large ones on a
thread; what a glance does not settle is understood on a thread, since a loop that parses or
explains for long sends no heartbeats. For the same reason all who can wait have one share of each
turn of the loop together; who must answer at once begins at once. Large messages are glanced at one
after the other, whoever sent them: of threads that run Python only one gets on, and to quarrel
about which took them as long again as the work. What a glance does not settle is read once more; to
explain it may take seconds, and holds up nobody.

The entries of one caller go to the journal in the order of its calls. What `accept` returns waits
for the commit, which is a task of its own: a source can have its next messages understood while the
last are being synced, and a caller that goes away (a webhook's sender hung up) takes nothing with
it.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any

from msgspec.structs import replace

from consumer.errors import JournalUnavailable, Unavailable, Unusable
from consumer.model import Entry, Message, Outcome
from consumer.ports import Journal
from consumer.retry import Backoff
from consumer.settings import IntakeSettings, PrivacySettings
from consumer.telemetry import Log, Metrics
from consumer.telemetry.commits import Commits
from consumer.turns import Turns
from consumer.understanding import entry_of, entry_within, refused_whole, stumbled
from consumer.validation import Schemas

_PATIENCE = Backoff(initial=0.2, most=10.0)

# Bytes understood in one turn of the event loop: some 3 ms.
_IN_ONE_TURN = 64 << 10

Outcomes = Sequence[Outcome]


class _NotKept(JournalUnavailable):
    """The journal stumbled over what a poll says: that is not kept, but the journal works."""


class _Commit:
    """A commit to await. Who stops waiting, or never looks, changes nothing about it."""

    def __init__(self, task: asyncio.Task[Outcomes]) -> None:
        self._task = task

    def __await__(self) -> Generator[Any, None, Outcomes]:
        if not self._task.done():
            through = self._task.get_loop().create_future()  # can be cancelled, without the task
            self._task.add_done_callback(partial(_tell, through))
            yield from through
        return self._task.result()


def _tell(through: asyncio.Future[None], _: object) -> None:
    if not through.done():  # nobody went away
        through.set_result(None)


class Intake:
    """Implements `ports.Intake`. `committed` is called after each commit that added events."""

    def __init__(
        self,
        journal: Journal,
        schemas: Schemas,
        *,
        settings: IntakeSettings,
        privacy: PrivacySettings,
        metrics: Metrics,
        log: Log,
        committed: Callable[[], None],
    ) -> None:
        self._journal = journal
        self._schemas = schemas
        self._settings = settings
        self._privacy = privacy
        self._metrics = metrics
        self._log = log
        self._commits = Commits(metrics, log)
        self._committed = committed
        self._pending: set[asyncio.Task[Outcomes]] = set()
        self._turns = Turns(_IN_ONE_TURN)
        self._large = asyncio.Lock()
        self._line = asyncio.Lock()
        self._in_line = 0
        self.failure: str | None = None

    # --- the port ----------------------------------------------------------------------------

    async def accept(self, messages: Sequence[Message]) -> Awaitable[Outcomes]:
        """See `ports.Intake.accept`."""
        entries = await self._understand_all(messages, patiently=False)
        return self._in_background(self._commit(entries))

    async def accept_patiently(self, messages: Sequence[Message]) -> Awaitable[Outcomes]:
        """See `ports.Intake.accept_patiently`."""
        entries = await self._understand_all(messages, patiently=True)
        return self._in_background(self._commit_patiently(entries))

    async def drain(self, seconds: float) -> None:
        """Let everything accepted, and what polls have said, be committed; what is not by then is
        given up, unsettled.
        """
        if self._pending:
            await asyncio.wait(self._pending, timeout=seconds)
        for task in self._pending:
            task.cancel()

    # --- commit ------------------------------------------------------------------------------

    def _in_background(self, work: Coroutine[Any, Any, Outcomes]) -> _Commit:
        task = asyncio.create_task(work)
        self._pending.add(task)
        task.add_done_callback(self._finished)
        return _Commit(task)

    def _finished(self, task: asyncio.Task[Outcomes]) -> None:
        self._pending.discard(task)
        if not task.cancelled():
            task.exception()  # a caller that went away never looks at it; that is no error

    async def commit(self, entries: Sequence[Entry]) -> Outcomes:
        """Commit what is understood already (polls), and account for it; once, at once.

        Raises `JournalUnavailable`; nothing was kept then. `drain` waits for it.
        """
        return await self._in_background(self._commit(entries))

    async def _commit(self, entries: Sequence[Entry]) -> Outcomes:
        self._metrics.unsettled.inc(len(entries))
        try:
            with self._metrics.commit.time():
                kept, outcomes = await self._append(entries)
        except JournalUnavailable as error:
            self._metrics.commit_failures.inc()
            if not isinstance(error, _NotKept):
                self._pause(error.reason)
            raise
        finally:
            self._metrics.unsettled.dec(len(entries))
        self._resume()
        if self._commits.through(kept, outcomes):
            self._committed()
        return outcomes

    async def _append(self, entries: Sequence[Entry]) -> tuple[Sequence[Entry], Outcomes]:
        """What the journal keeps: the entries, or in place of some their quarantine (rule 2)."""
        try:
            return entries, await self._journal.append(entries)
        except (Unavailable, Unusable):
            raise  # the storage fails, whatever the entries hold
        except Exception as error:
            self._log.bug(where="journal", error=error)
            if any(entry.watch for entry in entries):  # no message that could be set aside
                raise _NotKept(stumbled(error)) from error
            if len(entries) == 1:
                return await self._append_refused(entries[0], stumbled(error))
        kept: list[Entry] = []
        outcomes: list[Outcome] = []
        for entry in entries:
            one, outcome = await self._append([entry])
            kept.extend(one)
            outcomes.extend(outcome)
        return kept, outcomes

    async def _append_refused(self, entry: Entry, reason: str) -> tuple[Sequence[Entry], Outcomes]:
        refused = [refused_whole(entry.message, reason, entry.kind)]
        try:
            return refused, await self._journal.append(refused)
        except (Unavailable, Unusable):
            raise
        except Exception as error:  # noqa: BLE001 - as above
            self._log.bug(where="journal", error=error)
        # What the transport said of it may be what cannot be kept; the bytes always can.
        bare = replace(entry.message, attributes={}, origin="")
        refused = [refused_whole(bare, reason, entry.kind)]
        return refused, await self._journal.append(refused)

    async def _commit_patiently(self, entries: Sequence[Entry]) -> Outcomes:
        """Commit now, or in line behind those who could not: order holds across a failure."""
        if not self._in_line:
            try:
                return await self._commit(entries)
            except JournalUnavailable:
                pass  # into the line
        self._in_line += 1
        try:
            async with self._line:
                return await self._commit_until_it_works(entries)
        finally:
            self._in_line -= 1

    async def _commit_until_it_works(self, entries: Sequence[Entry]) -> Outcomes:
        for attempt in count(1):
            try:
                return await self._commit(entries)
            except JournalUnavailable as error:
                draw = random.random()  # noqa: S311 - jitter, not a secret
                wait = _PATIENCE.wait(attempt, draw=draw, retry_after=error.retry_after)
                await asyncio.sleep(wait)
        raise AssertionError("count never ends")

    def _pause(self, reason: str) -> None:
        if self.failure is None:
            self._log.intake_paused(reason=reason)
        self.failure = reason

    def _resume(self) -> None:
        if self.failure is not None:
            self._log.intake_resumed()
        self.failure = None

    # --- understand --------------------------------------------------------------------------

    async def _understand_all(
        self, messages: Sequence[Message], *, patiently: bool
    ) -> Sequence[Entry]:
        """Every message as its entry. Who is not patient has a turn at once, whoever else waits."""
        entries: list[Entry] = []
        for message in messages:
            if self._turns.over and (patiently or entries):
                await self._turns.next()
            entries.append(await self._understand_one(message))
        return entries

    async def _understand_one(self, message: Message) -> Entry:
        """One message as its entry, here and now where that does not take long."""
        size = len(message.body)
        entry: Entry | None = None
        if size <= min(self._settings.offload_above, self._settings.max_message):
            entry = self._glance(message)
            self._turns.did(size)
        elif size <= self._settings.max_message:
            async with self._large:  # should the caller go away, his thread may overlap the next
                entry = await asyncio.to_thread(self._glance, message)
        if entry is None:
            entry = await asyncio.to_thread(self._understand, message)
        return entry

    def _glance(self, message: Message) -> Entry | None:
        """One message, if that is quickly understood; None where it takes `_understand`."""
        with suppress(Exception):  # `_understand` meets the same bug, and tells
            found = self._schemas.glance(message.body)
            entry = entry_of(message, found, self._privacy) if found else None
            return None if entry and entry.refusals else entry  # quarantine wants every byte
        return None

    def _understand(self, message: Message) -> Entry:
        """One message as what the journal shall hold of it. Never raises; runs on any thread."""
        return entry_within(
            message,
            self._schemas,
            privacy=self._privacy,
            most=self._settings.max_message,
            on_bug=self._bug,
        )

    def _bug(self, error: Exception) -> None:
        self._log.bug(where="intake", error=error)
