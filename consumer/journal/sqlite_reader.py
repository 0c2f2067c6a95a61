"""The one thread that reads the SQLite journal, on a connection of its own.

Readers and the writer do not wait for each other (WAL). A connection is good for one *stand* of
the files, a value that changes when they do: beside a writer that is the writer's count of
openings, alone it is the identity of the files.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from consumer.errors import JournalUnavailable, JournalUnusable
from consumer.journal import sqlite_file
from consumer.journal.sqlite_errors import UNDECODABLE, unavailable

P = ParamSpec("P")
T = TypeVar("T")


class Reader:
    """Answers questions to the journal; `stand` raises `JournalUnavailable` where none is open."""

    def __init__(self, path: Path, stand: Callable[[], object] | None = None) -> None:
        self._path = path
        self._stand = stand or self._alone
        self._stands_on: object = None
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal-reader")

    async def open(self) -> None:
        """See that there is a journal that can be read; raises `JournalUnusable`."""
        try:
            await self._run(self._open)
        except BaseException:
            await self.close()
            raise

    async def ask(
        self,
        question: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """The answer to one question; raises `JournalUnavailable`."""
        return await self._run(lambda: self._answer(lambda db: question(db, *args, **kwargs)))

    async def close(self) -> None:
        """Close the connection."""
        try:
            await self._run(self._disconnect)
        finally:
            self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            pending = asyncio.get_running_loop().run_in_executor(self._thread, work)
        except RuntimeError:
            raise JournalUnavailable(f"journal {self._path}: it is closed") from None
        return await pending

    # --- everything below runs in the thread -------------------------------------------------

    def _open(self) -> None:
        with sqlite_file.opening(self._path):
            try:
                self._connect()
            except JournalUnavailable:
                raise JournalUnusable(
                    f"journal {self._path}: there is none",
                    "Start the daemon first, or see that [journal] url names its journal:"
                    " a relative path begins where this command is started",
                ) from None

    def _answer(self, question: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return question(self._connect())
        except (sqlite3.Error, OSError, *UNDECODABLE) as error:
            self._disconnect()
            if failure := unavailable(self._path, error):
                raise failure from error
            raise

    def _connect(self) -> sqlite3.Connection:
        stand = self._stand()
        if self._connection is None or stand != self._stands_on:
            self._disconnect()
            found = sqlite_file.identify(self._path)
            shared = found is not None and found.wal is not None
            self._connection = sqlite_file.open_reader(self._path, shared=shared)
            self._stands_on = stand
        return self._connection

    def _disconnect(self) -> None:
        if self._connection:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None

    def _alone(self) -> sqlite_file.Identity:
        found = sqlite_file.identify(self._path)
        if found is None:
            raise JournalUnavailable(f"journal {self._path}: the file is gone")
        return found
