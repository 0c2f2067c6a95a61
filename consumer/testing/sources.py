"""What a source stands on, in memory: for tests of sources, ours and those of plug-in authors.

intake, status = RecordingIntake(), RecordingStatus()
running = asyncio.create_task(source.run(ground(intake, status)))
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from consumer.errors import JournalUnavailable
from consumer.model import Message, Outcome
from consumer.ports import Ground, Posted, Reply


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
    """A status that remembers: `said` is None for up and the reason for down, newest last."""

    def __init__(self) -> None:
        self.said: list[str | None] = []

    def up(self) -> None:
        """See `ports.Status.up`."""
        self.said.append(None)

    def down(self, reason: str) -> None:
        """See `ports.Status.down`."""
        self.said.append(reason)

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


def ground(
    intake: RecordingIntake, status: RecordingStatus, webhooks: Routes | None = None
) -> Ground:
    """What `Source.run` is given."""
    return Ground(intake=intake, status=status, webhooks=webhooks or Routes())
