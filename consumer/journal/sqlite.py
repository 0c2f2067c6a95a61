"""The journal on SQLite: one file, embedded, the default.

How it works. Appends and everything else that changes something go to one writer thread, which
commits all that waits in one synced transaction (`sqlite_writer`). Questions go to one reader
thread (`sqlite_reader`), but for the newest events, which sinks read from memory (`sqlite_tail`).
What is written stands in `sqlite_writes` with `sqlite_rows`, `sqlite_cursors`, `sqlite_repairs` and
`sqlite_prune`, what is asked in `sqlite_reads` and `sqlite_lines`, the SQL of both in `sqlite.sql`;
the schema in `sqlite_schema_*.sql`; who may open the file in `sqlite_file`.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from msgspec.structs import replace

from consumer.errors import JournalUnavailable, JournalUnusable
from consumer.journal import (
    sqlite_cursors,
    sqlite_lines,
    sqlite_prune,
    sqlite_reads,
    sqlite_repairs,
    sqlite_writes,
)
from consumer.journal.moments import to_micros
from consumer.journal.sqlite_reader import Reader
from consumer.journal.sqlite_tail import Appended, Tail
from consumer.journal.sqlite_writer import Writer
from consumer.model import (
    Backorder,
    Entry,
    Outcome,
    Parked,
    Positions,
    Quarantined,
    Record,
    Replay,
    ScopeCount,
    Watched,
)
from consumer.repair import Orders, Range

P = ParamSpec("P")
T = TypeVar("T")
_PRUNE_STEP = 200  # events: appends wait for a step, some 10 ms


class SqliteJournal:
    """`repair.RepairableJournal` in the file `path`, open for as long as it is entered.

    Entering makes directories and file where they are missing, locks the file against a second
    daemon and migrates its schema. With `readonly` it takes no lock, makes nothing and changes
    nothing: for commands beside a running daemon. Raises `JournalUnusable` with path, reason and
    what to do.

    `Positions.oldest` is 0 while no event is held. `advance` sets the cursor to what it is told,
    backwards too (replay). Pruning also forgets order lines that ended before the moment it is
    given.
    """

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self._path = path
        self._readonly = readonly
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._tail = Tail()
        async with AsyncExitStack() as stack:
            self._writer = None if self._readonly else Writer(self._path, self._tail.hear)
            if self._writer:
                await self._writer.open()
                stack.push_async_callback(self._writer.close)
            self._reader = Reader(self._path, self._writer.stand if self._writer else None)
            await self._reader.open()
            stack.push_async_callback(self._reader.close)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def append(self, entries: Sequence[Entry]) -> Sequence[Outcome]:
        """See `ports.Journal`."""
        weight = sqlite_writes.weigh(entries)
        appended: Appended[Sequence[Outcome]] = await self._do(
            sqlite_writes.append, entries, weight=weight
        )
        return appended.outcomes

    async def read(
        self, after: int, *, limit: int, max_bytes: int = 16_777_216, source: str | None = None
    ) -> Sequence[Record]:
        """See `ports.Journal`."""
        page = self._tail.page(after, limit, max_bytes) if source is None else None
        if page is None:
            return await self._ask(sqlite_reads.read, after, limit, max_bytes, source)
        await asyncio.sleep(0)  # whoever reads on and on lets others have their turn
        return page

    async def positions(self) -> Positions:
        """See `ports.Journal`. `pending` is exact."""
        return await self._ask(sqlite_reads.positions)

    async def enroll(self, sinks: Mapping[str, bool]) -> Mapping[str, int]:
        """See `ports.Journal`."""
        cursors: Mapping[str, int] = await self._do(sqlite_cursors.enroll, sinks)
        return cursors

    async def advance(self, sink: str, seq: int, refused: Mapping[int, str]) -> None:
        """See `ports.Journal`. A sink that is level has nothing to hurry for: what it gets next
        is a commit, and with that its cursor goes along.
        """
        step = sqlite_cursors.Advance(sink, seq, refused)
        await self._do(sqlite_cursors.advance, step, hurried=not self._tail.ends_with(seq))

    async def quarantined(
        self, id_prefix: str = "", *, limit: int = 1000, after: int = 0, bodies: bool = True
    ) -> Sequence[Quarantined]:
        """See `ports.Journal`."""
        return await self._ask(sqlite_reads.quarantined, id_prefix, limit, after, bodies=bodies)

    async def parked(
        self,
        sink: str | None = None,
        *,
        limit: int = 1000,
        after: tuple[int, str] = (0, ""),
        bodies: bool = True,
    ) -> Sequence[Parked]:
        """See `ports.Journal`."""
        return await self._ask(sqlite_reads.parked, sink, limit, after, bodies=bodies)

    async def backorders(
        self, *, source: str | None = None, ended: bool = False, limit: int = 1000
    ) -> Sequence[Backorder]:
        """See `ports.Journal`. `source` is the name of a configured source."""
        return await self._ask(
            sqlite_lines.backorders, origin=source, with_ended=ended, limit=limit
        )

    async def watched(self, source: str) -> Watched:
        """See `ports.Journal`."""
        return await self._ask(sqlite_lines.watched, source)

    async def told(self, source: str, subjects: Sequence[str]) -> Mapping[str, bytes]:
        """See `ports.Journal`."""
        return await self._ask(sqlite_lines.told, source, subjects)

    async def scopes(self) -> Sequence[ScopeCount]:
        """See `ports.Journal`."""
        return await self._ask(sqlite_lines.scopes)

    async def prune(self, before: datetime, sinks: Sequence[str]) -> int:
        """See `ports.Journal`. Without sinks only the moment counts."""
        step = sqlite_prune.Prune(to_micros(before), tuple(sinks), _PRUNE_STEP)
        removed, more = 0, True
        while more:
            done: sqlite_prune.Pruned = await self._do(sqlite_prune.prune, step)
            removed, more = removed + done.events, done.more
            step = replace(step, after=done.after)
        return removed

    async def probe(self) -> None:
        """See `ports.Journal`. A real commit, synced like any other."""
        await self._do(sqlite_writes.probe, None)

    # --- repair ------------------------------------------------------------------------------

    async def readmit(self, entries: Mapping[str, Entry]) -> Mapping[str, Outcome]:
        """See `repair.RepairableJournal`."""
        weight = sqlite_writes.weigh(list(entries.values()))
        appended: Appended[Mapping[str, Outcome]] = await self._do(
            sqlite_repairs.readmit, entries, weight=weight
        )
        return appended.outcomes

    async def discard_quarantined(self, ids: Sequence[str]) -> int:
        """See `repair.RepairableJournal`."""
        gone: int = await self._do(sqlite_repairs.discard_quarantined, ids)
        return gone

    async def pause(self, sink: str, *, paused: bool) -> None:
        """See `repair.RepairableJournal`."""
        await self._do(sqlite_repairs.pause, sqlite_repairs.Pause(sink, paused))

    async def replay(self, sink: str, wanted: Range) -> Replay:
        """See `repair.RepairableJournal`."""
        begin = wanted.start
        if wanted.since is not None:
            begin = await self._ask(sqlite_reads.since, to_micros(wanted.since))
        order = sqlite_repairs.NewReplay(sink, wanted, begin)
        replay: Replay = await self._do(sqlite_repairs.replay, order)
        return replay

    async def end_replay(self, sink: str) -> Replay | None:
        """See `repair.RepairableJournal`."""
        ended: Replay | None = await self._do(sqlite_repairs.end_replay, sink)
        return ended

    async def retry_parked(self, sink: str, seqs: Sequence[int] | None) -> int:
        """See `repair.RepairableJournal`."""
        chosen = sqlite_repairs.Choice(sink, seqs)
        marked: int = await self._do(sqlite_repairs.retry_parked, chosen)
        return marked

    async def discard_parked(self, sink: str, seqs: Sequence[int] | None) -> int:
        """See `repair.RepairableJournal`."""
        chosen = sqlite_repairs.Choice(sink, seqs)
        gone: int = await self._do(sqlite_repairs.discard_parked, chosen)
        return gone

    async def orders(self, sink: str) -> Orders:
        """See `repair.RepairableJournal`."""
        return await self._ask(sqlite_reads.orders, sink)

    async def retrying(self, sink: str, *, limit: int, max_bytes: int) -> Sequence[Parked]:
        """See `repair.RepairableJournal`."""
        return await self._ask(sqlite_reads.retrying, sink, limit, max_bytes)

    async def redelivered(
        self,
        sink: str,
        delivered: Sequence[int],
        refused: Mapping[int, str],
        *,
        replayed: Replay | None = None,
    ) -> None:
        """See `repair.RepairableJournal`."""
        told = sqlite_repairs.Redelivered(sink, delivered, refused, replayed)
        await self._do(sqlite_repairs.redelivered, told)

    # --- the two threads ---------------------------------------------------------------------

    async def _do(
        self,
        run: Callable[..., Sequence[Any]],
        argument: object,
        *,
        weight: int = 1,
        hurried: bool = True,
    ) -> Any:
        if self._writer is None:
            raise JournalUnusable(
                f"journal {self._path}: it was opened for reading only",
                "Only the daemon changes its journal",
            )
        return await self._writer.submit(run, argument, weight=weight, hurried=hurried)

    async def _ask(
        self,
        question: Callable[Concatenate[Any, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        try:
            return await self._reader.ask(question, *args, **kwargs)
        except JournalUnavailable:
            if self._writer is None:
                raise
            await self.probe()  # the writer finds out what is wrong, and mends it if it can
            return await self._reader.ask(question, *args, **kwargs)
