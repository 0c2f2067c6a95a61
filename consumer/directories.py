"""Directories that outlive a power cut: what is made is in its parent on disk, not in memory only.

A file system keeps a new entry for itself until the directory that it stands in is synced. Without
that a file whose every byte is synced may be gone after a power cut, with the directory around it.
"""

import os
from pathlib import Path


def make(directory: Path) -> None:
    """Make a directory, and those above it that are missing, durably; raises OSError."""
    missing = [each for each in (directory, *directory.parents) if not each.exists()]
    directory.mkdir(parents=True, exist_ok=True)
    for each in missing:
        sync(each.parent)


def sync(directory: Path) -> None:
    """Sync the entries of a directory: files made, renamed or removed in it; raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
