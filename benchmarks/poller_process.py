"""A polled source as a process, put together as the daemon does it; answers `fetch` and `poll`.

`poll` is one round of the source: fetch, parse, compare, commit, on a journal on disk. `fetch` asks
CINX for the same pages with the same client, as many at once, and does nothing with the answers:
what a round costs beyond that is the program's own work.

Whatever the daemon loads is loaded here too (the schema set, say), so that the peak is a daemon's.
"""

import asyncio
import sys
from functools import partial
from pathlib import Path
from typing import Literal, cast

import uvloop
from msgspec import Struct

from benchmarks.children import obey, settings_of
from benchmarks.measuring import Cost, cost_of
from benchmarks.simulator_process import CUSTOMER, ORGANISATION
from consumer.app import load_schemas
from consumer.journal.sqlite import SqliteJournal
from consumer.poll_now import ground_for
from consumer.polling.together import together
from consumer.polling.upstream import basic
from consumer.ports import Poller
from consumer.settings import LogSettings, Settings
from consumer.sources.cinx import Cinx
from consumer.sources.cinx.options import CinxOptions
from consumer.sources.mvet import Mvet, MvetOptions
from consumer.telemetry import configure_log
from consumer.values import Secret
from consumer.web import Client

# As `backorder-consumer run` has it.
_SWITCH_INTERVAL = 0.001


class PollerSettings(Struct, frozen=True, kw_only=True):
    """`url` and `token` are the simulator's, `lines` how many it has, `journal` a path."""

    system: Literal["cinx", "mvet"]
    url: str
    token: str
    lines: int
    journal: str


class Polled(Struct, frozen=True, kw_only=True):
    """What a poll did: how many events it told, and whether the journal's files were written to."""

    cost: Cost
    events: int
    wrote: bool


def _cinx(settings: PollerSettings) -> CinxOptions:
    return CinxOptions(
        type="cinx",
        name="cinx",
        base_url=settings.url,
        username="me@example.com",
        password=Secret("secret"),
        api_token=Secret(settings.token),
        organisation=ORGANISATION,
        detail="never",
    )


def _source(settings: PollerSettings) -> Poller:
    if settings.system == "cinx":
        return Cinx(_cinx(settings))
    return Mvet(MvetOptions(type="mvet", name="mvet", base_url=settings.url, customers=(CUSTOMER,)))


async def _fetch(settings: PollerSettings) -> None:
    """Ask for the pages that a round asks for (they overlap by a row), as a round does it."""
    options = _cinx(settings)
    size, at_once = options.page_size, options.concurrency
    url = f"{options.base_url}/{options.version}/sub/{settings.token}/back-orders"
    headers = {"Authorization": basic(options.username, options.password)}
    async with Client(
        concurrency=at_once,
        timeout=options.timeout,
        attempts=options.attempts,
        max_body=options.max_body,
    ) as client:

        async def ask(offset: int) -> None:
            query = {"offset": str(offset), "limit": str(size)}
            await client.get(url, what="the list", query=query, headers=headers)

        offsets = range(0, settings.lines, size - 1)
        await ask(0)
        for first in range(1, len(offsets), at_once):
            await together(ask(offset) for offset in offsets[first : first + at_once])


def _stamps(journal: Path) -> list[tuple[int, int]]:
    """What shows that the database or its write-ahead log was written to."""
    files = (path.stat() for path in (journal, Path(f"{journal}-wal")) if path.exists())
    return [(status.st_size, status.st_mtime_ns) for status in files]


async def _main(settings: PollerSettings) -> None:
    configure_log(LogSettings(level="warning"))
    path, daemon = Path(settings.journal), Settings()
    schemas = await asyncio.to_thread(load_schemas, daemon)
    async with SqliteJournal(path) as journal:
        ground, source = ground_for(journal, schemas, daemon), _source(settings)

        async def poll() -> Polled:
            head, stamps = (await journal.positions()).head, _stamps(path)
            cost = await cost_of(partial(source.poll, ground))
            events = (await journal.positions()).head - head
            return Polled(cost=cost, events=events, wrote=_stamps(path) != stamps)

        async def fetch() -> Cost:
            return await cost_of(partial(_fetch, settings))

        await obey({"poll": poll, "fetch": fetch})


if __name__ == "__main__":
    sys.setswitchinterval(_SWITCH_INTERVAL)
    with asyncio.Runner(loop_factory=uvloop.Loop) as runner:
        runner.run(_main(cast(PollerSettings, settings_of(PollerSettings))))
