"""When a file is full, what it is called afterwards, and which of the old ones go.

A file is full where the next batch would grow it beyond `size`. It is old where it was last
written in an earlier window of `every` seconds: windows are counted from the epoch, so `1d` gives
a file for each day (UTC), and a restart changes nothing. A file is looked at when a batch comes: an
idle sink rotates nothing.

`events.jsonl` becomes `events-20160713T134754Z-1.jsonl`: the moment of the rotation, and a number
that tells apart rotations in the same second. These names sort in the order of the events.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path

_STAMP = "%Y%m%dT%H%M%SZ"


def due(size: int, written: float, more: int, now: float, *, most: int, every: float) -> bool:
    """Whether a file of `size` bytes, last written at `written`, makes way for `more` bytes.

    `most` bytes and `every` seconds of 0 mean no limit. An empty file never makes way.
    """
    full = bool(most) and size + more > most
    old = bool(every) and now // every > written // every
    return size > 0 and (full or old)


def free_name(path: Path, now: float) -> Path:
    """What the file at `path` is called after a rotation at `now`.

    It sorts behind every name that is there, also where the clock was set back.
    """
    newest, number = max((place for place, _ in _rotated(path)), default=("", 0))
    stamp = time.strftime(_STAMP, time.gmtime(now))
    if newest >= stamp:
        stamp, number = newest, number + 1
    else:
        number = 1
    return path.with_name(f"{path.stem}-{stamp}-{number}{path.suffix}")


def surplus(path: Path, keep: int) -> list[Path]:
    """The rotated files of `path` beyond the newest `keep`, oldest first; 0 keeps all."""
    return [name for _, name in sorted(_rotated(path))[:-keep]] if keep else []


def _rotated(path: Path) -> Iterator[tuple[tuple[str, int], Path]]:
    """Files that a rotation of `path` has made, and nothing that only looks a little like it."""
    name = rf"{re.escape(path.stem)}-(\d{{8}}T\d{{6}}Z)-(\d+){re.escape(path.suffix)}"
    for file in path.parent.iterdir():
        if match := re.fullmatch(name, file.name):
            yield (match[1], int(match[2])), file
