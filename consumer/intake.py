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

Theory of operation. `accept` understands messages on the event loop, larger ones on a thread (a
loop that parses for long sends no heartbeats), and hands the entries to the journal in the order
of its calls. It then returns a task that waits for the commit, so that a source can have its next
messages understood while the last are being synced.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from itertools import count
from typing import Any

from consumer.errors import JournalUnavailable, Refused
from consumer.event import Event
from consumer.model import Entry, Kind, Message, Outcome, Problem, Refusal
from consumer.normalisation import normalise
from consumer.ports import Journal
from consumer.privacy import protect
from consumer.retry import Backoff
from consumer.settings import IntakeSettings, PrivacySettings
from consumer.telemetry import Log, Metrics
from consumer.validation import Accepted, Schemas
from consumer.validation.events import document

_PATIENCE = Backoff(initial=0.2, most=10.0)

# Drift is logged once a name; a hostile sender may invent names for ever.
_DRIFT_NAMES_REMEMBERED = 1000


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
        self._committed = committed
        self._drift_seen: set[str] = set()
        self._pending: set[asyncio.Task[Sequence[Outcome]]] = set()
        self._line = asyncio.Lock()
        self._in_line = 0
        self.failure: str | None = None

    # --- the port ----------------------------------------------------------------------------

    async def accept(self, messages: Sequence[Message]) -> Awaitable[Sequence[Outcome]]:
        """See `ports.Intake.accept`."""
        entries = await self._understand_all(messages)
        return self._in_background(self._commit(entries))

    async def accept_patiently(self, messages: Sequence[Message]) -> Awaitable[Sequence[Outcome]]:
        """See `ports.Intake.accept_patiently`."""
        entries = await self._understand_all(messages)
        return self._in_background(self._commit_patiently(entries))

    async def drain(self, seconds: float) -> None:
        """Let everything accepted be committed; what is not by then is given up, unsettled."""
        if self._pending:
            await asyncio.wait(self._pending, timeout=seconds)
        for task in self._pending:
            task.cancel()

    # --- commit ------------------------------------------------------------------------------

    def _in_background(
        self, work: Coroutine[Any, Any, Sequence[Outcome]]
    ) -> asyncio.Task[Sequence[Outcome]]:
        task = asyncio.create_task(work)
        self._pending.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Sequence[Outcome]]) -> None:
        self._pending.discard(task)
        if not task.cancelled():
            # A caller that went away (a webhook's sender hung up) never looks; that is no error.
            task.exception()

    async def _commit(self, entries: Sequence[Entry]) -> Sequence[Outcome]:
        self._metrics.unsettled.inc(len(entries))
        try:
            with self._metrics.commit.time():
                outcomes = await self._journal.append(entries)
        except JournalUnavailable as error:
            self._metrics.commit_failures.inc()
            self._pause(error.reason)
            raise
        finally:
            self._metrics.unsettled.dec(len(entries))
        self._resume()
        self._account(entries, outcomes)
        return outcomes

    async def _commit_patiently(self, entries: Sequence[Entry]) -> Sequence[Outcome]:
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

    async def _commit_until_it_works(self, entries: Sequence[Entry]) -> Sequence[Outcome]:
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

    async def _understand_all(self, messages: Sequence[Message]) -> Sequence[Entry]:
        entries = []
        for message in messages:
            if len(message.body) <= self._settings.offload_above:
                entries.append(self._understand(message))
            else:
                entries.append(await asyncio.to_thread(self._understand, message))
        return entries

    def _understand(self, message: Message) -> Entry:
        """One message as what the journal shall hold of it. Never raises; runs on any thread."""
        if len(message.body) > self._settings.max_message:
            return _refused(message, f"larger than {self._settings.max_message} bytes")
        try:
            return self._examine(message)
        except Exception as error:  # noqa: BLE001 - rule 2: a bug of ours must not stop the queue
            self._log.bug(where="intake", error=error)
            return _refused(message, f"this program failed on it ({type(error).__name__})")

    def _examine(self, message: Message) -> Entry:
        found = self._schemas.examine(message.body)
        if found.kind != "backorder":
            wanted = message.on_test if found.kind == "test" else message.on_other_type
            if wanted == "quarantine":
                return _refused(message, f"a {found.root} message, not a back-order", found.kind)
            return Entry(message=message, kind=found.kind)
        events: list[Event] = []
        refusals = list(found.refusals)
        for accepted in found.accepted:
            try:
                events.extend(self._normalise(message, accepted))
            except Refused as error:
                problem = Problem(reason=error.reason, path=f"/{found.root}")
                refusals.append(Refusal(body=document(accepted.element), problems=(problem,)))
        return Entry(message=message, events=tuple(events), refusals=tuple(refusals))

    def _normalise(self, message: Message, accepted: Accepted) -> list[Event]:
        events = normalise(
            accepted.element,
            received=message.received,
            drift=accepted.drift,
            traceparent=message.traceparent,
        )
        return [protect(event, self._privacy) for event in events]

    # --- account -----------------------------------------------------------------------------

    def _account(self, entries: Sequence[Entry], outcomes: Sequence[Outcome]) -> None:
        """Metrics and log lines of what is committed now."""
        grown = False
        for entry, outcome in zip(entries, outcomes, strict=True):
            source = entry.message.source
            self._metrics.messages.labels(source, _word(outcome)).inc()
            if outcome.accepted:
                grown = True
                self._count_events(source, entry, outcome)
            if outcome.duplicates:
                self._metrics.duplicates.labels(source).inc(outcome.duplicates)
            if outcome.quarantined:
                self._metrics.quarantined.labels(source).inc(outcome.quarantined)
                self._log.quarantined(
                    source=source,
                    origin=entry.message.origin,
                    ids=[refusal.id for refusal in entry.refusals],
                    problems=len(outcome.problems),
                )
        if grown:
            self._committed()

    def _count_events(self, source: str, entry: Entry, outcome: Outcome) -> None:
        self._metrics.events.labels(source).inc(outcome.accepted)
        for event in entry.events:
            if event.drift:
                self._metrics.drift.labels(source).inc()
                self._tell_drift(source, event.drift)

    def _tell_drift(self, source: str, names: str) -> None:
        for name in names.split(","):
            if name not in self._drift_seen and len(self._drift_seen) < _DRIFT_NAMES_REMEMBERED:
                self._drift_seen.add(name)
                self._log.drift(source=source, name=name)


def _refused(message: Message, reason: str, kind: Kind = "backorder") -> Entry:
    """A message set aside whole."""
    refusal = Refusal(body=message.body, problems=(Problem(reason=reason, path="/"),))
    return Entry(message=message, kind=kind, refusals=(refusal,))


def _word(outcome: Outcome) -> str:
    """The one word that the message counter uses for an outcome."""
    if outcome.kind != "backorder" and not outcome.quarantined:
        return outcome.kind
    said = [
        word
        for word, count in (
            ("accepted", outcome.accepted),
            ("duplicate", outcome.duplicates),
            ("quarantined", outcome.quarantined),
        )
        if count
    ]
    return said[0] if len(said) == 1 else "mixed"
