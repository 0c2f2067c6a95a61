"""The way that every message takes, step by step, for those who count what it costs.

`python tests/support/hot_path.py` shows where instructions and calls go, function by function.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Self

import click

from consumer.board import UNUSED, Board
from consumer.dispatcher import Bell, Pump
from consumer.intake import Intake
from consumer.journal.sqlite import SqliteJournal
from consumer.model import Entry, Message, Record, utc_now
from consumer.settings import IntakeSettings, PrivacySettings, SinkOptions
from consumer.simulators.radial import RadialWorld
from consumer.telemetry import Log, Metrics
from consumer.understanding import entry_of
from consumer.validation import Schemas
from counting import Calls, instructions

_SEED = 5
_SHOWN = 40
_BATCH = 100


def bodies(number: int) -> Sequence[bytes]:
    """Messages of one order with one line each, 2.2 kB, all different; always the same ones."""
    world = RadialWorld(_SEED)
    sent = iter(world.order_backorder, None)
    return list(islice((one.body for one in sent if len(one.facts) == 1), number))


def messages(number: int) -> Sequence[Message]:
    """The same as a queue delivers them."""
    received = utc_now()
    return [
        Message(body=body, source="radial", system="radial", received=received, origin="queue")
        for body in bodies(number)
    ]


def understood(schemas: Schemas, batch: Sequence[Message]) -> Sequence[Entry]:
    """What the intake makes of small messages that are in order."""
    privacy = PrivacySettings()
    entries = []
    for message in batch:
        found = schemas.glance(message.body)
        assert found is not None, "a message in order was not understood at a glance"
        entries.append(entry_of(message, found, privacy))
    return entries


class Recording:
    """A sink that takes everything."""

    name = "recording"

    def __init__(self) -> None:
        self.taken = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass

    async def deliver(self, batch: Sequence[Record]) -> Mapping[int, str]:
        self.taken += len(batch)
        return {}

    async def check(self) -> Sequence[str]:
        return []


class Pipeline:
    """An intake and a pump on one journal, each made to work by itself."""

    def __init__(self, journal: SqliteJournal, schemas: Schemas) -> None:
        self._journal = journal
        self._metrics = Metrics()
        self._bell = Bell()
        self._board = Board(self._metrics, Log())
        self._intake = Intake(
            journal,
            schemas,
            settings=IntakeSettings(),
            privacy=PrivacySettings(),
            metrics=self._metrics,
            log=Log(),
            committed=self._bell.ring,
        )

    async def take(self, batch: Sequence[Message]) -> None:
        """Have messages committed, a hundred at a time."""
        for start in range(0, len(batch), _BATCH):
            commit = await self._intake.accept_patiently(batch[start : start + _BATCH])
            outcomes = await commit
            assert all(outcome.accepted == 1 for outcome in outcomes)

    async def deliver(self) -> int:
        """Have everything delivered that was not yet; how much that was."""
        sink = Recording()
        cursors = await self._journal.enroll({sink.name: True})
        pump = Pump(
            self._journal,
            sink,
            SinkOptions(type="recording", name=sink.name),
            bell=self._bell,
            status=self._board.part(f"sinks.{sink.name}", UNUSED),
            metrics=self._metrics,
            log=Log(),
        )
        pump.finish()
        await pump.run(cursors[sink.name])
        return sink.taken


@asynccontextmanager
async def pipeline(directory: Path, schemas: Schemas) -> AsyncIterator[Pipeline]:
    """A pipeline on a new journal."""
    async with SqliteJournal(directory / "journal.db") as journal:
        yield Pipeline(journal, schemas)


def _show() -> None:
    schemas, batch = Schemas.load(), messages(2 * _BATCH)
    calls = Calls()
    instructions(lambda: understood(schemas, batch[:_BATCH]))
    executed = instructions(lambda: understood(schemas, batch[_BATCH:]))
    with calls.counted():
        understood(schemas, batch[_BATCH:])
    click.echo("understanding a message takes\n\ninstructions    calls  function")
    for name, number in executed.most_common(_SHOWN):
        click.echo(f"{number / _BATCH:12,.1f}{calls.by_function[name] / _BATCH:9,.1f}  {name}")
    click.echo(f"{executed.total() / _BATCH:12,.1f}{calls.python / _BATCH:9,.1f}  altogether")


if __name__ == "__main__":
    _show()
