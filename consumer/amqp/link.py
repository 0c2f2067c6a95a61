"""One connection to a broker, and how it is made: every address in turn, each with a deadline."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, NamedTuple

from aiormq.abc import ChannelFrame
from aiormq.channel import Channel
from aiormq.connection import Connection
from pamqp.commands import Queue as QueueFrames
from yarl import URL

from consumer.amqp.channel import Happening, Inlet, LeanChannel
from consumer.amqp.deadlines import RPC_TIMEOUT
from consumer.amqp.lenient import LenientTransports
from consumer.amqp.options import AmqpTls, LinkSettings
from consumer.amqp.trouble import asked_to_end, hung_up, reason, translated
from consumer.errors import Unavailable

# The driver writes a stack trace for what is reported here as a reason.
logging.getLogger("aiormq").setLevel(logging.CRITICAL)

# Of a broker that stands still, too, a program takes leave within the seconds that it may take.
_CLOSE_TIMEOUT = 1
_PORTS = {"amqp": 5672, "amqps": 5671}


class Queue(NamedTuple):
    """What the broker says about a queue: messages ready, and consumers of anybody."""

    name: str
    messages: int
    consumers: int


class _Connection(Connection):
    """The driver's, with less patience for the broker's goodbye, and leaving no task behind."""

    READER_CLOSE_TIMEOUT = _CLOSE_TIMEOUT

    def __init__(self, url: URL, **kwargs: Any) -> None:
        self._transports = LenientTransports(self._inlet)
        super().__init__(url, transport_factory=self._transports, **kwargs)
        self._clearing: set[asyncio.Task[Any]] = set()

    def _inlet(self, number: int) -> Inlet | None:
        channel = self.channels.get(number)
        return channel.inlet if isinstance(channel, LeanChannel) else None

    async def dial(self) -> None:
        """Connect, and hold the broker to the length of a frame that was agreed on."""
        await self.connect()
        self._transports.agree(self.connection_tune.frame_max or 0)

    @property
    def is_connection_was_stuck(self) -> bool:
        """Whether the peer gave no sign of life for too long; the driver's name for it."""
        patience = (self.heartbeat_timeout + 1) * self.HEARTBEAT_GRACE_MULTIPLIER
        silence = self.loop.time() - self._transports.heard
        return silence > patience and super().is_connection_was_stuck

    def _on_reader_done(self, task: "asyncio.Task[Any]") -> None:
        """The driver starts a task here that clears up, and forgets it."""
        before = asyncio.all_tasks()
        super()._on_reader_done(task)
        self._clearing = asyncio.all_tasks() - before

    async def leave(self) -> None:
        """Say goodbye, or go without; afterwards nothing of this connection is at work any more."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(2 * _CLOSE_TIMEOUT):
                await self.close()
        tasks = self._writer_task, self._reader_task
        for task in tasks:
            task.cancel()  # they are done, unless the goodbye took too long
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await asyncio.gather(*tasks, return_exceptions=True)
                await asyncio.gather(*self._clearing, return_exceptions=True)


class Link:
    """An open connection. `trouble` is None until it is lost, and then says why."""

    def __init__(self, connection: _Connection, where: str) -> None:
        self.where = where
        self.trouble: Unavailable | None = None
        self._connection = connection
        self._lost = asyncio.Event()
        connection.closing.add_done_callback(self._on_closing)

    def _on_closing(self, closing: "asyncio.Future[object]") -> None:
        self.trouble = Unavailable(f"{self.where}: {_why(closing)}")
        self._lost.set()

    async def lost(self) -> None:
        """Return when the connection is gone."""
        await self._lost.wait()

    @property
    def product(self) -> str:
        """Name and version of the broker, such as `RabbitMQ 3.10.8`."""
        said = self._connection.server_properties
        return " ".join(str(said[key]) for key in ("product", "version") if key in said)

    async def ready(self) -> None:
        """Return when the broker takes publishes: it blocks connections in a resource alarm."""
        await self._connection.ready()

    async def write(self, payload: bytes) -> None:
        """Hand marshalled frames to the connection's writer; waits while that is behind."""
        await self._connection.write_queue.put(ChannelFrame(payload=payload, should_close=False))

    @contextlib.asynccontextmanager
    async def channel(
        self,
        happened: Callable[[Happening], None] | None = None,
        lost: Callable[[Unavailable], None] | None = None,
    ) -> AsyncIterator[LeanChannel]:
        """A channel for the length of the block; `lost` is told when it ends before that."""
        channels = self._connection.channels
        number = next(free for free in range(1, len(channels) + 2) if free not in channels)
        with translated(self.where):
            if self.trouble is not None:
                raise self.trouble
            channel = LeanChannel(self._connection, number, happened or (lambda _: None))
            channels[number] = channel
            await channel.open(timeout=RPC_TIMEOUT)
        if lost is not None:
            tell = lost
            channel.closing.add_done_callback(
                lambda closing: tell(self.trouble or Unavailable(f"{self.where}: {_why(closing)}"))
            )
        try:
            yield channel
        finally:
            await self._close(channel)

    async def _close(self, channel: Channel) -> None:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await channel.close()
        if asked_to_end():  # `translated` tells what the driver may have made of it
            raise asyncio.CancelledError

    async def queue(self, channel: Channel, name: str) -> Queue:
        """Look at a queue without touching it; `Unavailable` where it is missing.

        The broker closes the channel then.
        """
        with translated(self.where):
            found = await channel.queue_declare(name, passive=True, timeout=RPC_TIMEOUT)
        return _queue(name, found)

    async def make_queue(self, name: str, arguments: Mapping[str, str] | None = None) -> None:
        """Declare a durable queue, unless one of that name exists, of whatever kind."""
        with contextlib.suppress(Unavailable):
            async with self.channel() as channel:
                await self.queue(channel, name)
                return
        async with self.channel() as channel:
            with translated(self.where, f"declaring queue {name}"):
                await channel.queue_declare(
                    name, durable=True, arguments=dict(arguments or {}), timeout=RPC_TIMEOUT
                )

    async def exchange(self, channel: Channel, name: str) -> None:
        """Look at an exchange without touching it; `Unavailable` where it is missing."""
        with translated(self.where):
            await channel.exchange_declare(name, passive=True, timeout=RPC_TIMEOUT)

    async def close(self) -> None:
        """Close the connection and with it its channels, within three seconds."""
        await self._connection.leave()


def _queue(name: str, found: QueueFrames.DeclareOk) -> Queue:
    return Queue(name, found.message_count or 0, found.consumer_count or 0)


def _why(closing: "asyncio.Future[object]") -> str:
    error = None if closing.cancelled() else closing.exception()
    if error is None or isinstance(error, asyncio.CancelledError):
        return "the connection was lost: no sign of life"
    return reason(error)


class Dialer:
    """Makes links. After one that was made the next attempt begins with the address after it."""

    def __init__(self, settings: LinkSettings) -> None:
        self._settings = settings
        self._urls = [URL(url.reveal()) for url in settings.urls]
        self._first = 0

    async def dial(self) -> Link:
        """Connect to the first address that works; `Unavailable` with the reasons of all."""
        reasons = []
        for step in range(len(self._urls)):
            index = (self._first + step) % len(self._urls)
            try:
                link = await self._dial(self._urls[index])
            except Unavailable as trouble:
                reasons.append(self._hinted(trouble, self._urls[index]))
            else:
                self._first = index + 1
                return link
        raise Unavailable("; ".join(reasons))

    def _hinted(self, trouble: Unavailable, url: URL) -> str:
        """The reason, with a guess where a peer hangs up instead of greeting."""
        if not hung_up(trouble):
            return trouble.reason
        if url.scheme == "amqp":
            return f"{trouble.reason}; if this port speaks TLS, write amqps://"
        if self._settings.tls and self._settings.tls.certificate:
            return f"{trouble.reason}; it may not accept the client certificate (tls.certificate)"
        return f"{trouble.reason}; if it wants a client certificate, set tls.certificate"

    async def _dial(self, url: URL) -> Link:
        where = f"{url.host}:{url.port or _PORTS[url.scheme]}"
        tls = self._settings.tls or AmqpTls()
        context = _trust(tls, where) if url.scheme == "amqps" else None
        # TLS by itself would wait half a minute for the goodbye of a peer that is frozen.
        more = {"server_hostname": tls.server_name or None, "ssl_shutdown_timeout": _CLOSE_TIMEOUT}
        name, beat = self._settings.name, str(self._settings.heartbeat)
        with translated(where, connecting=True):
            connection = _Connection(
                url.update_query(name=name, heartbeat=beat),
                context=context,
                **(more if context else {}),
            )
            async with asyncio.timeout(self._settings.connect_timeout):
                await connection.dial()
        return Link(connection, where)


def _trust(tls: AmqpTls, where: str) -> ssl.SSLContext:
    """Whom we trust and who we are; files are read each time, so that renewed ones count."""
    try:
        context = ssl.create_default_context(cafile=tls.ca or None)
    except (OSError, ssl.SSLError) as error:
        raise Unavailable(f"{where}: tls.ca cannot be read: {_file_trouble(error)}") from error
    if tls.certificate:
        try:
            context.load_cert_chain(tls.certificate, tls.key or None)
        except (OSError, ssl.SSLError) as error:
            reason = f"{where}: tls.certificate or tls.key cannot be read: {_file_trouble(error)}"
            raise Unavailable(reason) from error
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _file_trouble(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return "not a PEM file of the right kind"
    return error.strerror or str(error)
