"""What a disk would hold after a power cut: a record of writes and syncs, and its replay.

Rules
- A write is in the page cache until a sync of its file has returned; only then is it on the disk.
  The record has all of them in their order, and a sync covers the writes before its beginning.
- A new file is on the disk from its first sync on, a removal from the next sync in its directory
  on (SQLite syncs the directory with a new file).
- The record is made by the process that is going to be killed (`power_cut`), by one write(2) for
  each entry: what the kernel took survives a SIGKILL, and a torn last entry is left out.
- What was not synced is dropped, or, where chance is given, some sectors of it survive: a disk may
  write in any order, and break off anywhere.

Nothing here knows of SQLite.
"""

import os
import random
import shutil
import struct
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

_HEADER = struct.Struct("<cHQQ")  # kind, length of the name, a number, length of the data
_NEW, _WRITE, _TRUNCATE, _REMOVE, _SYNC = b"N", b"W", b"T", b"R", b"S"
_SECTOR = 512
_SURVIVING = 0.5


class Entry(NamedTuple):
    """`number` is an offset, a size, or how many entries a sync covers."""

    kind: bytes
    name: str
    number: int
    data: bytes


class Recorder:
    """Writes the record of one process into the directory `shadow`, from any thread."""

    def __init__(self, shadow: Path) -> None:
        shutil.rmtree(shadow, ignore_errors=True)
        shadow.mkdir(parents=True)
        self._shadow = shadow
        self._record = os.open(shadow / "record", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._dirty = os.open(shadow / "dirty", os.O_WRONLY | os.O_CREAT)
        self._lock = threading.Lock()
        self._met: set[str] = set()
        self._entries = 0

    def meet(self, path: str) -> None:
        """Before a file is opened: what it holds now is on the disk."""
        with self._lock:
            if path in self._met:
                return
            self._met.add(path)
            try:
                shutil.copy(path, self._shadow / "copying")
            except FileNotFoundError:
                self._note(_NEW, path)
            else:
                (self._shadow / "copying").rename(self._shadow / _flat(path))

    def write(self, path: str, offset: int, data: bytes) -> None:
        """After a write."""
        with self._lock:
            self._note(_WRITE, path, offset, data)

    def truncate(self, path: str, size: int) -> None:
        """After a file got another size."""
        with self._lock:
            self._note(_TRUNCATE, path, size)

    def remove(self, path: str) -> None:
        """After a file was removed."""
        with self._lock:
            self._note(_REMOVE, path)

    def begin_sync(self) -> int:
        """Before a sync; what it returns belongs into `synced`."""
        with self._lock:
            return self._entries

    def synced(self, path: str, begun: int) -> None:
        """After a sync that succeeded, and before anybody is told so."""
        with self._lock:
            self._note(_SYNC, path, begun)

    def _note(self, kind: bytes, path: str, number: int = 0, data: bytes = b"") -> None:
        name = path.encode()
        entry = _HEADER.pack(kind, len(name), number, len(data)) + name + data
        taken = os.write(self._record, entry)
        assert taken == len(entry), "the record itself has no room"
        self._entries += 1
        os.pwrite(self._dirty, b"0" if kind == _SYNC else b"1", 0)


def under_way(shadow: Path) -> bool:
    """Whether the process has written something just now that is not synced yet."""
    return (shadow / "dirty").read_bytes() == b"1"


def cut_power(shadow: Path, chance: random.Random | None = None) -> int:
    """Make the files what the disk held when the process died; how many writes were not on it.

    With `chance`, of what was not synced a part survives.
    """
    disk = _Disk(shadow)
    for entry in _entries(shadow / "record"):
        disk.take(entry)
    lost = sum(len(file.cached) for file in disk.files.values())
    for path, file in disk.files.items():
        if chance:
            file.settle(file.cached, chance)
        if file.content is None:
            Path(path).unlink(missing_ok=True)
        else:
            Path(path).write_bytes(file.content)
    return lost


# --- replay ------------------------------------------------------------------------------------


@dataclass
class _File:
    """`content` is what is on the disk, None while the disk knows no such file."""

    content: bytearray | None
    cached: list[tuple[int, Entry]] = field(default_factory=list)

    def settle(
        self, changes: Sequence[tuple[int, Entry]], chance: random.Random | None = None
    ) -> None:
        for _, change in changes:
            if chance is None or chance.random() < _SURVIVING:
                self._apply(change, chance)

    def _apply(self, change: Entry, chance: random.Random | None) -> None:
        if change.kind == _REMOVE:
            self.content = None
            return
        content = self.content = bytearray() if self.content is None else self.content
        if change.kind == _TRUNCATE:
            del content[change.number :]
            content.extend(bytes(change.number - len(content)))
            return
        step = _SECTOR if chance else max(1, len(change.data))
        for start in range(0, len(change.data), step):
            if chance is None or chance.random() < _SURVIVING:
                at, part = change.number + start, change.data[start : start + step]
                content.extend(bytes(max(0, at - len(content))))
                content[at : at + len(part)] = part


class _Disk:
    def __init__(self, shadow: Path) -> None:
        self._shadow = shadow
        self._count = 0
        self.files = {
            _path(kept.name): _File(bytearray(kept.read_bytes()))
            for kept in shadow.iterdir()
            if kept.name.startswith("file")
        }

    def take(self, entry: Entry) -> None:
        """One entry of the record."""
        file = self.files.setdefault(entry.name, _File(None))
        if entry.kind == _SYNC:
            self._sync(entry, file)
        elif entry.kind != _NEW:
            file.cached.append((self._count, entry))
        self._count += 1

    def _sync(self, entry: Entry, file: _File) -> None:
        if file.content is None:
            file.content = bytearray()
        for path, other in self.files.items():
            if Path(path).parent == Path(entry.name).parent:
                removals = [n for n, change in other.cached if change.kind == _REMOVE]
                covered = max((n for n in removals if n < entry.number), default=-1)
                _settle_up_to(other, covered + 1)
        _settle_up_to(file, entry.number)


def _settle_up_to(file: _File, number: int) -> None:
    file.settle([each for each in file.cached if each[0] < number])
    file.cached = [each for each in file.cached if each[0] >= number]


def _entries(record: Path) -> Iterator[Entry]:
    held = memoryview(record.read_bytes())
    while len(held) >= _HEADER.size:
        kind, name, number, data = _HEADER.unpack_from(held)
        end = _HEADER.size + name + data
        if len(held) < end:
            return
        text = bytes(held[_HEADER.size : _HEADER.size + name]).decode()
        yield Entry(kind, text, number, bytes(held[end - data : end]))
        held = held[end:]


def _flat(path: str) -> str:
    """A name for the copy of the file at an absolute path."""
    return "file" + path.replace("%", "%25").replace("/", "%2F")


def _path(flat: str) -> str:
    return flat.removeprefix("file").replace("%2F", "/").replace("%25", "%")
