"""Everything around the daemon in a soak: who sends, who receives, who is polled; and its phases.

- *measure*: a burst waits in the queues when the daemon starts. The time until every live sink has
  all of it is its capacity on this machine, with everybody else on the same cores.
- *load*: for as long as was asked for, while faults happen and samples are taken.
- *drain*: faults end, senders stop, and everything has to arrive everywhere.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any, Self

import aiohttp

from benchmarks.soak_daemon import (
    CINX_PASSWORD,
    CINX_USER,
    CUSTOMERS,
    DEAD,
    LIVE,
    OUT,
    DaemonProcess,
    Where,
)
from benchmarks.soak_faults import Planned, Stage, carry_out, hostile, hostility
from benchmarks.soak_judge import Sample
from benchmarks.soak_ledger import Ledger
from benchmarks.soak_load import (
    STORES,
    WEBHOOK_PATH,
    QueueSender,
    dialer,
    post_steadily,
    publish_all,
)
from benchmarks.soak_places import FileTail, JournalTail, Receiver, tail, take_from_queue
from consumer.demo import polled
from consumer.demo.polled import Upstream, as_open
from consumer.errors import JournalUnavailable, Unusable
from consumer.journal.sqlite import SqliteJournal
from consumer.simulators.broker import PrivateBroker, free_port
from consumer.simulators.cinx import CinxServer
from consumer.simulators.cinx_world import CinxWorld
from consumer.simulators.mvet import MvetServer
from consumer.simulators.mvet_world import MvetWorld
from consumer.simulators.radial_feed import queue_of

_ORGANISATIONS = ("Harbor Mechanical", "Lakeside Plumbing")
_LINES = 400
_SECONDS_BETWEEN_SAMPLES = 1.0
_FEWEST_SAMPLES = 60
_BURST_WITHIN = 60.0
_DRAIN_WITHIN = 90.0
_SHARE_OF_QUEUES = 0.8
_MOST_LINES = 100_000


class Surroundings:
    """The stage of one soak. An asynchronous context manager; nothing of it outlives that."""

    def __init__(self, directory: Path, *, seed: int, retention: str) -> None:
        self._directory = directory
        self._seed = seed
        self._retention = retention
        self.ledger = Ledger({**dict.fromkeys(LIVE, True), DEAD: False})
        self._stack = AsyncExitStack()
        self._upstreams: Sequence[Upstream] = ()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._broker = await stack.enter_async_context(PrivateBroker())
            await self._make_queues()
            sinks = self.ledger.sinks
            live = await stack.enter_async_context(Receiver(free_port(), sinks["http"]))
            dead = await stack.enter_async_context(Receiver(free_port(), sinks[DEAD]))
            await live.up()
            vets = MvetWorld(self._seed, CUSTOMERS, _LINES, polled.RATES)
            builders = CinxWorld(self._seed, _ORGANISATIONS, _LINES, polled.RATES)
            mvet = await stack.enter_async_context(MvetServer(vets))
            cinx = await stack.enter_async_context(
                CinxServer(builders, username=CINX_USER, password=CINX_PASSWORD)
            )
            self._upstreams = (polled.mvet(vets), polled.cinx(builders))
            self._faults = (mvet.faults, cinx.faults)
            self._stage = Stage(
                broker=self._broker, receiver=live, dead=dead, upstreams=self._faults
            )
            where = Where(
                amqp=self._broker.url, mvet=mvet.url, cinx=cinx.url, live=live.url, dead=dead.url
            )
            self.daemon = DaemonProcess(self._directory, where, self._retention)
            stack.callback(self.daemon.kill)
            self._tails = (
                FileTail(self.daemon.file, sinks["file"]),
                JournalTail(self.daemon.journal, self.ledger.journal),
            )
            await stack.enter_async_context(
                _running(take_from_queue(self._broker.url, OUT, sinks["amqp"]), tail(*self._tails))
            )
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def _make_queues(self) -> None:
        link = await dialer(self._broker.url).dial()
        try:
            for name in (*map(queue_of, STORES), OUT):
                await link.make_queue(name)
        finally:
            await link.close()

    # --- measure -------------------------------------------------------------------------------

    async def burst(self, number: int) -> float:
        """Start the daemon on so many waiting messages; how many of them it does in a second."""
        link = await dialer(self._broker.url).dial()
        try:
            await publish_all(link, self.ledger, number)
        finally:
            await link.close()
        await self.daemon.start()
        began, already = monotonic(), self._through()
        while (through := self._through()) < number:
            if monotonic() - began > _BURST_WITHIN:
                raise Unusable(
                    f"after {_BURST_WITHIN:g} s only {through} of {number} messages were through",
                    f"the daemon's log is {self.daemon.log}",
                )
            await asyncio.sleep(0.02)
        return (number - already) / (monotonic() - began)

    def _through(self) -> int:
        """How many of Radial's messages are in the journal and in every live sink."""
        places = self.ledger.places
        return min(places[name].serials.count for name in ("journal", *LIVE))

    # --- load ----------------------------------------------------------------------------------

    async def load(
        self, rate: float, seconds: float, faults: Sequence[Planned]
    ) -> Sequence[Sample]:
        """Send `rate` messages a second amid these faults; how the daemon was meanwhile."""
        stop, began = asyncio.Event(), monotonic()
        samples: list[Sample] = []
        by_queue = rate * _SHARE_OF_QUEUES
        webhook = self.daemon.public + WEBHOOK_PATH
        queues = QueueSender(self._broker.url, self.ledger, by_queue, hostile())
        senders = [
            asyncio.create_task(sender)
            for sender in (
                queues.run(stop),
                post_steadily(webhook, self.ledger, rate - by_queue, stop),
                *(upstream.live(stop) for upstream in self._upstreams),
            )
        ]
        every = min(_SECONDS_BETWEEN_SAMPLES, seconds / _FEWEST_SAMPLES)
        looking = self._look(samples, began, every)
        async with (
            hostility(self.daemon.public, self.daemon.admin),
            _running(carry_out(self._stage, faults, began), looking),
        ):
            while (  # noqa: ASYNC110 - a process tells nobody that it ended
                monotonic() - began < seconds and not self.daemon.ended
            ):
                await asyncio.sleep(_SECONDS_BETWEEN_SAMPLES)
        stop.set()
        _, late = await asyncio.wait(senders, timeout=_DRAIN_WITHIN)
        for sender in late:
            sender.cancel()
        for sender in senders:
            if sender not in late:
                sender.result()
        return samples

    async def _look(self, samples: list[Sample], began: float, every: float) -> None:
        async with aiohttp.ClientSession() as client:
            while True:
                sample = await self.daemon.sample(client, monotonic() - began)
                if sample is not None:
                    samples.append(sample)
                await asyncio.sleep(every)

    # --- drain ---------------------------------------------------------------------------------

    async def drain(self) -> Sequence[str]:
        """Wait until everything has arrived everywhere, and stop the daemon; what is wrong then."""
        await self._stage.receiver.up()
        await self._stage.dead.up()
        deadline = monotonic() + _DRAIN_WITHIN
        while (  # noqa: ASYNC110 - what arrives tells nobody
            (wrong := await self._wrong()) and monotonic() < deadline and not self.daemon.ended
        ):
            await asyncio.sleep(_SECONDS_BETWEEN_SAMPLES)
        if wrong:
            wrong = [*wrong, *await self.daemon.complaints()]
        if self.daemon.ended:
            return [*wrong, f"the daemon ended by itself; its log is {self.daemon.log}"]
        if status := await self.daemon.stop():
            return [*wrong, f"the daemon ended with status {status}; its log is {self.daemon.log}"]
        return wrong

    async def _wrong(self) -> Sequence[str]:
        missing = await asyncio.to_thread(self.ledger.missing)
        return [
            *(f"{number} missing in {place}" for place, number in missing.items() if number),
            *await self._disagreements(),
        ]

    async def _disagreements(self) -> Sequence[str]:
        """The polled upstreams whose open lines are not what the journal says."""
        try:
            async with SqliteJournal(self.daemon.journal, readonly=True) as journal:
                told = {
                    upstream.source: Counter(
                        as_open(line)
                        for line in await journal.backorders(
                            source=upstream.source, limit=_MOST_LINES
                        )
                    )
                    for upstream in self._upstreams
                }
        except JournalUnavailable as error:
            return [error.reason]
        return [
            f"the journal does not agree with {upstream.source}"
            for upstream in self._upstreams
            if told[upstream.source] != upstream.lines
        ]


@asynccontextmanager
async def _running(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Something at work until this is left; what failed in it is raised then."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()):
            raise error
