"""What a source stands on, in memory: for tests of sources, ours and those of plug-in authors.

intake, status = RecordingIntake(), RecordingStatus()
running = asyncio.create_task(source.run(ground(intake, status)))
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date

from consumer.errors import JournalUnavailable
from consumer.model import Message, Outcome, Scope
from consumer.ports import Ground, Posted, Reply
from consumer.survey import Survey, Surveys


class RecordingIntake:
    """An intake that remembers what it was given; `hold` keeps commits back until `release`.

    `messages` are those handed over, `committed` those whose commit is through, both in order.
    With `failure` set, `accept` tells what a journal that cannot commit would tell.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.committed: list[Message] = []
        self.failure: str | None = None
        self._open = asyncio.Event()
        self._open.set()
        self._commits: set[asyncio.Task[Sequence[Outcome]]] = set()

    @property
    def bodies(self) -> Sequence[bytes]:
        """The bodies of the messages handed over."""
        return [message.body for message in self.messages]

    def hold(self) -> None:
        """From now on nothing is committed."""
        self._open.clear()

    def release(self) -> None:
        """Commit what was held back, and everything that comes."""
        self._open.set()

    async def accept(self, messages: Sequence[Message]) -> Awaitable[Sequence[Outcome]]:
        """See `ports.Intake.accept`."""
        return self._in_background(messages, patient=False)

    async def accept_patiently(self, messages: Sequence[Message]) -> Awaitable[Sequence[Outcome]]:
        """See `ports.Intake.accept_patiently`."""
        return self._in_background(messages, patient=True)

    def _in_background(
        self, messages: Sequence[Message], *, patient: bool
    ) -> Awaitable[Sequence[Outcome]]:
        self.messages.extend(messages)
        task = asyncio.create_task(self._commit(messages, patient=patient))
        self._commits.add(task)
        task.add_done_callback(self._commits.discard)
        return task

    async def _commit(self, messages: Sequence[Message], *, patient: bool) -> Sequence[Outcome]:
        if self.failure is not None and not patient:
            raise JournalUnavailable(self.failure)
        await self._open.wait()
        self.committed.extend(messages)
        return [Outcome(accepted=1) for _ in messages]


class RecordingStatus:
    """A status that remembers: `said` is None for up and the reason for down, newest last.

    `notes` are what was said beside being up, `noted` is the note that stands however it is.
    """

    def __init__(self) -> None:
        self.said: list[str | None] = []
        self.notes: list[str] = []
        self.noted = ""

    def up(self, note: str = "") -> None:
        """See `ports.Status.up`."""
        self.said.append(None)
        if note:
            self.notes.append(note)

    def down(self, reason: str) -> None:
        """See `ports.Status.down`."""
        self.said.append(reason)

    def note(self, note: str) -> None:
        """See `ports.Status.note`."""
        self.noted = note

    @property
    def is_up(self) -> bool:
        """Whether the newest word is up."""
        return bool(self.said) and self.said[-1] is None

    @property
    def reason(self) -> str:
        """Why it is down; empty where it is not."""
        return (self.said[-1] or "") if self.said else ""


class Routes:
    """A listener that only remembers what was registered."""

    def __init__(self) -> None:
        self.handlers: dict[str, Callable[[Posted], Awaitable[Reply]]] = {}

    def route(self, path: str, handler: Callable[[Posted], Awaitable[Reply]]) -> None:
        """See `ports.Webhooks.route`."""
        self.handlers[path] = handler


class NoSurveys:
    """For sources that are told and never ask."""

    def survey(self, scope: Scope) -> AbstractAsyncContextManager[Survey]:
        """See `survey.Surveys.survey`."""
        raise AssertionError(f"nothing polls {scope.source} here")

    async def watching(self, origin: str, sources: Collection[str]) -> None:
        """See `survey.Surveys.watching`."""

    def failed(self, origin: str, reason: str) -> None:
        """See `survey.Surveys.failed`."""

    def subscribed(
        self, origin: str, ends: Mapping[str, date | None], *, warn: Collection[str]
    ) -> None:
        """See `survey.Surveys.subscribed`."""


def ground(
    intake: RecordingIntake,
    status: RecordingStatus,
    webhooks: Routes | None = None,
    surveys: Surveys | None = None,
) -> Ground:
    """What `Source.run` is given."""
    return Ground(
        intake=intake,
        status=status,
        webhooks=webhooks or Routes(),
        surveys=surveys or NoSurveys(),
    )
