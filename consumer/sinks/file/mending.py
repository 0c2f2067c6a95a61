"""What a crash may have left of the last batch, and where the whole lines before it end.

Rules
1. A process that is killed leaves at most a torn last line. A power cut may leave more: a disk
   writes in any order, and what of the last batch never reached it reads as zeros, with whole lines
   behind them. JSON has no zero byte, so the first one is where the archive ends.
2. Both are in a batch that was not confirmed, which is the last one: its cursor did not move, and
   all of it comes again. So what stands behind is cut off, whole lines too.
3. A file that begins with neither an object nor a hole in an archive is not ours, and stays as it
   is: a path given by mistake, of the journal say.

Only the end of a file is looked at, as much of it as a batch may be.
"""

import os

_BLOCK = 64 * 1024

# A batch has as many bytes as `batch.bytes`, or one event; a file is opened seldom.
_LARGEST_BATCH = 64 << 20

_OURS = b'"specversion":"1.0"'


def is_ours(fd: int) -> bool:
    """Whether a file holds events, or nothing, or what a power cut left of the first batch."""
    first = os.pread(fd, 1, 0)
    if first != b"\0":
        return first in {b"", b"{"}
    held = os.pread(fd, _LARGEST_BATCH, 0)
    return _OURS in held or not held.strip(b"\0")


def cut_off_what_is_torn(fd: int) -> None:
    """Have the file end with its last whole line before any hole, durably."""
    size = os.fstat(fd).st_size
    end = _end_of_lines(fd, _first_hole(fd, size))
    if end < size:
        os.ftruncate(fd, end)
        os.fdatasync(fd)


def _first_hole(fd: int, size: int) -> int:
    """Where the first zero byte of the last batch stands; `size` where there is none."""
    for start in range(max(0, size - _LARGEST_BATCH), size, _BLOCK):
        found = os.pread(fd, _BLOCK, start).find(b"\0")
        if found >= 0:
            return start + found
    return size


def _end_of_lines(fd: int, end: int) -> int:
    """The place behind the last line break before `end`: looked for backwards, by blocks."""
    while end > 0:
        start = max(0, end - _BLOCK)
        found = os.pread(fd, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
