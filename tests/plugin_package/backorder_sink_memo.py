"""A sink that writes down the id of every event, one a line: the smallest sink that is complete.

[[sinks]]
type = "memo"
name = "memo"
path = "memo.txt"
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from consumer.errors import Unavailable
from consumer.model import Record
from consumer.settings import SinkOptions, Text


class MemoOptions(SinkOptions, frozen=True, kw_only=True):
    """`path` is the file that ids are appended to."""

    path: Text


class Memo:
    """Appends ids to a file, and calls them delivered once they are synced to disk."""

    Options = MemoOptions

    def __init__(self, options: MemoOptions) -> None:
        self.name = options.name
        self._path = Path(options.path)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Nothing is held open between batches."""

    async def deliver(self, batch: Sequence[Record]) -> Mapping[int, str]:
        """Append and sync; a file that cannot be written now may be later."""
        lines = "".join(f"{record.id}\n" for record in batch)
        try:
            await asyncio.to_thread(self._append, lines)
        except OSError as error:
            raise Unavailable(f"{self._path}: {error.strerror}") from error
        return {}

    async def check(self) -> Sequence[str]:
        """The file itself is made by the first delivery; its folder must be there."""
        if not self._path.parent.is_dir():
            raise Unavailable(f"{self._path.parent} is no directory; create it")
        return [f"{self._path} can be appended to"]

    def _append(self, lines: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
