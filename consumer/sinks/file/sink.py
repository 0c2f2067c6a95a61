"""Events in a file: JSON Lines, one CloudEvent a line, in journal order.

A batch is in the file, synced, before it counts as delivered. Writing happens in a thread of the
sink's own, one batch after the other: a slow disk stalls nothing else, and a batch whose delivery
was cancelled is finished before the next one begins (its events then appear twice, as whole lines).
"""

import asyncio
import os
import shutil
import stat
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Self

from msgspec import Meta

from consumer.errors import Refused, Unavailable
from consumer.model import Record
from consumer.settings import SinkOptions, Text
from consumer.sinks.file.appender import Appender
from consumer.values import Duration, Size

# Seconds that leaving waits for a disk that does not answer.
_LAST_WRITE = 5.0


class FileOptions(SinkOptions, frozen=True, kw_only=True):
    """`type = "file"`: appends events to `path`, one JSON object a line.

    The file is set aside under a name with the moment before it would grow beyond `rotate_size`,
    and when a new period of `rotate_every` has begun (`1d`: at midnight UTC); 0 means never. The
    newest `keep` of the files set aside are kept, 0 keeps all.
    """

    path: Text
    rotate_size: Size = Size(0)
    rotate_every: Duration = Duration(0)
    keep: Annotated[int, Meta(ge=0)] = 0


class File:
    """The sink that appends to one file."""

    Options = FileOptions

    def __init__(self, options: FileOptions) -> None:
        self.name = options.name
        self._path = Path(options.path)
        self._appender = Appender(
            self._path, most=options.rotate_size, every=options.rotate_every, keep=options.keep
        )

    async def __aenter__(self) -> Self:
        """Open the file; `Unusable` where only a person can make it writable."""
        self._writer = ThreadPoolExecutor(1, thread_name_prefix=f"sink-{self.name}")
        try:
            with suppress(Unavailable):  # the first batch says so again
                await self._run(self._appender.open)
        except BaseException:
            self._writer.shutdown(wait=False)
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._run(self._appender.close), _LAST_WRITE)
        self._writer.shutdown(wait=False)

    async def deliver(self, batch: Sequence[Record]) -> Mapping[int, str]:
        """Append a batch and sync it, all or nothing."""
        if batch:
            lines = b"\n".join([*(record.body for record in batch), b""])
            await self._run(self._appender.append, lines)
        return {}

    async def check(self) -> Sequence[str]:
        """Whether the file, or the directory that it will be made in, can be written."""
        return [await asyncio.to_thread(self._look)]

    async def _run(self, work: Callable[..., None], *arguments: object) -> None:
        """Run blocking work in the sink's thread."""
        await asyncio.get_running_loop().run_in_executor(self._writer, work, *arguments)

    def _look(self) -> str:
        """Look at the file, or else at where it would be made; touch neither."""
        try:
            mode = self._path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            mode = 0
        except OSError as error:  # below, `exists` and `resolve` would raise it
            raise Unavailable(f"{self._path} cannot be read: {error.strerror}") from error
        path = self._path.resolve()
        if mode and not stat.S_ISREG(mode):
            raise Refused(f"{path} is no regular file; choose another path")
        if self._path.is_symlink() and not path.parent.exists():
            raise Unavailable(f"{self._path} is a link to {path}, whose directory is not there")
        place = next(place for place in (path, *path.parents) if place.exists())
        if place != path and not place.is_dir():
            raise Refused(f"{place} is no directory; choose another path")
        if not os.access(place, os.W_OK):
            raise Unavailable(f"{place} may not be written; give this program's user the right to")
        free = shutil.disk_usage(place).free >> 20
        return f"{path}: can be written, {free} MiB free; nothing was written"
