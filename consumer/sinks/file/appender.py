"""Appending lines to a file so that none is ever torn, lost, or written by two daemons.

Rules
1. Lines are durable when `append` returns: one fdatasync a batch, and one fsync of the directory
   whenever a name in it changes.
2. The file holds whole lines only. Where a batch cannot be written to its end (a full disk), what
   was written of it is cut off again. What a crash left of an unconfirmed batch, opening cuts off
   where it is torn (`mending`).
3. One writer: a lock (flock) is held on the file for as long as it is open.
4. The file is the one at `path`: where somebody moved or removed it, the next batch begins a new
   one. That is what logrotate does, so it needs no signal.

Theory of operation. After any failure the file is closed, and the next `append` opens it anew,
which looks after locks, renamed files and torn lines in one place. All of this blocks, and is
called from one thread at a time.
"""

import errno
import fcntl
import os
import stat
import time
from pathlib import Path

from consumer import directories
from consumer.errors import Unavailable, Unusable
from consumer.sinks.file import mending, rotation

_OPEN = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
_MODE = 0o640  # events hold personal data

# Somebody may replace the file between our opening and our locking it, but not for ever.
_ATTEMPTS = 5

_FOR_A_PERSON = frozenset(
    {
        *(errno.EACCES, errno.EPERM, errno.EROFS),
        *(errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ELOOP),
    }
)


class Appender:
    """The file at `path`; opened by the first `append`, or by `open`."""

    def __init__(self, path: Path, *, most: int, every: float, keep: int) -> None:
        self._path = path
        self._most, self._every, self._keep = most, every, keep
        self._fd = -1

    def open(self) -> None:
        """Open, lock and repair the file.

        Raises `Unusable` where a person has to do something about it, `Unavailable` where the
        file system may get well by itself.
        """
        try:
            directories.make(self._path.parent)
            self._fd = self._open_locked()
            _refuse_what_is_not_ours(self._fd, self._path)
            mending.cut_off_what_is_torn(self._fd)
            directories.sync(self._path.parent)
        except OSError as error:
            self.close()
            reason = f"{self._path} cannot be opened: {error.strerror}"
            if error.errno in _FOR_A_PERSON:
                hint = "Make it a file that this program may write, or choose another path"
                raise Unusable(reason, hint) from error
            raise Unavailable(reason) from error
        except Unusable:
            self.close()
            raise

    def append(self, lines: bytes) -> None:
        """Write lines and sync them, all or nothing; `Unavailable` where that fails."""
        try:
            start = self._stand_ready(len(lines))
            self._write(lines, start)
        except OSError as error:
            self.close()
            raise Unavailable(f"{self._path}: {error.strerror}") from error
        except Unusable as error:
            raise Unavailable(str(error)) from error

    def close(self) -> None:
        """Let go of the file and its lock."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    # --- writing -----------------------------------------------------------------------------

    def _write(self, lines: bytes, start: int) -> None:
        try:
            left = memoryview(lines)
            while left:
                left = left[os.write(self._fd, left) :]
            os.fdatasync(self._fd)
        except OSError:
            os.ftruncate(self._fd, start)
            raise

    def _stand_ready(self, more: int) -> int:
        """Have the right file open: the one at `path`, with room for `more` bytes; its size."""
        state, now = self._state(), time.time()
        if rotation.due(
            state.st_size, state.st_mtime, more, now, most=self._most, every=self._every
        ):
            self._path.rename(rotation.free_name(self._path, now))
            self.close()
            self.open()
            for old in rotation.surplus(self._path, self._keep):
                old.unlink(missing_ok=True)
            state = os.fstat(self._fd)
        return state.st_size

    def _state(self) -> os.stat_result:
        """Of the file at `path`, which is open then."""
        if self._fd >= 0:
            state = os.fstat(self._fd)
            if _is_at(state, self._path):
                return state
            self.close()
        self.open()
        return os.fstat(self._fd)

    # --- opening -----------------------------------------------------------------------------

    def _open_locked(self) -> int:
        for _ in range(_ATTEMPTS):
            fd = os.open(self._path, _OPEN, _MODE)
            try:
                _lock(fd, self._path)
                if _is_at(os.fstat(fd), self._path):
                    return fd
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)
        raise OSError(errno.EAGAIN, "somebody keeps replacing it")


def _lock(fd: int, path: Path) -> None:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise Unusable(f"{path} is no regular file", "Choose another path")
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Unusable(
            f"{path} is being written by another daemon or another sink",
            "Give each of them a path of its own",
        ) from error


def _is_at(state: os.stat_result, path: Path) -> bool:
    """Whether the file that is open in this state is still the one at `path`."""
    try:
        return os.path.samestat(state, path.stat())
    except FileNotFoundError:
        return False


def _refuse_what_is_not_ours(fd: int, path: Path) -> None:
    """A path given by mistake, of the journal say, must not be cut off like a torn line."""
    if not mending.is_ours(fd):
        raise Unusable(f"{path} holds something else than events", "Choose another path")
