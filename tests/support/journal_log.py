"""The write-ahead log of a SQLite journal, read byte by byte."""

import struct
from pathlib import Path


def commits(path: Path) -> int:
    """How many transactions are in the write-ahead log: frames that tell the database's size."""
    log = Path(f"{path}-wal").read_bytes()
    header, frame_header = 32, 24
    (page,) = struct.unpack_from(">I", log, 8)
    frames = range(header, len(log), frame_header + page)
    return sum(struct.unpack_from(">I", log, frame + 4)[0] > 0 for frame in frames)
