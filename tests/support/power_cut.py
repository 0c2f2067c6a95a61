"""Runs the program so that a SIGKILL can be turned into a power cut afterwards.

    python power_cut.py SHADOW run -c FILE

The real daemon, in which every write and sync of SQLite and of the file sink is also noted in the
directory SHADOW (`disk_record`). SQLite's are seen by a virtual file system of our own: the default
one with its xWrite, xTruncate, xSync and xDelete wrapped (https://sqlite.org/vfs.html), put there
through ctypes and the library that `sqlite3` itself uses. Nothing of the program is changed, unless
POWER_CUT_SYNCHRONOUS names a weaker setting than its own: to see that the test can fail.
"""

import _sqlite3
import ctypes
import os
import sys
import time
import traceback
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_int64, c_void_p
from pathlib import Path
from typing import Any

from consumer.__main__ import main
from consumer.journal import sqlite_file
from disk_record import Recorder

_OK = 0
_OWN = "FULL"

# Seconds. On a slow disk most kills come between a write and its sync, which is where to look.
_SYNC_TAKES = 0.03

_Call = Callable[..., int]
_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_DELETE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)
_WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
_SYNC = CFUNCTYPE(c_int, c_void_p, c_int)


class _Vfs(ctypes.Structure):
    """`sqlite3_vfs`, version 3; what is not wrapped is only copied."""

    _fields_ = (
        ("iVersion", c_int),
        ("szOsFile", c_int),
        ("mxPathname", c_int),
        ("pNext", c_void_p),
        ("zName", c_char_p),
        ("pAppData", c_void_p),
        ("xOpen", c_void_p),
        ("xDelete", c_void_p),
        ("rest", c_void_p * 14),
    )


class _Methods(ctypes.Structure):
    """`sqlite3_io_methods`, version 3."""

    _fields_ = (
        ("iVersion", c_int),
        ("xClose", c_void_p),
        ("xRead", c_void_p),
        ("xWrite", c_void_p),
        ("xTruncate", c_void_p),
        ("xSync", c_void_p),
        ("rest", c_void_p * 13),
    )


def _certain(function: _Call) -> _Call:
    """A callback that fails ends the process: ctypes would take it for success."""

    def call(*arguments: Any) -> int:
        try:
            return function(*arguments)
        except BaseException:  # noqa: BLE001 - nobody above could do anything about it
            traceback.print_exc()
            os._exit(99)

    return call


class Shim:
    """The wrapped file system; has to live as long as the process."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._paths: dict[int, str] = {}
        self._methods: dict[int, _Methods] = {}
        self._kept: list[object] = []
        library = ctypes.CDLL(_sqlite3.__file__)  # or the library that it is linked to
        library.sqlite3_vfs_find.restype = POINTER(_Vfs)
        original = library.sqlite3_vfs_find(None)
        self._vfs = _Vfs.from_buffer_copy(original.contents)
        self._vfs.zName = b"power-cut"
        self._vfs.xOpen = self._keep(_OPEN, self._open_with(_OPEN(original.contents.xOpen)))
        delete = self._delete_with(_DELETE(original.contents.xDelete))
        self._vfs.xDelete = self._keep(_DELETE, delete)
        assert library.sqlite3_vfs_register(ctypes.byref(self._vfs), 1) == _OK

    def _keep(self, kind: Any, function: _Call) -> int | None:
        """The address of a callback, which must not be collected."""
        callback = kind(_certain(function))
        self._kept.append(callback)
        return ctypes.cast(callback, c_void_p).value

    def _open_with(self, original: _Call) -> _Call:
        def opening(vfs: int, name: int | None, file: int, flags: int, told: int | None) -> int:
            path = ctypes.string_at(name).decode() if name else ""
            if path:
                self._recorder.meet(path)
            status = original(vfs, name, file, flags, told)
            methods = c_void_p.from_address(file)
            if path and status == _OK and methods.value:
                self._paths[file] = path
                methods.value = ctypes.addressof(self._wrapped(methods.value))
            return status

        return opening

    def _delete_with(self, original: _Call) -> _Call:
        def deleting(vfs: int, name: int, and_sync: int) -> int:
            status = original(vfs, name, and_sync)
            if status == _OK:
                path = ctypes.string_at(name).decode()
                self._recorder.remove(path)
                if and_sync:
                    self._recorder.synced(path, self._recorder.begin_sync())
            return status

        return deleting

    def _wrapped(self, address: int) -> _Methods:
        """A copy of the methods at an address, with ours among them; one for each kind of file."""
        if address not in self._methods:
            methods = _Methods.from_buffer_copy(_Methods.from_address(address))
            write: _Call = _WRITE(methods.xWrite)
            truncate: _Call = _TRUNCATE(methods.xTruncate)
            sync: _Call = _SYNC(methods.xSync)

            def writing(file: int, data: int, size: int, offset: int) -> int:
                status = write(file, data, size, offset)
                if status == _OK:
                    held = ctypes.string_at(data, size)
                    self._recorder.write(self._paths[file], offset, held)
                return status

            def truncating(file: int, size: int) -> int:
                status = truncate(file, size)
                if status == _OK:
                    self._recorder.truncate(self._paths[file], size)
                return status

            def syncing(file: int, flags: int) -> int:
                begun = self._recorder.begin_sync()
                time.sleep(_SYNC_TAKES)
                status = sync(file, flags)
                if status == _OK:
                    self._recorder.synced(self._paths[file], begun)
                return status

            methods.xWrite = self._keep(_WRITE, writing)
            methods.xTruncate = self._keep(_TRUNCATE, truncating)
            methods.xSync = self._keep(_SYNC, syncing)
            self._methods[address] = methods
        return self._methods[address]


class Files:
    """Wraps the calls by which the file sink writes; files named *.jsonl count."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._open, self._write = os.open, os.write
        self._truncate, self._sync = os.ftruncate, os.fdatasync

    def wrap(self) -> None:
        """From now on the calls of this process are noted."""
        for name in ("open", "write", "ftruncate", "fdatasync"):
            setattr(os, name, getattr(self, name))

    def open(self, path: Any, *arguments: Any, **named: Any) -> int:
        """See `os.open`."""
        if str(path).endswith(".jsonl"):
            self._recorder.meet(str(Path(path).absolute()))
        return self._open(path, *arguments, **named)

    def write(self, fd: int, data: Any) -> int:
        """See `os.write`."""
        path = _archive(fd)
        offset = os.fstat(fd).st_size if path else 0  # it is open for appending
        written = self._write(fd, data)
        if path:
            self._recorder.write(path, offset, bytes(data[:written]))
        return written

    def ftruncate(self, fd: int, length: int) -> None:
        """See `os.ftruncate`."""
        self._truncate(fd, length)
        if path := _archive(fd):
            self._recorder.truncate(path, length)

    def fdatasync(self, fd: int) -> None:
        """See `os.fdatasync`."""
        begun = self._recorder.begin_sync()
        time.sleep(_SYNC_TAKES)
        self._sync(fd)
        if path := _archive(fd):
            self._recorder.synced(path, begun)


def _archive(fd: int) -> str | None:
    path = os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115 - a Path would be made for each write
    return path if path.endswith(".jsonl") else None


def _weaken(synchronous: str) -> None:
    """Have the program sync less than it would."""
    own = f"synchronous = {_OWN}"
    assert own in sqlite_file._WRITER
    sqlite_file._WRITER = sqlite_file._WRITER.replace(own, f"synchronous = {synchronous}")


if __name__ == "__main__":
    shadow = Path(sys.argv.pop(1))
    recorder = Recorder(shadow.absolute())
    shim = Shim(recorder)
    Files(recorder).wrap()
    _weaken(os.environ.get("POWER_CUT_SYNCHRONOUS", _OWN))
    sys.exit(main())
