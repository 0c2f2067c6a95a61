"""What the failures of SQLite and of the file system mean: the one place where they are translated.

Two tables: SQLite's primary result codes, and the operating system's error numbers. A code that is
in neither is not the storage's fault but a mistake in this program, and is not translated.
"""

import errno
import os
import sqlite3
from pathlib import Path

import msgspec

from consumer.errors import JournalUnavailable, JournalUnusable

_PRIMARY = 0xFF  # extended result codes carry the primary one in their low byte

_FREE_SPACE = "Free some space there"
_REPAIR = (
    "Restore a backup of it, or move it away together with its -wal and -shm files: the daemon then"
    " starts a new one"
)

_SQLITE = {
    sqlite3.SQLITE_FULL: ("the disk is full", _FREE_SPACE),
    sqlite3.SQLITE_IOERR: (
        "the disk cannot be read or written",
        "Look for disk errors and size limits in the system's log",
    ),
    sqlite3.SQLITE_READONLY: (
        "it is read-only",
        "Make the file, its directory and the disk writable for this user",
    ),
    sqlite3.SQLITE_PERM: ("access is denied", "Let this user read and write the file"),
    sqlite3.SQLITE_CANTOPEN: (
        "it cannot be opened",
        "See that it is a file, and that this user may read and write it and its directory",
    ),
    sqlite3.SQLITE_BUSY: (
        "another program keeps it locked",
        "Close whatever else has the file open (a database browser, a backup)",
    ),
    sqlite3.SQLITE_LOCKED: (
        "another program keeps it locked",
        "Close whatever else has the file open (a database browser, a backup)",
    ),
    sqlite3.SQLITE_PROTOCOL: (
        "its locks do not work",
        "Keep it on a local disk: network file systems do not lock well enough",
    ),
    sqlite3.SQLITE_NOLFS: ("the file system cannot hold a file that large", "Use another one"),
    sqlite3.SQLITE_CORRUPT: ("it is damaged", _REPAIR),
    sqlite3.SQLITE_NOTADB: ("it is no SQLite database", _REPAIR),
}

_NO_DIRECTORY = {errno.ENOTDIR, errno.EEXIST}
_SYSTEM = {
    errno.ENOSPC: ("the disk is full", _FREE_SPACE),
    errno.EDQUOT: ("the disk quota is used up", _FREE_SPACE),
    errno.EFBIG: ("a limit on the size of files is reached", "Raise it (ulimit -f)"),
    errno.EROFS: ("the disk is read-only", "Choose another place, or make it writable"),
    errno.EACCES: ("access is denied", "Let this user read and write the file and its directory"),
    errno.EPERM: ("access is denied", "Let this user read and write the file and its directory"),
    errno.ENOTDIR: (
        "its directory is a file",
        "Choose another place",
    ),
    errno.EEXIST: ("its directory is a file", "Choose another place"),
    errno.EISDIR: ("it is a directory", "Give the name of a file in it"),
}


# What comes of reading values that nobody has written
UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, OverflowError)


def explain(error: Exception) -> tuple[str, str] | None:
    """What is wrong with the storage and what a person can do; None where it is not to blame."""
    if isinstance(error, OSError):
        number = error.errno or 0
        return _SYSTEM.get(number, (os.strerror(number), "See that the disk works"))
    if isinstance(error, UNDECODABLE) or str(error).startswith("Could not decode to UTF-8"):
        return _SQLITE[sqlite3.SQLITE_CORRUPT]
    code = getattr(error, "sqlite_errorcode", None)  # absent on what Python itself raises
    return None if code is None else _SQLITE.get(code & _PRIMARY)


def unusable(path: Path, error: sqlite3.Error | OSError) -> JournalUnusable:
    """For a journal that cannot be opened, or whose directory cannot be made."""
    reason, hint = explain(error) or (str(error), "")
    if _is_above(path, error):
        reason = f"the directory {path.parent} cannot be created: {reason}"
        hint = "Choose another place, or make that directory for this user"
    return JournalUnusable(f"journal {path}: {reason}", hint)


def _is_above(path: Path, error: sqlite3.Error | OSError) -> bool:
    """Whether it is a directory for the journal that could not be made."""
    if not isinstance(error, OSError) or not error.filename or error.errno in _NO_DIRECTORY:
        return False
    return Path(error.filename) in path.parents


def unavailable(path: Path, error: Exception) -> JournalUnavailable | None:
    """For a journal that fails while it is open; None where it is not the storage that failed.

    What does not pass by itself is told with what to do about it.
    """
    explained = explain(error)
    if explained is None:
        return None
    reason, hint = explained
    return JournalUnavailable(f"journal {path}: {reason}" + f". {hint}" * (hint is _REPAIR))
