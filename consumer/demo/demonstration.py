"""The demonstration: a real daemon between simulated upstreams and two sinks.

Radial's side is played by a private RabbitMQ with a queue for each store, where one is installed,
and by a sender that posts lists to the webhook. The daemon between them is the one that `run`
starts, on a configuration of the demonstration's own. What was sent is remembered, and at the end
every fact of it is looked up in the journal and in what the sinks got.
"""

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from consumer import config, plugins
from consumer.app import Daemon
from consumer.errors import Unusable
from consumer.event import Event
from consumer.journal.sqlite import SqliteJournal
from consumer.ports import Journal
from consumer.settings import Settings
from consumer.simulators import broker
from consumer.simulators.radial import Fact, RadialWorld, Sent
from consumer.simulators.radial_feed import Feed, queue_feed, webhook_feed

_QUEUE_STORES = ("TMS_US", "TMS_CA")
_WEBHOOK_STORES = ("TMS_EU",)
_WEBHOOK_PATH = "/webhooks/radial/order-backorder"
_SECONDS_BETWEEN_MESSAGES = 0.5
_SECONDS_BETWEEN_LOOKS = 0.2
_SECONDS_TO_ARRIVE = 30.0
_PAGE = 1000

_event = msgspec.json.Decoder(Event)


class Sender(Struct):
    """One simulated upstream: how it sends, and what it has sent so far."""

    source: str
    feed: Feed
    next: Callable[[], Sent]
    messages: int = 0
    facts: set[Fact] = set()

    async def send(self, stop: asyncio.Event) -> None:
        """A message now and then, until `stop`; what was begun is handed over."""
        while not stop.is_set():
            sent = self.next()
            self.facts |= set(sent.facts)
            self.messages += 1
            await self.feed(sent)
            with suppress(TimeoutError):
                async with asyncio.timeout(_SECONDS_BETWEEN_MESSAGES):
                    await stop.wait()


def configuration(directory: Path, amqp_url: str | None, webhook: str, admin: str) -> str:
    """The configuration file that the demonstration writes and runs on."""
    queue = f"""
[[sources]]
type = "radial-amqp"
name = "radial-queue"
urls = ["{amqp_url}"]
store_codes = {json.dumps(_QUEUE_STORES)}
"""
    return f"""# Written by `backorder-consumer demo`.
[journal]
url = "sqlite:{directory / "journal.db"}"
[webhooks]
listen = "{webhook}"
[admin]
listen = "{admin}"
[log]
level = "warning"
format = "console"
{queue if amqp_url else ""}
[[sources]]
type = "radial-webhook"
name = "radial-webhook"

[[sinks]]
type = "stdout"
name = "stdout"
format = "pretty"

[[sinks]]
type = "file"
name = "file"
path = "{directory / "events.jsonl"}"
"""


class Demo:
    """One demonstration in `directory`; `say` gets the lines for the person who watches."""

    def __init__(self, directory: Path, say: Callable[[str], None]) -> None:
        self._directory = directory
        self._say = say
        self._world = RadialWorld(time.time_ns() // 1_000_000, (*_QUEUE_STORES, *_WEBHOOK_STORES))
        self._senders: list[Sender] = []

    async def run(self, seconds: float | None, asked: asyncio.Event) -> bool:
        """Run for so many seconds, or until `asked`; True if everything arrived everywhere."""
        with _making(self._directory):
            self._directory.mkdir(parents=True, exist_ok=True)
        async with AsyncExitStack() as stack:
            amqp_url = await self._start_broker(stack)
            if amqp_url:
                feed = await stack.enter_async_context(queue_feed(amqp_url, _QUEUE_STORES))
                self._senders.append(Sender("radial-queue", feed, self._next_message))
            webhook, admin = _address(8080), _address(8081)
            feed = await stack.enter_async_context(webhook_feed(f"http://{webhook}{_WEBHOOK_PATH}"))
            self._senders.append(Sender("radial-webhook", feed, self._next_list))
            settings = self._configure(amqp_url, webhook, admin)
            self._say(f"webhook http://{webhook}{_WEBHOOK_PATH}")
            self._say(f"probes  http://{admin}/readyz and /metrics")
            self._say(
                "Ctrl-C stops it" if seconds is None else f"stops by itself after {seconds:g} s"
            )
            self._say("")
            return await self._watch(Daemon(settings), settings, seconds, asked)

    async def _start_broker(self, stack: AsyncExitStack) -> str | None:
        if not broker.available():
            self._say(
                "no RabbitMQ is installed here (on Debian: apt-get install rabbitmq-server):"
                " the queue is left out, the webhook is shown"
            )
            return None
        self._say("starting a private RabbitMQ for Radial's queues ...")
        node = await stack.enter_async_context(broker.PrivateBroker())
        return node.url

    def _configure(self, amqp_url: str | None, webhook: str, admin: str) -> Settings:
        file = self._directory / "consumer.toml"
        with _making(file):
            file.write_text(configuration(self._directory, amqp_url, webhook, admin))
        self._say(f"configuration, journal and events are in {self._directory}/")
        return config.load(
            file,
            environ={},
            source_types=plugins.option_types(plugins.sources()),
            sink_types=plugins.option_types(plugins.sinks()),
        )

    def _next_message(self) -> Sent:
        return self._world.order_backorder(self._pick(_QUEUE_STORES))

    def _next_list(self) -> Sent:
        return self._world.order_backorder_list(1 + self._turn() % 3, self._pick(_WEBHOOK_STORES))

    def _pick(self, stores: tuple[str, ...]) -> str:
        return stores[self._turn() % len(stores)]

    def _turn(self) -> int:
        return sum(sender.messages for sender in self._senders)

    # --- watching ----------------------------------------------------------------------------

    async def _watch(
        self, daemon: Daemon, settings: Settings, seconds: float | None, asked: asyncio.Event
    ) -> bool:
        stop_daemon, stop_sending = asyncio.Event(), asyncio.Event()
        running = asyncio.create_task(daemon.run(stop_daemon))
        sending = [asyncio.create_task(sender.send(stop_sending)) for sender in self._senders]
        waiting = asyncio.create_task(asked.wait())
        handed_over = asyncio.create_task(asyncio.wait(sending))
        arrivals: dict[str, set[Fact]] = {}
        try:
            await asyncio.wait(
                [waiting, running, *sending],
                timeout=seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            stop_sending.set()
            await asyncio.wait(
                [handed_over, running],
                timeout=_SECONDS_TO_ARRIVE,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not running.done():  # one that died takes nothing any more; below it tells why
                for sender in sending:
                    if sender.done():
                        sender.result()  # one that broke off is a failure, and no events to count
                arrivals = await self._everything_arrived(settings, running)
        finally:
            for task in (waiting, handed_over, *sending):
                task.cancel()
            stop_daemon.set()
            await running
        return self._sum_up(arrivals)

    async def _everything_arrived(
        self, settings: Settings, running: "asyncio.Task[None]"
    ) -> dict[str, set[Fact]]:
        """What is where, once it is everywhere; or after a while."""
        sent = set[Fact]().union(*(sender.facts for sender in self._senders))
        path = config.journal_path(settings.journal.url)
        arrivals: dict[str, set[Fact]] = {}
        async with SqliteJournal(path, readonly=True) as journal:
            with suppress(TimeoutError):
                async with asyncio.timeout(_SECONDS_TO_ARRIVE):
                    while not running.done():
                        arrivals = await self._look(journal)
                        if all(sent <= got for got in arrivals.values()):
                            break
                        await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)
        return arrivals

    async def _look(self, journal: Journal) -> dict[str, set[Fact]]:
        """What has arrived where: by the journal, by the cursor of stdout, by the file itself."""
        positions = await journal.positions()
        cursors = {cursor.sink: cursor for cursor in positions.cursors}
        arrivals: dict[str, set[Fact]] = {"journal": set(), "stdout": set(), "file": set()}
        after = 0
        while page := await journal.read(after, limit=_PAGE):
            for record in page:
                fact = _fact(record.body)
                arrivals["journal"].add(fact)
                if record.seq <= cursors["stdout"].seq and not cursors["stdout"].parked:
                    arrivals["stdout"].add(fact)
            after = page[-1].seq
        file = self._directory / "events.jsonl"
        if file.exists():
            lines = (await asyncio.to_thread(file.read_bytes)).splitlines(keepends=True)
            arrivals["file"] = {_fact(line) for line in lines if line.endswith(b"\n")}
        return arrivals

    def _sum_up(self, arrivals: dict[str, set[Fact]]) -> bool:
        """Tell what came of it; True if every simulated event reached every sink."""
        self._say("")
        for sender in self._senders:
            here = len(sender.facts & arrivals.get("journal", set()))
            self._say(
                f"source {sender.source:<15} sent {sender.messages} messages"
                f" with {len(sender.facts)} events, in the journal {here}"
            )
        everything = set[Fact]().union(*(sender.facts for sender in self._senders))
        for sink in ("stdout", "file"):
            got = len(everything & arrivals.get(sink, set()))
            self._say(f"sink   {sink:<15} got {got} of {len(everything)} events")
        complete = bool(arrivals) and all(everything <= got for got in arrivals.values())
        self._say("every simulated event reached every sink" if complete else "events are missing")
        return complete


@contextmanager
def _making(path: Path) -> Iterator[None]:
    """A failure to make a file or a directory, as what a person can do about it."""
    try:
        yield
    except OSError as error:
        reason = f"{path} cannot be written: {error.strerror}"
        raise Unusable(reason, "Start the demonstration where you may make files") from error


def _fact(body: bytes) -> Fact:
    """The fact that an event's JSON states, as the simulated world counts facts."""
    event = _event.decode(body)
    return Fact(
        source=event.source,
        subject=event.subject,
        type=event.type,
        quantity=event.data.quantity.backordered or "",
    )


def _address(port: int) -> str:
    """A loopback address: this port where it is free, otherwise another."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return f"127.0.0.1:{broker.free_port()}"
    return f"127.0.0.1:{port}"
