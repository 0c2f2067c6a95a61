"""Where the soak's events arrive: webhook receivers, a queue, a file, and the journal itself.

Each place is read while the soak runs, so that nothing has to be kept until the end: files that the
sink set aside are removed once they are read, and what retention takes from the journal has been
read before.
"""

import asyncio
import sqlite3
from contextlib import closing, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Self

from aiohttp import web

from benchmarks.soak_ledger import Place, many, one
from benchmarks.soak_load import dialer
from consumer.amqp import Subscription
from consumer.errors import Unavailable

_HOOK = "/hook"
_PREFETCH = 1000
_MOST_BYTES = 4 << 20
_MOST_EVENTS = 1000
_PAUSE = 0.5
_LARGEST_POST = 64 << 20


class Receiver:
    """A webhook receiver on a fixed port. Down, it refuses connections; `failing`, it answers 500.

    An asynchronous context manager that begins and ends with it down.
    """

    def __init__(self, port: int, place: Place) -> None:
        self.url = f"http://127.0.0.1:{port}{_HOOK}"
        self.failing = False
        self._port = port
        self._place = place
        self._site: web.TCPSite | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=_LARGEST_POST)
        app.router.add_post(_HOOK, self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()

    async def up(self) -> None:
        """Listen; nothing where it does already."""
        if self._site is None:
            self._site = web.TCPSite(self._runner, "127.0.0.1", self._port)
            await self._site.start()

    async def down(self) -> None:
        """Listen no more, and hang up on whoever is connected."""
        if self._site is not None:
            await self._site.stop()
            self._site = None
            if self._runner.server is not None:
                await self._runner.server.shutdown(0)

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if self.failing:
            return web.Response(status=HTTPStatus.INTERNAL_SERVER_ERROR)
        for event in many.decode(body):
            self._place.take(event)
        return web.Response(status=HTTPStatus.NO_CONTENT)


async def take_from_queue(url: str, queue: str, place: Place) -> None:
    """Consume a queue for ever, over lost connections."""
    while True:
        with suppress(Unavailable, OSError, TimeoutError):
            link = await dialer(url).dial()
            try:
                async with Subscription.subscribe(
                    link, queue, prefetch=_PREFETCH, declare=True
                ) as subscription:
                    while batch := await subscription.take(_MOST_EVENTS, _MOST_BYTES):
                        for delivery in batch:
                            place.take(one.decode(delivery.body))
                        await subscription.acknowledge(batch[-1].tag)
            finally:
                await link.close()
        await asyncio.sleep(_PAUSE)


class FileTail:
    """Reads what a file sink writes, and removes what it has set aside once that is read."""

    def __init__(self, path: Path, place: Place) -> None:
        self._path = path
        self._place = place
        self._offsets: dict[int, int] = {}  # by inode: a file keeps it when it is set aside

    def read(self) -> None:
        """Take in every line that is complete now."""
        if not self._path.exists():
            return
        for file in sorted(self._path.parent.glob(f"{self._path.stem}-*{self._path.suffix}")):
            self._read(file)
            self._offsets.pop(file.stat().st_ino)
            file.unlink()
        if self._path.exists():
            self._read(self._path)

    def _read(self, file: Path) -> None:
        with file.open("rb") as lines:
            inode = file.stat().st_ino
            lines.seek(self._offsets.setdefault(inode, 0))
            for line in lines:
                if not line.endswith(b"\n"):
                    break
                self._offsets[inode] += len(line)
                self._place.take(one.decode(line))


class JournalTail:
    """Reads the journal from outside, as anybody with SQLite would, in short transactions."""

    def __init__(self, path: Path, place: Place) -> None:
        self._uri = f"{path.absolute().as_uri()}?mode=ro"
        self._place = place
        self._seq = 0

    def read(self) -> None:
        """Take in every event that is committed now."""
        with (
            suppress(sqlite3.OperationalError),
            closing(sqlite3.connect(self._uri, uri=True)) as connection,
        ):
            while page := connection.execute(
                "SELECT seq, body FROM events WHERE seq > ? ORDER BY seq LIMIT ?",
                (self._seq, _MOST_EVENTS),
            ).fetchall():
                for seq, body in page:
                    self._seq = seq
                    self._place.take(one.decode(body))


async def tail(*tails: FileTail | JournalTail) -> None:
    """Read them, again and again."""
    while True:
        for each in tails:
            await asyncio.to_thread(each.read)
        await asyncio.sleep(_PAUSE)
