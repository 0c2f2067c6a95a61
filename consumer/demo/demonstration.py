"""One demonstration: upstreams and daemon started, watched, stopped, and what came of it told."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from consumer import config, plugins
from consumer.app import Daemon
from consumer.demo import polled
from consumer.demo.arrivals import Arrivals, head_of, look
from consumer.demo.configuration import (
    CINX_PASSWORD,
    CINX_USER,
    CUSTOMERS,
    ORGANISATIONS,
    QUEUE_STORES,
    WEBHOOK_PATH,
    WEBHOOK_STORES,
    Addresses,
    configuration,
)
from consumer.demo.polled import Upstream
from consumer.demo.radial import Sender
from consumer.errors import Unusable
from consumer.journal.sqlite import SqliteJournal
from consumer.settings import Settings
from consumer.simulators import broker
from consumer.simulators.cinx import CinxServer
from consumer.simulators.cinx_world import CinxWorld
from consumer.simulators.mvet import MvetServer
from consumer.simulators.mvet_world import MvetWorld
from consumer.simulators.radial import RadialWorld, Sent
from consumer.simulators.radial_feed import queue_feed, webhook_feed

_SECONDS_BETWEEN_LOOKS = 0.2
_SECONDS_TO_ARRIVE = 30.0


class Demo:
    """One demonstration in `directory`; `say` gets the lines for the person who watches.

    `lines` is how many order lines each customer of MVET and organisation of CINX has at first.
    """

    def __init__(self, directory: Path, say: Callable[[str], None], *, lines: int = 400) -> None:
        self._directory = directory
        self._say = say
        self._seed = time.time_ns() // 1_000_000
        self._lines = lines
        self._world = RadialWorld(self._seed, (*QUEUE_STORES, *WEBHOOK_STORES))
        self._senders: list[Sender] = []
        self._upstreams: list[Upstream] = []

    async def run(self, seconds: float | None, asked: asyncio.Event) -> bool:
        """Run for so many seconds, or until `asked`; True if everything arrived everywhere.

        Asked while it waits for that, after its seconds, it waits no longer.
        """
        with _making(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True)
        async with AsyncExitStack() as stack:
            addresses = await self._start_upstreams(stack)
            settings = self._configure(addresses)
            self._say(f"webhook http://{addresses.webhook}{WEBHOOK_PATH}")
            self._say(f"probes  http://{addresses.admin}/readyz and /metrics")
            self._say(
                "Ctrl-C stops it" if seconds is None else f"stops by itself after {seconds:g} s"
            )
            self._say("")
            return await self._watch(Daemon(settings), settings, seconds, asked)

    # --- upstreams -----------------------------------------------------------------------------

    async def _start_upstreams(self, stack: AsyncExitStack) -> Addresses:
        amqp = await self._start_broker(stack)
        if amqp:
            feed = await stack.enter_async_context(queue_feed(amqp, QUEUE_STORES))
            self._senders.append(Sender("radial-queue", feed, self._next_message))
        webhook, admin = _address(8080), _address(8081)
        feed = await stack.enter_async_context(webhook_feed(f"http://{webhook}{WEBHOOK_PATH}"))
        self._senders.append(Sender("radial-webhook", feed, self._next_list))
        vets = MvetWorld(self._seed, CUSTOMERS, self._lines, polled.RATES)
        builders = CinxWorld(self._seed, ORGANISATIONS, self._lines, polled.RATES)
        mvet = await stack.enter_async_context(MvetServer(vets))
        cinx = await stack.enter_async_context(
            CinxServer(builders, username=CINX_USER, password=CINX_PASSWORD)
        )
        self._upstreams += [polled.mvet(vets), polled.cinx(builders)]
        self._say(f"MVET    {mvet.url}, {len(CUSTOMERS)} customers of {self._lines} lines")
        self._say(f"CINX    {cinx.url}, {len(ORGANISATIONS)} organisations of {self._lines} lines")
        return Addresses(amqp=amqp, mvet=mvet.url, cinx=cinx.url, webhook=webhook, admin=admin)

    async def _start_broker(self, stack: AsyncExitStack) -> str | None:
        if not broker.available():
            self._say(
                "no RabbitMQ is installed here (on Debian: apt-get install rabbitmq-server):"
                " the queue is left out, the others are shown"
            )
            return None
        self._say("starting a private RabbitMQ for Radial's queues ...")
        node = await stack.enter_async_context(broker.PrivateBroker())
        return node.url

    def _configure(self, addresses: Addresses) -> Settings:
        file = self._directory / "consumer.toml"
        with _making(file):
            file.write_text(configuration(self._directory, addresses))
        self._say(f"configuration, journal and events are in {self._directory}/")
        return config.load(
            file,
            environ={},
            source_types=plugins.option_types(plugins.sources()),
            sink_types=plugins.option_types(plugins.sinks()),
        )

    def _next_message(self) -> Sent:
        return self._world.order_backorder(self._pick(QUEUE_STORES))

    def _next_list(self) -> Sent:
        return self._world.order_backorder_list(1 + self._turn() % 3, self._pick(WEBHOOK_STORES))

    def _pick(self, stores: tuple[str, ...]) -> str:
        return stores[self._turn() % len(stores)]

    def _turn(self) -> int:
        return sum(sender.messages for sender in self._senders)

    # --- watching ------------------------------------------------------------------------------

    async def _watch(
        self, daemon: Daemon, settings: Settings, seconds: float | None, asked: asyncio.Event
    ) -> bool:
        stop_daemon, stop_sending = asyncio.Event(), asyncio.Event()
        before = await head_of(config.journal_path(settings.journal.url))
        running = asyncio.create_task(daemon.run(stop_daemon))
        sending = [
            *(asyncio.create_task(sender.send(stop_sending)) for sender in self._senders),
            *(asyncio.create_task(upstream.live(stop_sending)) for upstream in self._upstreams),
        ]
        waiting = asyncio.create_task(asked.wait())
        handed_over = asyncio.create_task(asyncio.wait(sending))
        arrivals = Arrivals()
        try:
            await asyncio.wait(
                [waiting, running, *sending],
                timeout=seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            stop_sending.set()
            # What ended the sending does not end the wait for what was sent.
            ends = [running] if waiting.done() else [running, waiting]
            await asyncio.wait(
                [handed_over, *ends],
                timeout=_SECONDS_TO_ARRIVE,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not running.done():  # one that died takes nothing any more; below it tells why
                for sender in filter(asyncio.Task.done, sending):
                    sender.result()  # one that broke off is a failure, and no events to count
                arrivals = await self._everything_arrived(settings, ends, before)
        except asyncio.CancelledError:
            running.cancel()  # the daemon is not asked to stop in its own time
            raise
        finally:
            for task in (waiting, handed_over, *sending):
                task.cancel()
            stop_daemon.set()
            await running
        return self._sum_up(arrivals)

    async def _everything_arrived(
        self, settings: Settings, ends: Sequence["asyncio.Task[Any]"], before: int
    ) -> Arrivals:
        """What is where, once it is everywhere; or after a while, or when one of `ends` is done."""
        path = config.journal_path(settings.journal.url)
        names = [upstream.source for upstream in self._upstreams]
        file = self._directory / "events.jsonl"
        arrivals = Arrivals()
        async with SqliteJournal(path, readonly=True) as journal:
            with suppress(TimeoutError):
                async with asyncio.timeout(_SECONDS_TO_ARRIVE):
                    arrivals = await look(journal, file, names, after=before)
                    if not self._complete(arrivals):
                        self._say("waiting until everything has arrived; Ctrl-C ends that")
                    while not self._complete(arrivals) and not any(end.done() for end in ends):
                        await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
                        arrivals = await look(journal, file, names, after=before)
        return arrivals

    def _everything(self, arrivals: Arrivals) -> set[object]:
        """What every sink should have: what was sent, and what polling found."""
        return {
            *(fact for sender in self._senders for fact in sender.facts),
            *(fact for found in arrivals.polled.values() for fact in found),
        }

    def _complete(self, arrivals: Arrivals) -> bool:
        everything = self._everything(arrivals)
        agreed = all(
            arrivals.open.get(upstream.source) == upstream.lines for upstream in self._upstreams
        )
        return agreed and all(everything <= got for got in arrivals.places.values())

    # --- what came of it -----------------------------------------------------------------------

    def _sum_up(self, arrivals: Arrivals) -> bool:
        """Tell what came of it; True if every simulated event reached every sink."""
        self._say("")
        for sender in self._senders:
            here = len(sender.facts & arrivals.journal)
            self._say(
                f"source {sender.source:<15} sent {sender.messages} messages"
                f" with {len(sender.facts)} events, in the journal {here}"
            )
        for upstream in self._upstreams:
            self._say(_polled(upstream, arrivals))
        everything = self._everything(arrivals)
        for sink in ("stdout", "file"):
            got = len(everything & arrivals.places[sink])
            self._say(f"sink   {sink:<15} got {got} of {len(everything)} events")
        complete = self._complete(arrivals)
        self._say("every simulated event reached every sink" if complete else "events are missing")
        return complete


def _polled(upstream: Upstream, arrivals: Arrivals) -> str:
    """What came of a polled upstream, in a line."""
    truth, told = upstream.lines, arrivals.open.get(upstream.source)
    events = len(arrivals.polled.get(upstream.source, ()))
    agreed = "the journal agrees" if told == truth else "the journal does not agree"
    return (
        f"source {upstream.source:<15} has {truth.total()} lines on backorder, {agreed},"
        f" after {events} events"
    )


@contextmanager
def _making(path: Path) -> Iterator[None]:
    """A failure to make a file or a directory, as what a person can do about it."""
    try:
        yield
    except OSError as error:
        reason = f"{path} cannot be written: {error.strerror}"
        raise Unusable(reason, "Start the demonstration where you may make files") from error


def _address(port: int) -> str:
    """A loopback address: this port where it is free, otherwise another."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return f"127.0.0.1:{broker.free_port()}"
    return f"127.0.0.1:{port}"
