"""A polled source on a surveyor and a journal in memory: what it did, told and logged."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, MutableMapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import structlog.testing

from consumer.errors import Refused, Unavailable
from consumer.event import Data, Event
from consumer.model import Quarantined
from consumer.ports import Ground, Journal, Poller
from consumer.testing.sources import RecordingIntake, RecordingStatus, ground
from consumer.testing.surveys import RecordingSurveys

Said = MutableMapping[str, Any]


class Bench:
    """What a source stands on; `source` may be replaced, as by a restart with another file."""

    def __init__(self, source: Poller, journal: Journal | None = None) -> None:
        self.source = source
        self.surveys = RecordingSurveys(journal)
        self.status = RecordingStatus()

    @property
    def ground(self) -> Ground:
        return ground(RecordingIntake(), self.status, surveys=self.surveys)

    async def poll(self) -> str:
        """One round; the note."""
        return await self.source.poll(self.ground)

    async def trouble(self) -> Unavailable | Refused | None:
        """What one round fails of."""
        try:
            await self.poll()
        except (Unavailable, Refused) as error:
            return error
        return None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The source on its schedule; stopped at the end, as the daemon does it."""
        task = asyncio.create_task(self.source.run(self.ground))
        try:
            yield
        finally:
            self.source.stop()
            await asyncio.wait_for(task, 60)

    # --- what came of it -----------------------------------------------------------------------

    async def events(self, after: int = 0) -> Sequence[Event]:
        return (await self.surveys.events())[after:]

    async def types(self, after: int = 0) -> Counter[str]:
        """How many events of each type, in short."""
        events = await self.events(after)
        return Counter(event.type.removeprefix("backorder.") for event in events)

    async def open(self) -> dict[tuple[str, str], Data]:
        """The open lines by source and subject, folded from the events; each has to make sense."""
        lines: dict[tuple[str, str], Data] = {}
        for event in await self.events():
            key = event.source, event.subject
            assert (key in lines) == (event.type != "backorder.opened"), event
            lines[key] = event.data
            if event.type == "backorder.cleared":
                del lines[key]
        return lines

    async def quarantined(self) -> Sequence[Quarantined]:
        return await self.surveys.journal.quarantined()

    def metric(self, name: str) -> float | None:
        labels = {"source": self.source.name}
        return self.surveys.metrics.registry.get_sample_value(f"backorder_{name}", labels)


@contextmanager
def logged() -> Iterator[list[Said]]:
    """The log lines meanwhile."""
    with structlog.testing.capture_logs() as lines:
        yield lines


def named(lines: Sequence[Said], event: str) -> list[Said]:
    """The log lines of one name, without what all of them have."""
    return [
        {key: value for key, value in line.items() if key not in {"event", "log_level"}}
        for line in lines
        if line["event"] == event
    ]
