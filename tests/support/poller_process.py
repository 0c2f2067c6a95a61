"""Pollers as processes that die: the configuration of a daemon, and a poll that ends at a commit.

Run as a program it polls everything once, and is killed before or after one of its commits.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

import consumer
from consumer.journal.sqlite import SqliteJournal
from consumer.model import Entry, Outcome
from consumer.ports import Poller
from consumer.settings import PrivacySettings
from consumer.sources.cinx import Cinx, CinxOptions
from consumer.sources.mvet import Mvet, MvetOptions
from consumer.surveyor import Surveyor
from consumer.telemetry import Log, Metrics
from consumer.testing.sources import RecordingIntake, RecordingStatus, ground
from consumer.values import Secret

_ROOT = Path(consumer.__file__).parents[1]


class Doomed(Struct, frozen=True, kw_only=True):
    """One poll of both systems, in a process that dies at commit number `commit` (from 1).

    `after`: once that is through, otherwise just before.
    """

    journal: str
    mvet: str
    customers: tuple[str, ...]
    cinx: str
    organisation: str
    token: str
    commit: int
    after: bool

    async def run(self) -> int:
        """Start the process and wait for its end; its exit status."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            __file__,
            msgspec.json.encode(self).decode(),
            env=os.environ | {"PYTHONPATH": str(_ROOT)},
        )
        return await process.wait()

    def sources(self) -> Sequence[Poller]:
        """What polls, one request after the other."""
        mvet = MvetOptions(
            type="mvet", name="mvet", base_url=self.mvet, customers=self.customers, concurrency=1
        )
        cinx = CinxOptions(
            type="cinx",
            name="cinx",
            base_url=self.cinx,
            username="me@example.com",
            password=Secret("secret"),
            organisation=self.organisation,
            api_token=Secret(self.token),
            page_size=3,
            concurrency=1,
        )
        return [Mvet(mvet), Cinx(cinx)]


class _Deadly(SqliteJournal):
    """A journal at one of whose commits the process dies."""

    def __init__(self, path: Path, commit: int, *, after: bool) -> None:
        super().__init__(path)
        self._left = commit
        self._after = after

    async def append(self, entries: Sequence[Entry]) -> Sequence[Outcome]:
        self._left -= 1
        if not self._left and not self._after:
            os.kill(os.getpid(), signal.SIGKILL)
        outcomes = await super().append(entries)
        if not self._left:
            os.kill(os.getpid(), signal.SIGKILL)
        return outcomes


async def poll_once(journal: SqliteJournal, sources: Sequence[Poller]) -> None:
    """Poll each source once, with a surveyor that knows nothing yet."""
    surveys = Surveyor(
        journal, commit=journal.append, privacy=PrivacySettings(), metrics=Metrics(), log=Log()
    )
    for source in sources:
        await source.poll(ground(RecordingIntake(), RecordingStatus(), surveys=surveys))


async def _main(doomed: Doomed) -> None:
    async with _Deadly(Path(doomed.journal), doomed.commit, after=doomed.after) as journal:
        await poll_once(journal, doomed.sources())


if __name__ == "__main__":
    asyncio.run(_main(msgspec.json.decode(sys.argv[1], type=Doomed)))
