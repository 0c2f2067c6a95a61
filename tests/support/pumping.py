"""A pump on a journal in memory, with a sink that does what a test wants."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

from consumer.board import UNUSED, Board, PartState
from consumer.dispatcher import Bell, Pump
from consumer.errors import Unavailable
from consumer.model import Cursor, Record
from consumer.settings import RetrySettings, SinkOptions
from consumer.telemetry import Log, Metrics
from consumer.testing.builders import entry, event
from consumer.testing.journal import MemoryJournal
from consumer.values import Duration
from waiting import until

QUICK = RetrySettings(initial=Duration(0.001), max=Duration(0.005))


def options(**changes: object) -> SinkOptions:
    fields: dict[str, object] = {"type": "scripted", "name": "scripted", "retry": QUICK}
    return SinkOptions(**(fields | changes))  # type: ignore[arg-type]  # the tests pass real fields


class ScriptedSink:
    """A sink that does what `behaviour` says and remembers what went through.

    While `gate` is closed, what it was offered stays under way.
    """

    def __init__(self, name: str = "scripted") -> None:
        self.name = name
        self.got: list[str] = []
        self.replays: list[int] = []
        self.offered: list[list[int]] = []
        self.batches: list[Sequence[Record]] = []
        self.behaviour: Callable[[Sequence[Record]], Mapping[int, str]] = lambda _: {}
        self.gate = asyncio.Event()
        self.gate.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        pass

    async def deliver(self, batch: Sequence[Record]) -> Mapping[int, str]:
        self.offered.append([record.seq for record in batch])
        self.batches.append(batch)
        await self.gate.wait()
        try:
            refused = self.behaviour(batch)
        except Unavailable as error:
            self._take(batch[: error.delivered])
            raise
        self._take([record for record in batch if record.seq not in (refused or ())])
        return refused

    def _take(self, records: Sequence[Record]) -> None:
        self.got += [record.id for record in records]
        self.replays += [record.seq for record in records if record.replay]

    async def check(self) -> Sequence[str]:
        return []


def refuse(*seqs: int, reason: str = "HTTP 422") -> Any:
    """The behaviour of a sink that refuses these."""
    return lambda batch: {record.seq: reason for record in batch if record.seq in seqs}


def unavailable(reason: str = "the receiver is away", **how: Any) -> Any:
    """The behaviour of a sink that is down."""

    def behave(_: Sequence[Record]) -> Mapping[int, str]:
        raise Unavailable(reason, **how)

    return behave


class Told(Log):
    """Keeps what is said about the journal, and about what persons ordered."""

    def __init__(self) -> None:
        super().__init__()
        self.outages: list[tuple[str, str]] = []
        self.orders: list[tuple[object, ...]] = []

    def journal_unavailable(self, *, sink: str, reason: str) -> None:
        self.outages.append((sink, reason))

    def sink_paused(self, *, sink: str) -> None:
        self.orders.append(("paused", sink))

    def sink_resumed(self, *, sink: str) -> None:
        self.orders.append(("resumed", sink))

    def replay_begun(self, **fields: Any) -> None:
        self.orders.append(("begun", fields["start"], fields["end"], fields["done"]))

    def replay_ended(self, **fields: Any) -> None:
        self.orders.append(("ended", fields["start"], fields["end"], fields["done"]))


class Bench:
    """A pump; with `journal` one that another had before."""

    def __init__(
        self,
        chosen: SinkOptions,
        *,
        journal: MemoryJournal | None = None,
        bell: Bell | None = None,
    ) -> None:
        self.name = chosen.name
        self.journal = journal or MemoryJournal()
        self.sink = ScriptedSink(chosen.name)
        self.metrics = Metrics()
        self.board = Board(self.metrics, Log())
        self.told = Told()
        self.bell = bell or Bell()
        self.pump = Pump(
            self.journal,
            self.sink,
            chosen,
            bell=self.bell,
            status=self.board.part(f"sinks.{self.name}", UNUSED),
            metrics=self.metrics,
            log=self.told,
        )

    @property
    def state(self) -> PartState:
        return self.board.parts[f"sinks.{self.name}"]

    @property
    def is_paused(self) -> bool:
        """Whether the board says so."""
        return "paused by a person" in (self.state.reason or "")

    @property
    def reconnects(self) -> float:
        labels = {"part": f"sinks.{self.name}"}
        found = self.metrics.registry.get_sample_value("backorder_reconnects_total", labels)
        return found or 0.0

    def counted(self, metric: str) -> float:
        return self.metrics.registry.get_sample_value(metric, {"sink": self.name}) or 0.0

    async def until_offered(self, batch: list[int], *, times: int = 1) -> None:
        """Wait until the sink was offered this batch so often."""
        await until(lambda: self.sink.offered.count(batch) >= times)

    async def append(self, *numbers: int) -> list[str]:
        events = [event(n) for n in numbers]
        await self.journal.append([entry(*events)])
        self.bell.ring()
        return [one.id for one in events]

    async def order(self, verb: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Write an order down, and tell the pump, as the workshop does."""
        result = await verb(self.name, *arguments, **named)
        self.pump.reconsider()
        return result

    async def entry(self) -> Cursor:
        positions = await self.journal.positions()
        return {cursor.sink: cursor for cursor in positions.cursors}[self.name]

    async def cursor(self) -> int:
        return (await self.entry()).seq

    async def over(self) -> bool:
        """Whether no replay is under way."""
        return (await self.journal.orders(self.name)).replay is None

    async def parked(self) -> list[tuple[int, str, bool]]:
        """What is parked: number, reason, and whether it is to be offered once more."""
        rows = await self.journal.parked(self.name)
        return [(row.seq, row.reason, row.retrying) for row in rows]


@asynccontextmanager
async def bench(
    chosen: SinkOptions | None = None,
    *,
    journal: MemoryJournal | None = None,
    bell: Bell | None = None,
) -> AsyncIterator[Bench]:
    """A pump that runs."""
    one = Bench(chosen or options(), journal=journal, bell=bell)
    started = await one.journal.enroll({one.name: True})
    running = asyncio.create_task(one.pump.run(started[one.name]))
    try:
        yield one
    finally:
        one.sink.gate.set()
        one.pump.finish()
        await asyncio.wait_for(running, 60)
