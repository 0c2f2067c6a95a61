"""The daemon under load between its links to a broker: the scene of the tests of link faults.

    Radial (confirmed publishes, straight to the broker) ─▶ queues ─▶ source link ─▶ daemon
    daemon ─▶ sink link ─▶ the queue downstream; and a file beside it

What is asked is asked of the journal's file and of the broker itself, never of the daemon. All
waits of the daemon are its defaults: what a test shows holds for whoever configured none.
"""

import asyncio
import contextlib
import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from itertools import count, cycle, islice
from pathlib import Path
from typing import Any

import aio_pika
import aiormq

from consumer.simulators.broker import PrivateBroker
from consumer.testing.sinks import first_appearances
from daemon_process import DaemonProcess, running
from extent import extent
from load import fact, order_message, queue_of
from rabbit import ids_in, rabbit
from tcp_proxy import TcpProxy
from waiting import until

SINKS = ("downstream", "archive")

RESUMED = 30.0
"""Seconds after the end of a fault within which everything goes on by itself."""

CAUGHT_UP = extent(60.0, long=300.0)
"""Seconds within which everything that waited is through."""

_BATCH = 10
_PAUSE = 0.04
_CONFIRMED = 10.0
_LOST = (aiormq.exceptions.AMQPError, OSError, RuntimeError, TimeoutError)


class Load:
    """Publishes orders, each of a number of its own, until `over`; whatever the broker does.

    `published` are the facts that the broker has confirmed. What it did not confirm is published
    again, the same order. `stores` may be changed meanwhile.
    """

    def __init__(self, url: str, stores: Sequence[str]) -> None:
        self.stores = list(stores)
        self.published: list[str] = []
        self._url = url
        self._over = False
        self._numbers = count()
        self._connection: aio_pika.abc.AbstractConnection | None = None
        self._exchange: aio_pika.abc.AbstractExchange | None = None

    @contextlib.asynccontextmanager
    async def going(self) -> AsyncIterator[None]:
        """Publish meanwhile; afterwards wait until everything begun is confirmed."""
        self._over = False
        working = asyncio.create_task(self._run())
        try:
            yield
        finally:
            self._over = True
            await working
            await self._leave()

    async def more(self, orders: int) -> None:
        """Wait until so many more are published by the load that is going."""
        enough = len(self.published) + orders
        await until(lambda: len(self.published) >= enough, what=f"{orders} more are published")

    async def _run(self) -> None:
        while not self._over:
            batch = [(store, f"{next(self._numbers)}") for store in islice(self._turns(), _BATCH)]
            while not await self._confirmed(batch):
                await self._leave()
            self.published += [f"{store}/{order}" for store, order in batch]
            await asyncio.sleep(_PAUSE)

    def _turns(self) -> Iterator[str]:
        return cycle(self.stores[len(self.published) % len(self.stores) :] + self.stores)

    async def _confirmed(self, batch: Sequence[tuple[str, str]]) -> bool:
        """Publish; whether the broker has confirmed all of it."""
        try:
            async with asyncio.timeout(_CONFIRMED):
                exchange = await self._reach()
                said = [exchange.publish(_message(*order), queue_of(order[0])) for order in batch]
                await asyncio.gather(*said)
        except _LOST:
            await asyncio.sleep(_PAUSE)
            return False
        return True

    async def _reach(self) -> aio_pika.abc.AbstractExchange:
        if self._exchange is None:
            self._connection = await aio_pika.connect(self._url)
            self._exchange = (await self._connection.channel()).default_exchange
        return self._exchange

    async def _leave(self) -> None:
        connection, self._connection, self._exchange = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(*_LOST):
                await connection.close()


class Stage:
    """A daemon that is ready, its queues, and the load for them. Made by `staged`."""

    def __init__(
        self, broker: PrivateBroker, daemon: DaemonProcess, stores: Sequence[str], downstream: str
    ) -> None:
        self.broker = broker
        self.daemon = daemon
        self.stores = stores
        self.downstream = downstream
        self.load = Load(broker.url, stores)

    # --- what the journal says ---------------------------------------------------------------

    def asked(self, question: str) -> list[Any]:
        """The first column of an SQL query on the journal, read beside the running daemon."""
        where = f"file:{self.daemon.journal}?mode=ro"
        with contextlib.closing(sqlite3.connect(where, uri=True)) as journal:
            return [row[0] for row in journal.execute(question)]

    def in_journal(self) -> int:
        """How many events there are."""
        [events] = self.asked("SELECT count(*) FROM events")
        return int(events)

    def has(self, events: int) -> bool:
        """Whether so many are in the journal."""
        return self.in_journal() >= events

    def passed(self, sink: str) -> int:
        """How far a sink has got."""
        return int(next(iter(self.asked(f"SELECT seq FROM cursors WHERE sink = '{sink}'")), 0))  # noqa: S608 - a test's own name

    def is_through(self, sink: str) -> bool:
        """Whether a sink has got everything."""
        return self.passed(sink) >= self.in_journal()

    # --- what the broker says ----------------------------------------------------------------

    async def consumers(self) -> set[int]:
        """How many consumers the queues have; {1} is as it should be."""
        async with rabbit(self.broker.url) as peer:
            return {await peer.consumers(queue_of(store)) for store in self.stores}

    async def is_consumed(self) -> bool:
        """Whether every queue has one consumer."""
        return await self.consumers() == {1}

    async def is_settled(self) -> bool:
        """Whether nothing waits in the queues; what is being delivered does not count."""
        async with rabbit(self.broker.url) as peer:
            return not any([await peer.ready(queue_of(store)) for store in self.stores])

    # --- what has to come true ---------------------------------------------------------------

    async def resumes(self) -> None:
        """Journal and sinks get further than they are now, and each queue has one consumer.

        That is within `RESUMED`; how long it takes to catch up is `conserves`' business.
        """
        before = self._places()

        async def goes_on() -> bool:
            places = zip(self._places(), before, strict=True)
            return all(now > then for now, then in places) and await self.is_consumed()

        await until(goes_on, within=RESUMED, what="consuming and publishing go on")

    def _places(self) -> Sequence[int]:
        return [self.in_journal(), *map(self.passed, SINKS)]

    async def conserves(self) -> None:
        """Everything published is in the journal once, in order at each sink, and settled."""
        expected = set(self.load.published)
        all_in = partial(self.has, len(expected))
        await until(all_in, within=CAUGHT_UP, what="all of it is in the journal")
        for sink in SINKS:
            through = partial(self.is_through, sink)
            await until(through, within=CAUGHT_UP, what=f"all of it is through {sink}")
        assert await self.daemon.stop() == 0
        events = [event["event"] for event in await self.daemon.events()]
        assert Counter(map(fact, events)) == Counter(expected)
        journal = [event["id"] for event in events]
        archive = (self.daemon.directory / "events.jsonl").read_text().splitlines()
        assert first_appearances([json.loads(line)["id"] for line in archive]) == journal
        assert set(await ids_in(self.broker.url, self.downstream)) == set(journal)
        assert await self.is_settled()


@contextlib.asynccontextmanager
async def staged(
    broker: PrivateBroker,
    directory: Path,
    name: str,
    *,
    source: TcpProxy | None = None,
    sink: TcpProxy | None = None,
    stores: int = 2,
    options: str = "",
    sink_options: str = "",
    extra: str = "",
) -> AsyncIterator[Stage]:
    """A stage whose links go through proxies, or straight to the broker; the queues go with it.

    `options` are TOML of both links.
    """
    names = [f"{name}-{number}" for number in range(stores)]
    downstream = f"{name}-downstream"
    queues = [downstream, *map(queue_of, names)]
    async with rabbit(broker.url) as peer:
        for queue in queues:
            await peer.queue(queue)
    daemon = DaemonProcess(
        directory,
        f"""
[[sources]]
type = "radial-amqp"
name = "radial-queue"
urls = ["{address(broker, source)}"]
store_codes = {json.dumps(names)}
{options}

[[sinks]]
type = "amqp"
name = "downstream"
url = "{address(broker, sink)}"
queue = "{downstream}"
{options}
{sink_options}

[[sinks]]
type = "file"
name = "archive"
path = "events.jsonl"
{extra}
""",
    )
    try:
        async with running(daemon):
            stage = Stage(broker, daemon, names, downstream)
            await until(stage.is_consumed, what="every queue has its consumer")
            yield stage
    finally:
        await broker.start()
        async with rabbit(broker.url) as peer:
            for queue in queues:
                await peer.channel.queue_delete(queue)


def address(broker: PrivateBroker, proxy: TcpProxy | None) -> str:
    """The broker's URL, through the proxy where there is one."""
    return broker.url.replace(str(broker.port), str(proxy.port)) if proxy else broker.url


def _message(store: str, order: str) -> aio_pika.Message:
    return aio_pika.Message(
        order_message(store, order), delivery_mode=aio_pika.DeliveryMode.PERSISTENT
    )
