"""The daemon: its parts put together, started, stopped and watched.

It starts journal, sinks, dispatcher, intake, listener, sources, and stops in the reverse order,
each step for its reason: sources stop taking, so that nothing new comes; the listener lets the
requests under way finish; the intake drains into the journal, so that what was taken is kept; the
pumps get a bounded time for what is pending, and what they do not manage waits in the journal for
the next start; then everything closes. A part that dies unexpectedly stops the daemon the same
way, and `run` raises why: it is never left half alive.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from time import monotonic
from typing import Any

from consumer import __version__
from consumer.admin import Admin
from consumer.app.building import build_sinks, build_sources, load_schemas
from consumer.app.operators import Operators
from consumer.board import UNUSED, Board
from consumer.config import journal_path
from consumer.dispatcher import Bell, Pump
from consumer.errors import Unusable
from consumer.housekeeping import keep_retention, watch_loop
from consumer.intake import Intake
from consumer.journal.sqlite import SqliteJournal
from consumer.listener import Listener
from consumer.normalisation import xml
from consumer.polling import PollOptions
from consumer.ports import Ground
from consumer.settings import Settings
from consumer.surveyor import Surveyor
from consumer.telemetry import Log, Metrics
from consumer.validation import Schemas
from consumer.workshop import Workshop


def _nothing() -> None:
    """What is done at the start where nobody asks for anything."""


class Daemon:
    """One running daemon."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._sources = build_sources(settings)
        self._sinks = build_sinks(settings)
        self._metrics = Metrics()
        self._metrics.expect(
            [source.name for source in settings.sources],
            [sink.name for sink in settings.sinks],
            [source.name for source in settings.sources if isinstance(source, PollOptions)],
        )
        self._log = Log()
        self._board = Board(self._metrics, self._log)
        self._bell = Bell()
        self._pumps: dict[str, Pump] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._deadline = 0.0

    async def run(self, stop: asyncio.Event, ready: Callable[[], None] = _nothing) -> None:
        """Run until `stop` is set; raises whatever killed a part. `ready` is called once every
        part has started.
        """
        journal = SqliteJournal(journal_path(self._settings.journal.url))
        async with journal as self._journal, AsyncExitStack() as stack:
            operators = self._operators()
            await self._assemble(stack, operators)
            self._log.started(
                version=__version__,
                sources=[source.name for source in self._sources],
                sinks=[sink.name for sink in self._sinks],
                xml_reader="compiled" if xml.COMPILED else "python",
            )
            operators.not_running = None
            ready()
            try:
                await self._until_stopped(stop)
            finally:
                operators.not_running = "stopping"
                self._deadline = monotonic() + self._settings.stop.grace
        self._log.stopped()

    def _operators(self) -> Operators:
        sinks = [sink.name for sink in self._sinks]
        return Operators(self._journal, sinks, self._board, self._metrics, self._log)

    async def _assemble(self, stack: AsyncExitStack, operators: Operators) -> None:
        """Start every part; leaving `stack` stops them in the reverse order."""
        settings = self._settings
        schemas = await asyncio.to_thread(load_schemas, settings)
        admin = Admin(
            settings.admin,
            readiness=operators.readiness,
            metrics=operators.render_metrics,
            journal=self._journal,
            repairs=self._workshop(schemas),
            on_error=partial(self._bug, "admin"),
        )
        await stack.enter_async_context(admin)
        self._log.listening(what="admin", address=admin.address)
        for sink in self._sinks:
            await stack.enter_async_context(sink)
        await stack.enter_async_context(self._dispatching())
        intake = Intake(
            self._journal,
            schemas,
            settings=settings.intake,
            privacy=settings.privacy,
            metrics=self._metrics,
            log=self._log,
            committed=self._bell.ring,
        )
        stack.push_async_callback(self._drain, intake)
        await stack.enter_async_context(self._housekeeping())
        listener = Listener(
            settings.webhooks,
            on_error=partial(self._bug, "listener"),
            on_answer=operators.answered,
            on_cut_off=self._metrics.cut_off.inc,
            grace=partial(self._time_left, share=0.5),
        )
        surveys = Surveyor(
            self._journal,
            commit=intake.commit,
            privacy=settings.privacy,
            metrics=self._metrics,
            log=self._log,
        )
        await surveys.tell_unwatched(
            [source.name for source in self._sources],
            [scope for options in settings.sources for scope in getattr(options, "scopes", ())],
        )
        await stack.enter_async_context(self._sourcing(intake, listener, surveys))

    def _workshop(self, schemas: Schemas) -> Workshop:
        return Workshop(
            self._journal,
            schemas,
            privacy=self._settings.privacy,
            intake=self._settings.intake,
            ordered=self._reconsider,
            committed=self._bell.ring,
            sinks=[sink.name for sink in self._sinks],
            metrics=self._metrics,
            log=self._log,
        )

    def _reconsider(self, sink: str) -> None:
        """Tell a sink's pump, if it has one, that something else is wanted."""
        if sink in self._pumps:
            self._pumps[sink].reconsider()

    def _bug(self, where: str, error: BaseException) -> None:
        self._log.bug(where=where, error=error)

    # --- its parts ---------------------------------------------------------------------------

    @asynccontextmanager
    async def _housekeeping(self) -> AsyncIterator[None]:
        retention = keep_retention(
            self._journal,
            self._settings.journal.retention,
            [sink.name for sink in self._sinks],
            metrics=self._metrics,
            log=self._log,
        )
        tasks = [
            self._spawn("housekeeping.loop", watch_loop(self._metrics)),
            self._spawn("housekeeping.retention", retention),
        ]
        try:
            yield
        finally:
            await self._cancel(tasks)

    @asynccontextmanager
    async def _dispatching(self) -> AsyncIterator[None]:
        options = {chosen.name: chosen for chosen in self._settings.sinks}
        cursors = await self._journal.enroll(
            {name: chosen.start == "oldest" for name, chosen in options.items()}
        )
        runs = []
        for sink in self._sinks:
            pump = Pump(
                self._journal,
                sink,
                options[sink.name],
                bell=self._bell,
                status=self._board.part(f"sinks.{sink.name}", UNUSED),
                metrics=self._metrics,
                log=self._log,
            )
            self._pumps[sink.name] = pump
            runs.append(self._spawn(f"sinks.{sink.name}", pump.run(cursors[sink.name])))
        try:
            yield
        finally:
            for pump in self._pumps.values():
                pump.finish()
            await self._end(runs, within=self._time_left())

    async def _drain(self, intake: Intake) -> None:
        await intake.drain(self._time_left(share=0.5))

    @asynccontextmanager
    async def _sourcing(
        self, intake: Intake, listener: Listener, surveys: Surveyor
    ) -> AsyncIterator[None]:
        runs = []
        for source in self._sources:
            status = self._board.part(f"sources.{source.name}")
            ground = Ground(intake=intake, status=status, webhooks=listener, surveys=surveys)
            runs.append(self._spawn(f"sources.{source.name}", source.run(ground)))
        try:
            await asyncio.sleep(0)  # every source has registered its paths before its first wait
            async with AsyncExitStack() as stack:
                if listener.routed:
                    await stack.enter_async_context(listener)
                    self._log.listening(what="webhooks", address=listener.address)
                try:
                    yield
                finally:
                    for source in self._sources:
                        source.stop()
                    await self._end(runs, within=self._time_left(share=0.5))
        finally:
            await self._cancel(runs)

    # --- life and death ----------------------------------------------------------------------

    def _spawn(self, part: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=part)
        self._tasks.append(task)
        return task

    async def _until_stopped(self, stop: asyncio.Event) -> None:
        """Wait for a stop; a part that ends before is raised as what ended it."""
        asked = asyncio.create_task(stop.wait(), name="stop")
        try:
            done, _ = await asyncio.wait([asked, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()
        for task in done - {asked}:
            self._log.stopping(reason=f"{task.get_name()} ended")
            if not task.cancelled():
                task.result()
            raise Unusable(f"{task.get_name()} ended by itself", "This is a bug, please report it")
        self._log.stopping(reason="asked to")

    def _time_left(self, *, share: float = 1.0) -> float:
        """Seconds that a step of stopping may take: of what is left of the grace, a share."""
        return max(0.0, self._deadline - monotonic()) * share

    async def _end(self, tasks: Sequence[asyncio.Task[None]], *, within: float) -> None:
        """Give tasks that were told to end so many seconds for it, then cancel them."""
        if tasks:
            await asyncio.wait(tasks, timeout=within)
        await self._cancel(tasks)

    async def _cancel(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """End tasks, and tell of each that died, once: some are cancelled on two ways out."""
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for task in tasks:
            if task in self._tasks:
                self._tasks.remove(task)
                self._tell_end(task)

    def _tell_end(self, task: asyncio.Task[None]) -> None:
        """Tell what a task died of, if it did. `await` would cut off the place that it died at."""
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Unusable):
            self._log.part_down(task.get_name(), str(error))
        elif error is not None:
            self._log.bug(where=task.get_name(), error=error)
