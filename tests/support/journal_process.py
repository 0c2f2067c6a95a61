"""A process that appends to a SQLite journal until it is killed, and says what it has committed.

Run as a program it prints the number of each event once its append has returned.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import consumer
from consumer.journal.sqlite import SqliteJournal
from consumer.testing.builders import entry, event

_ROOT = Path(consumer.__file__).parents[1]
_TOGETHER = 5


class Appender:
    """A running process; `committed` grows with every line that is read from it."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.committed: list[int] = []

    def read(self, lines: int) -> None:
        """Read that many lines, or to the end of what it wrote before it died."""
        assert self.process.stdout
        for _, line in zip(range(lines), self.process.stdout, strict=False):
            self.committed.append(int(line))

    def kill(self) -> None:
        """SIGKILL, and read what it had still said."""
        self.process.kill()
        self.read(1_000_000)


@contextmanager
def appending(path: Path, first: int) -> Iterator[Appender]:
    """A process that appends the events numbered from `first` on."""
    with subprocess.Popen(
        [sys.executable, __file__, str(path), str(first)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(_ROOT)},
    ) as process:
        appender = Appender(process)
        try:
            yield appender
        finally:
            appender.kill()


async def _append(journal: SqliteJournal, n: int) -> None:
    await journal.append([entry(event(n))])
    print(n, flush=True)  # noqa: T201 - how the test learns of it


async def _main(path: Path, first: int) -> None:
    async with SqliteJournal(path) as journal:
        while True:
            await asyncio.gather(*(_append(journal, first + k) for k in range(_TOGETHER)))
            first += _TOGETHER


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), int(sys.argv[2])))
