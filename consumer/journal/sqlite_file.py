"""The journal's file: who may open it, and in which state.

Rules
- One daemon a file. It holds a lock on `PATH.lock` for as long as it lives; the kernel lets go of
  it when the process dies, however it dies. The lock file stays: removing it would let two in.
- Whoever reads only (a command beside the daemon) takes no lock, creates nothing, writes nothing.
- Opening never scans the file: what is looked at is its header, its length and its catalogue.
- A file that was deleted or replaced under the daemon is still there for the process that has it
  open, and for nobody else. So a file is told by its device and inode, of the database and of its
  write-ahead log, and these are compared around every commit.
"""

import contextlib
import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from consumer import directories
from consumer.errors import JournalInUse, JournalUnavailable, JournalUnusable
from consumer.journal.sqlite_errors import unusable
from consumer.journal.statements import migrations

MIGRATIONS = migrations("sqlite_schema")
APPLICATION_ID = 0x424F434A  # as schema 1 sets it
_BUSY_MS = 5_000  # how long a commit waits for a foreign lock (a database browser)
_BRIEFLY_MS = 200
_CHECKPOINT_PAGES = 2_000
_CACHE_KIB = 16_384  # more makes nothing faster, not even a million events
_PAGE_BYTES = 8_192
_MODE = 0o640  # events hold personal data

_WRITER = f"""
PRAGMA synchronous = FULL;
PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES};
PRAGMA cache_size = -{_CACHE_KIB};
PRAGMA temp_store = MEMORY;
"""

Inode = tuple[int, int]


class Identity(NamedTuple):
    """Which files stand at the journal's path: device and inode of each."""

    database: Inode
    wal: Inode | None


def identify(path: Path) -> Identity | None:
    """What stands at the path now; None where nothing does."""
    database = _inode(path)
    return database and Identity(database, _inode(Path(f"{path}-wal")))


def _inode(path: Path) -> Inode | None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


def verify(path: Path, expected: Identity) -> None:
    """Raise `JournalUnavailable` unless the files that were opened still stand at the path."""
    found = identify(path)
    if found == expected:
        return
    if found is None:
        reason = "the file is gone; put it back, or restart the daemon to begin a new one"
    elif found.database != expected.database:
        reason = "another file stands in its place; restart the daemon to go on with that one"
    else:
        reason = "its write-ahead log (-wal) was removed under way"
    raise JournalUnavailable(f"journal {path}: {reason}")


class Lock:
    """The exclusive right to write a journal, and a hold on its inode.

    The hold keeps the inode's number from being given to another file while we compare by it.
    """

    def __init__(self, path: Path) -> None:
        """Make what is missing (directories, the empty file) and take the lock, or raise."""
        with contextlib.ExitStack() as undo:
            directories.make(path.parent)
            self._lock = _locked(path)
            undo.callback(os.close, self._lock)
            with contextlib.suppress(FileExistsError):
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, _MODE))
            self._hold = os.open(path, getattr(os, "O_PATH", os.O_RDONLY))
            undo.pop_all()

    def release(self) -> None:
        """Let go; only after the last connection is closed."""
        os.close(self._hold)
        with contextlib.suppress(OSError):
            os.ftruncate(self._lock, 0)
        os.close(self._lock)


def _locked(path: Path) -> int:
    lock = Path(f"{path}.lock")
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, _MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise JournalInUse(
            f"journal {path}: another daemon or command, process {holder}, has it open"
            f" (lock file {lock})",
            "Stop that one first, or give each daemon a journal of its own",
        ) from None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def open_writer(path: Path, steps: Sequence[str] = MIGRATIONS) -> sqlite3.Connection:
    """The connection that writes, on a file that exists; brings its schema up to date.

    Raises `JournalUnusable`, or what SQLite raises.
    """
    with contextlib.ExitStack() as undo:
        connection = _connect(path, "mode=rw")
        undo.callback(connection.close)
        version = _version(connection, path, len(steps))
        if version == 0:
            connection.executescript(f"PRAGMA page_size = {_PAGE_BYTES}; PRAGMA auto_vacuum = 2;")
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise JournalUnusable(
                f"journal {path}: its file system allows no write-ahead log",
                "Keep it on a local disk",
            )
        connection.executescript(_WRITER)
        migrate(connection, steps)
        undo.pop_all()
    return connection


def open_reader(
    path: Path, *, shared: bool, steps: Sequence[str] = MIGRATIONS
) -> sqlite3.Connection:
    """A connection that only reads.

    `shared`: somebody has the journal open, or crashed having it open. Otherwise nothing changes
    the file, and it is read without even the files that SQLite needs to share it.
    """
    with contextlib.ExitStack() as undo:
        connection = _connect(path, "mode=ro" if shared else "mode=ro&immutable=1")
        undo.callback(connection.close)
        connection.execute("PRAGMA query_only = true")
        version = _version(connection, path, len(steps))
        if version < len(steps):
            raise JournalUnusable(
                f"journal {path}: an older version of this program wrote it"
                f" (its schema is {version}, this version reads {len(steps)})",
                "Start the daemon once: it brings the journal up to date",
            )
        undo.pop_all()
    return connection


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    if path.is_dir():  # SQLite would call it an input/output error
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None
    )
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    return connection


def _version(connection: sqlite3.Connection, path: Path, newest: int) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION_ID and (application or version or tables):
        raise JournalUnusable(
            f"journal {path}: it is a database of another program", "Give the journal another name"
        )
    if version > newest:
        raise JournalUnusable(
            f"journal {path}: a newer version of this program wrote it"
            f" (its schema is {version}, this version knows {newest})",
            "Run that version, or restore the journal as it was before the upgrade",
        )
    return int(version)


def migrate(connection: sqlite3.Connection, steps: Sequence[str]) -> None:
    """Bring the schema up to date: each step, with its number, is one transaction."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for number, step in enumerate(steps[version:], start=version + 1):
        try:
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{step}\nPRAGMA user_version = {number};\nCOMMIT;"
            )
        except sqlite3.Error:
            connection.rollback()
            raise


def cut_wal(connection: sqlite3.Connection) -> bool:
    """Bring the whole write-ahead log into the database and start it over; False: readers hold it.

    Readers are waited for briefly only: commits wait behind this.
    """
    connection.execute(f"PRAGMA busy_timeout = {_BRIEFLY_MS}")
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    return not busy


@contextlib.contextmanager
def opening(path: Path) -> Iterator[None]:
    """Turn what goes wrong while opening into `JournalUnusable`."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise unusable(path, error) from error
