"""A disk for tests: it fills up, turns read-only, and gets well again, under a running daemon.

Full, in the first way that works here:

- `mounted`: a tmpfs of its own, which is really full (ENOSPC). It takes the right to mount.
- `limited`: the kernel refuses every write of the daemon beyond the size that files have now
  (RLIMIT_FSIZE, EFBIG). It works for everybody; other processes notice nothing.

Read-only, likewise:

- `immutable`: `chattr +i` on journal and write-ahead log: writes fail with EPERM, for root too and
  on descriptors that are open, and a new opening gets a read-only file. It takes the right to do
  so, and a file system that heeds it on open files (ext4; tmpfs does not).
- `limited`: as above, at size 0. A mount cannot be made read-only while the daemon writes to it.

Which one a test has had stands in its output (`pytest -rP`), and in `how`.
"""

import contextlib
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from daemon_process import DaemonProcess
from extent import extent

_SIZE = extent(64 << 20, long=512 << 20)  # bytes; all that a test writes has room in it
_BLOCK = 64 << 10


class Disk(Protocol):
    """Where a daemon has its directory."""

    how: str
    directory: Path

    def spoil(self, daemon: DaemonProcess) -> None:
        """From now on writes to the journal fail."""
        ...

    def mend(self, daemon: DaemonProcess) -> None:
        """They work again."""
        ...


@contextlib.contextmanager
def filling_disk(directory: Path) -> Iterator[Disk]:
    """A disk that `spoil` fills."""
    directory.mkdir()
    mounted = _try("mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "none", str(directory))
    try:
        yield _Mounted(directory) if mounted else _Limited(directory)
    finally:
        if mounted:
            assert _try("umount", "--lazy", str(directory))


@contextlib.contextmanager
def freezing_disk(directory: Path) -> Iterator[Disk]:
    """A disk that `spoil` makes read-only."""
    directory.mkdir()
    disk = _Immutable(directory) if _heeds_immutable(directory) else _Limited(directory)
    try:
        yield disk
    finally:
        if isinstance(disk, _Immutable):
            _try("chattr", "-i", *map(str, directory.glob("journal.db*")))


class _Mounted:
    how = "mounted"

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def spoil(self, daemon: DaemonProcess) -> None:  # noqa: ARG002 - whoever writes there
        with (self.directory / "ballast").open("wb", buffering=0) as ballast:
            for size in (_BLOCK, 1):
                with contextlib.suppress(OSError):
                    while True:
                        ballast.write(bytes(size))

    def mend(self, daemon: DaemonProcess) -> None:  # noqa: ARG002 - likewise
        (self.directory / "ballast").unlink()


class _Limited:
    how = "limited"

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def spoil(self, daemon: DaemonProcess) -> None:
        _, hard = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (0, hard))

    def mend(self, daemon: DaemonProcess) -> None:
        _, hard = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (hard, hard))


class _Immutable:
    how = "immutable"

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def spoil(self, daemon: DaemonProcess) -> None:
        assert _try("chattr", "+i", *self._files(daemon))

    def mend(self, daemon: DaemonProcess) -> None:
        assert _try("chattr", "-i", *self._files(daemon))

    def _files(self, daemon: DaemonProcess) -> list[str]:
        return [str(daemon.journal), f"{daemon.journal}-wal"]


def _heeds_immutable(directory: Path) -> bool:
    """Whether a file that is open for writing can be made immutable here, and is then."""
    probe = directory / "probe"
    descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT)
    try:
        if not _try("chattr", "+i", str(probe)):
            return False
        try:
            os.write(descriptor, b"?")
        except PermissionError:
            return True
        finally:
            _try("chattr", "-i", str(probe))
        return False
    finally:
        os.close(descriptor)
        probe.unlink()


def _try(*command: str) -> bool:
    """Whether a command succeeds; it fails where it may not, or where there is none."""
    try:
        return not subprocess.run(command, capture_output=True, check=False, timeout=20).returncode
    except FileNotFoundError:
        return False
