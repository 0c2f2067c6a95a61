"""The one thread that writes the SQLite journal: group commit.

Rules
- All that waits is committed in one transaction, in the order of the calls. While one group is
  being synced the next one gathers; the slower the disk, the larger the groups.
- A result is handed out only after COMMIT has synced (`synchronous = FULL`) and the files that were
  synced still stand at the journal's path.
- When the storage fails, the whole group fails with `JournalUnavailable` and the connection is
  thrown away: after a failed write or sync nobody knows what the kernel still holds. The next group
  opens a new one, which reads back what is really on disk.
- What must not be (`Refused`) is refused before anything is changed for it: the error is the
  result of that one request, and the commit goes on.
- When something else fails, it is one request's own fault: the group is tried again one by one,
  and only the guilty one gets the error.
- A caller that stops waiting changes nothing: its work may be committed all the same.
- What nobody hurries for waits a moment for company, to go along with a commit that somebody
  hurries for. It does not wait where there was one of which it was asked for without knowing.
- What came of each commit is heard, in order, before anybody who waits for it is told.
"""

import asyncio
import contextlib
import itertools
import math
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from time import monotonic
from typing import Any

from consumer.errors import JournalUnavailable, JournalUnusable
from consumer.journal import sqlite_file
from consumer.journal.sqlite_errors import unavailable
from consumer.journal.sqlite_writes import probe

_GROUP_WEIGHT = 4_096  # rows of a commit, or 64 MiB; what waits beyond that goes into the next
_WAL_BYTES = 64 << 20
_COMPANY = 0.02  # seconds that what nobody hurries for waits for others to be committed with


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """Something to do in the next commit.

    `run` takes the arguments of all neighbouring requests of its kind and gives a result for each.
    `weight`: about how many rows it changes, and how large they are. `hurried`: something waits
    for it to be done. `told` is how many such commits had been told of when it was asked for.
    """

    run: Callable[[sqlite3.Connection, Sequence[Any]], Sequence[Any]]
    argument: Any
    weight: int
    hurried: bool
    told: int
    future: "asyncio.Future[Any]"


Commit = Sequence[Any] | None
"""The results of a commit, in the order in which they came about; None: one that failed."""

_Results = Sequence[tuple["asyncio.Future[Any]", Any]]


class Writer:
    """Owns the journal's lock and its writing connection, both in a thread of its own.

    `heard` is called in the event loop with what came of each commit.
    """

    def __init__(self, path: Path, heard: Callable[[Commit], None]) -> None:
        self._path = path
        self._heard = heard
        self._queue: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._connection: sqlite3.Connection | None = None
        self._identity: sqlite_file.Identity | None = None
        self._generation = 0
        self._hurried = 0  # commits that somebody hurried for
        self._told = 0  # those of them that the event loop knows of
        self._closing = False
        self._wal = Path(f"{path}-wal")
        self._patience = _WAL_BYTES
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, name="journal-writer", daemon=True)

    async def open(self) -> None:
        """Lock, open, migrate and try a write; raises `JournalUnusable`."""
        self._thread.start()
        try:
            await asyncio.shield(self._opened)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Commit what waits and let go of the file."""
        self._closing = True
        self._queue.put(None)
        await asyncio.shield(self._closed)

    async def submit(
        self,
        run: Callable[[sqlite3.Connection, Sequence[Any]], Sequence[Any]],
        argument: Any,
        *,
        weight: int = 1,
        hurried: bool = True,
    ) -> Any:
        """Have something done in the next commit and wait for that."""
        if self._closing:
            raise self._closed_error()
        future: asyncio.Future[Any] = self._loop.create_future()
        self._queue.put(Request(run, argument, weight, hurried, self._told, future))
        return await future

    def _closed_error(self) -> JournalUnavailable:
        return JournalUnavailable(f"journal {self._path}: it is closed")

    def stand(self) -> int:
        """Which opening of the files readers may go on with; raises `JournalUnavailable`.

        Called from the reader's thread. A new number means: connect anew.
        """
        generation, identity = self._generation, self._identity
        if identity is None:
            raise JournalUnavailable(f"journal {self._path}: it is not open")
        sqlite_file.verify(self._path, identity)
        return generation

    # --- everything below runs in the thread -------------------------------------------------

    def _work(self) -> None:
        lock = None
        try:
            with sqlite_file.opening(self._path):
                lock = sqlite_file.Lock(self._path)
                self._connect()
        except Exception as error:  # noqa: BLE001 - whoever waits for the opening is told, always
            self._tell([(self._opened, error)])
        else:
            self._tell([(self._opened, None)])
            while self._serve():
                pass
        finally:
            self._disconnect()
            if lock:
                lock.release()
            self._tell([(self._closed, None), *self._left_over()])

    def _left_over(self) -> _Results:
        """What nobody will do any more, should this thread end by a mistake of ours."""
        self._closing = True
        left = []
        with contextlib.suppress(queue.Empty):
            while True:
                if request := self._queue.get_nowait():
                    left.append((request.future, self._closed_error()))
        return left

    def _serve(self) -> bool:
        """Commit what waits, once something does; False at the end. Nothing of it is kept."""
        group, commits = self._take(), list[Commit]()
        results = self._results(group, commits) if group else ()
        self._hurried += any(request.hurried for request in group)
        self._tell(results, commits)
        self._bound_wal()
        return bool(group)

    def _take(self) -> Sequence[Request]:
        """All that waits, up to a limit; nothing at the end."""
        request, group, weight = self._queue.get(), [], 0
        until = math.inf
        with contextlib.suppress(queue.Empty):
            while request is not None:
                group.append(request)
                weight += request.weight
                if weight >= _GROUP_WEIGHT:
                    return group
                until = min(until, self._waits_until(request))
                request = self._queue.get(timeout=max(0.0, until - monotonic()))
            if group:
                self._queue.put(None)  # the end is next
        return group

    def _waits_until(self, request: Request) -> float:
        if request.hurried or request.told < self._hurried:
            return 0.0
        return monotonic() + _COMPANY

    def _results(self, group: Sequence[Request], commits: list[Commit]) -> _Results:
        """A result for each request; `commits` takes what is to be heard of the commits."""
        try:
            results = self._commit(group)
        except JournalUnavailable as error:
            commits.append(None)
            self._disconnect()
            return [(request.future, JournalUnavailable(error.reason)) for request in group]
        except Exception as error:  # noqa: BLE001 - any error belongs to the caller that caused it
            commits.append(None)
            if len(group) == 1:
                return [(group[0].future, error)]
            return [result for request in group for result in self._results([request], commits)]
        commits.append(results)
        return [(request.future, result) for request, result in zip(group, results, strict=True)]

    def _commit(self, group: Sequence[Request]) -> Sequence[Any]:
        try:
            connection = self._connection or self._connect()
            self._verify(connection)
            with _transaction(connection):
                results = [
                    result
                    for run, requests in itertools.groupby(group, key=attrgetter("run"))
                    for result in run(connection, [request.argument for request in requests])
                ]
            self._verify(connection)
        except JournalUnusable as error:
            raise JournalUnavailable(error.reason) from error
        except (sqlite3.Error, OSError) as error:
            if failure := unavailable(self._path, error):
                raise failure from error
            raise
        return results

    def _connect(self) -> sqlite3.Connection:
        """Open the file; from the second time on it has to be the one of the first time."""
        if self._identity:
            found = sqlite_file.identify(self._path)
            if found is None or found.database != self._identity.database:
                sqlite_file.verify(self._path, self._identity)
        connection = sqlite_file.open_writer(self._path)
        try:
            with _transaction(connection):
                probe(connection, [None])
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self._identity = sqlite_file.identify(self._path) or self._identity
        self._generation += 1
        return connection

    def _verify(self, connection: sqlite3.Connection) -> None:
        try:
            self.stand()
        except JournalUnavailable:
            # What was committed before lives in a log without a name: bring it into the database.
            with contextlib.suppress(sqlite3.Error):
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            raise

    def _disconnect(self) -> None:
        if self._connection:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None

    def _bound_wal(self) -> None:
        """Start the log over where readers, who always come and go, let it grow for too long."""
        with contextlib.suppress(sqlite3.Error, OSError):
            size = self._wal.stat().st_size
            if self._connection and size > self._patience:
                cut = sqlite_file.cut_wal(self._connection)
                self._patience = _WAL_BYTES if cut else size + _WAL_BYTES

    def _tell(self, results: _Results, commits: Sequence[Commit] = ()) -> None:
        with contextlib.suppress(RuntimeError):  # nobody is left to be told: the loop is closed
            self._loop.call_soon_threadsafe(self._settle, results, commits, self._hurried)

    # --- and this in the event loop ----------------------------------------------------------

    def _settle(self, results: _Results, commits: Sequence[Commit], told: int) -> None:
        self._told = told
        for commit in commits:
            self._heard(commit)
        for future, result in results:
            if future.done():
                continue  # its caller was cancelled
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.rollback()
        raise
