"""Connecting to a real RabbitMQ: TLS, several addresses, and the reasons a user is given."""

import asyncio
import contextlib
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pamqp.frame
import pytest
import pytest_asyncio
import trustme
from msgspec import structs
from pamqp.header import ContentHeader

from consumer.amqp import (
    AmqpTls,
    Consumption,
    Delivery,
    Dialer,
    Letter,
    Link,
    LinkSettings,
    Publisher,
    Subscription,
    Supervisor,
    check_urls,
)
from consumer.amqp.channel import LeanChannel
from consumer.amqp.deadlines import cut_short
from consumer.amqp.lenient import LenientReader
from consumer.errors import Unavailable
from consumer.retry import Backoff
from consumer.simulators.broker import PrivateBroker
from consumer.simulators.broker_home import BrokerTls, free_port
from consumer.testing.sources import RecordingStatus
from consumer.values import Secret
from rabbit import paused, rabbit, unreachable
from waiting import until


async def dial(*urls: str, **more: Any) -> str:
    """Connect and tell where to."""
    link = await Dialer(
        LinkSettings(urls=tuple(Secret(url) for url in urls), name="test", **more)
    ).dial()
    where = link.where
    await link.close()
    return where


async def trouble(*urls: str, **more: Any) -> str:
    with pytest.raises(Unavailable) as caught:
        await dial(*urls, **more)
    return caught.value.reason


# --- addresses and credentials ---------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "amqp://user:hunter2@rabbit..example.com/",
        f"amqp://user:hunter2@{'rabbit' * 11}.example.com/",
        "amqp://user:hunter2@xn--a/",
        "amqp://user:hunter2@rab\0bit/",
        "amqp://user:hunter2@rab\u200dbit/",
        "amqp://user:hun\\ter2@rabbit/",
        "amqp://user:hunter2@rabbit/?cadata=x",
        "amqps://user:hunter2@rabbit/vhost?no_verify_ssl=1",
    ],
)
def test_what_the_driver_would_trip_over_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"urls: the URL is not of the form amqps://") as caught:
        check_urls([Secret(url)], None)
    assert "ter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "amqp://rabbit",
        "amqps://user:p%5Cw%3F@rabbit.example.com:5671/a%2Fb",
        "amqp://user:pw@[::1]:5672/",
        "amqp://user:pw@bücher.example/",
    ],
)
def test_what_can_be_dialled_is_not_refused(url: str) -> None:
    check_urls([Secret(url)], None)


async def test_addresses_are_tried_in_turn(amqp_url: str) -> None:
    dead = f"amqp://guest:guest@127.0.0.1:{free_port()}/"
    assert (await dial(dead, amqp_url)) in amqp_url


async def test_after_a_link_the_next_attempt_begins_with_the_next_address(
    private_broker: PrivateBroker,
) -> None:
    by_name = private_broker.url.replace("127.0.0.1", "localhost")
    urls = (Secret(private_broker.url), Secret(by_name))
    dialer = Dialer(LinkSettings(urls=urls, name="test"))
    places = []
    for _ in range(3):
        link = await dialer.dial()
        places.append(link.where.partition(":")[0])
        await link.close()
    assert places == ["127.0.0.1", "localhost", "127.0.0.1"]


async def test_the_reasons_of_all_addresses_are_told(amqp_url: str) -> None:
    closed = free_port()
    said = await trouble(
        f"amqp://u:hunter2@127.0.0.1:{closed}/", amqp_url.replace(":guest@", ":hunter2@")
    )
    assert f"127.0.0.1:{closed}: connection refused" in said
    assert "wrong user or password" in said
    assert "hunter2" not in said


async def test_a_virtual_host_that_is_not_there(amqp_url: str) -> None:
    assert "virtual host does not exist" in await trouble(f"{amqp_url}nowhere")


async def test_a_host_that_is_not_known() -> None:
    assert "host name is not known" in await trouble("amqp://guest:guest@nowhere.invalid/")


async def test_a_peer_that_never_answers() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"amqp://guest:guest@127.0.0.1:{port}/"
        assert "no answer in time" in await trouble(url, connect_timeout=0.1)


async def test_a_tls_peer_that_froze_costs_no_more_than_the_patience() -> None:
    """It does not answer the goodbye of TLS either, which would be waited for half a minute."""
    authority, over = trustme.CA(), asyncio.Event()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)

    async def frozen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert isinstance(writer.transport, asyncio.Transport)
        writer.transport.pause_reading()
        await over.wait()
        writer.transport.abort()

    with authority.cert_pem.tempfile() as ca:
        async with await asyncio.start_server(frozen, "127.0.0.1", 0, ssl=context) as server:
            url = f"amqps://guest:guest@localhost:{server.sockets[0].getsockname()[1]}/"
            try:
                async with asyncio.timeout(10):
                    said = await trouble(url, connect_timeout=0.2, tls=AmqpTls(ca=ca))
            finally:
                over.set()
    assert "no answer in time" in said


async def test_a_peer_that_speaks_something_else() -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(web, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert "amqps://" in await trouble(f"amqp://guest:guest@127.0.0.1:{port}/")


async def test_a_lost_link_says_so(private_broker: PrivateBroker) -> None:
    link = await Dialer(LinkSettings(urls=(Secret(private_broker.url),), name="test")).dial()
    async with unreachable(private_broker):
        await asyncio.wait_for(link.lost(), 60)
    assert link.trouble is not None
    assert "CONNECTION_FORCED" in link.trouble.reason
    with pytest.raises(Unavailable):
        async with link.channel():
            pass
    await link.close()


class Wire:
    """A proxy in front of a broker that can fall silent, as a cut cable does."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._works = asyncio.Event()
        self._works.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._clients: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"amqp://guest:guest@127.0.0.1:{port}/"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        self._works.clear()

    def mend(self) -> None:
        self._works.set()

    def say(self, data: bytes) -> None:
        """Tell the clients something that the broker did not say."""
        for client in self._clients:
            client.write(data)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.append(writer)
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        for source, target in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._carry(source, target))
            self._tasks.add(task)

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                await self._works.wait()
                target.write(data)
        except ConnectionError:
            pass
        finally:
            target.close()


def letter(id_: str, queue: str) -> Letter:
    return Letter(id_, queue, "t", "text/plain", datetime.now(UTC), {}, b"")


async def test_a_silent_peer_is_noticed_by_its_heartbeat(
    private_broker: PrivateBroker, unique: str
) -> None:
    async with Wire(private_broker.port) as wire, rabbit(private_broker.url) as peer:
        await peer.queue(unique)
        settings = LinkSettings(urls=(Secret(wire.url),), name="test", heartbeat=1)
        link = await Dialer(settings).dial()
        async with (
            Subscription.subscribe(link, unique, prefetch=1) as subscription,
            Publisher.open(link, exchange="", mandatory=True) as publisher,
            link.channel() as channel,
        ):
            wire.cut()
            outcomes = await asyncio.gather(
                subscription.take(1, 1),
                publisher.publish([letter("1", unique)], within=60),
                link.queue(channel, unique),
                return_exceptions=True,
            )
        wire.mend()
        await link.close()
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 3
    assert link.trouble is not None
    assert "no sign of life" in link.trouble.reason


async def test_late_answers_to_an_earlier_batch_are_not_told_of_a_later_one(
    private_broker: PrivateBroker, unique: str
) -> None:
    full, free = f"{unique}-full", f"{unique}-free"
    async with Wire(private_broker.port) as wire, rabbit(private_broker.url) as peer:
        await peer.queue(full, **{"x-max-length": 1, "x-overflow": "reject-publish"})
        await peer.publish(full, [b"first"])
        await peer.queue(free)
        link = await Dialer(LinkSettings(urls=(Secret(wire.url),), name="test")).dial()
        async with Publisher.open(link, exchange="", mandatory=True) as publisher:
            wire.cut()
            nowhere, nacked = letter("1", f"{unique}-nowhere"), letter("2", full)
            with pytest.raises(Unavailable, match="no confirm"):
                await publisher.publish([nowhere, nacked], within=0.2)
            wire.mend()
            assert await publisher.publish([letter("3", free)], within=20) == {}
            with pytest.raises(Unavailable, match="nack") as caught:
                await publisher.publish([letter("4", free), nacked], within=20)
            assert caught.value.delivered == 1
            assert set(await publisher.publish([nowhere], within=20)) == {"1"}
        await link.close()


async def test_a_late_refusal_has_everything_behind_it_repeated(
    private_broker: PrivateBroker, unique: str
) -> None:
    free, missing = f"{unique}-free", f"{unique}-missing"
    letters = [letter("1", free), letter("2", missing), letter("3", free)]
    async with Wire(private_broker.port) as wire, rabbit(private_broker.url) as peer:
        await peer.queue(free)
        link = await Dialer(LinkSettings(urls=(Secret(wire.url),), name="test")).dial()
        async with Publisher.open(link, exchange="", mandatory=True) as publisher:
            wire.cut()
            with pytest.raises(Unavailable, match="no confirm"):
                await publisher.publish(letters, within=0.2)
            wire.mend()
            await until(lambda: publisher.is_answered)
            await peer.queue(missing)
            assert await publisher.publish(letters, within=20) == {}
        await link.close()
        assert await peer.ready(missing) == 1
        assert [message.message_id for message in await peer.all(free)] == ["1", "3", "3"]


# --- what a sender put beside a body ---------------------------------------------------------


def short(text: bytes) -> bytes:
    return bytes([len(text)]) + text


def table(*pairs: tuple[bytes, bytes]) -> bytes:
    entries = b"".join(short(key) + value for key, value in pairs)
    return struct.pack(">I", len(entries)) + entries


def text(value: bytes) -> bytes:
    return b"S" + struct.pack(">I", len(value)) + value


def array(*values: bytes) -> bytes:
    items = b"".join(values)
    return b"A" + struct.pack(">I", len(items)) + items


def nested(depth: int) -> bytes:
    value = b"V"
    for _ in range(depth):
        value = array(value)
    return value


def raw_message(key: bytes, properties: Mapping[int, bytes], body: bytes) -> bytes:
    """The frames of a publish on channel 1; the properties by the number of their flag."""
    flags = sum(1 << bit for bit in properties)
    header = struct.pack(">HHQH", 60, 0, len(body), flags) + b"".join(properties.values())
    method = struct.pack(">HHH", 60, 40, 0) + short(b"amq.fanout") + short(key) + b"\0"
    return b"".join(
        struct.pack(">BHI", kind, 1, len(payload)) + payload + b"\xce"
        for kind, payload in ((1, method), (2, header), (3, body))
    )


MICROS = 1_700_000_000_000_000
MICROSECONDS = struct.pack(">Q", MICROS)
TRACED = (b"traceparent", text(b"00-1"))
HEADERS, MESSAGE_ID, TIMESTAMP, TYPE = 13, 7, 6, 5


@pytest.mark.parametrize(
    ("key", "properties", "expected"),
    [
        (b"", {MESSAGE_ID: short(b"M\xfcller"), TYPE: short(b"t")}, ({}, "M?ller", "t")),
        (b"", {15: short(b"\xff"), TYPE: short(b"\xff\xfe")}, ({}, None, "??")),
        (b"", {MESSAGE_ID: short(b"7"), TIMESTAMP: MICROSECONDS}, ({}, "7", None)),
        (b"", {TIMESTAMP: struct.pack(">Q", 1 << 63), TYPE: short(b"t")}, ({}, None, "t")),
        (
            b"",
            {HEADERS: table((b"k\xe9y", text(b"v")), TRACED), TYPE: short("ü".encode())},
            ({"k?y": "v", "traceparent": "00-1"}, None, "ü"),
        ),
        (
            b"",
            {
                HEADERS: table(
                    (b"x", array(b"T" + MICROSECONDS, text(b"s"))),
                    (b"sent", b"T" + MICROSECONDS),
                    (b"f", b"F" + table((b"\xe9", b"t\1"))),
                    TRACED,
                )
            },
            (
                {"x": [MICROS, "s"], "sent": MICROS, "f": {"?": True}, "traceparent": "00-1"},
                None,
                None,
            ),
        ),
        (b"", {HEADERS: table((b"deep", nested(2000))), MESSAGE_ID: short(b"7")}, ({}, "7", None)),
        (b"\xff", {MESSAGE_ID: short(b"7")}, ({}, "7", None)),
    ],
    ids=["id", "type", "micros", "max", "header", "header-time", "deep", "routing-key"],
)
async def test_a_body_is_delivered_whatever_is_beside_it(
    amqp_url: str,
    unique: str,
    key: bytes,
    properties: Mapping[int, bytes],
    expected: tuple[Mapping[str, object], str | None, str | None],
) -> None:
    async with rabbit(amqp_url) as peer:
        await (await peer.queue(unique)).bind("amq.fanout")
        link = await Dialer(LinkSettings(urls=(Secret(amqp_url),), name="test")).dial()
        async with link.channel() as sending:
            assert sending.number == 1
            await link.write(raw_message(key, properties, b"odd"))
            await link.write(raw_message(b"", {}, b"good"))
            async with Subscription.subscribe(link, unique, prefetch=10) as subscription:
                got: list[Delivery] = []
                async with asyncio.timeout(60):
                    while len(got) < 2:
                        got += await subscription.take(10, 1000)
        await link.close()
        await peer.channel.queue_delete(unique)
    assert [each.body for each in got] == [b"odd", b"good"]
    odd = got[0]
    assert (odd.headers, odd.message_id, odd.type) == expected


async def test_properties_that_are_cut_short_are_left_out() -> None:
    """As no broker sends them: what comes before the cut is kept, and so is the frame's length."""
    header = struct.pack(">HHQH", 60, 0, 3, 1 << MESSAGE_ID | 1 << TYPE) + short(b"\xff") + b"\x09t"
    sent = struct.pack(">BHI", 2, 1, len(header)) + header + b"\xce"
    source = asyncio.StreamReader()
    source.feed_data(sent)
    reader = LenientReader(source)
    parts = [await reader.readexactly(size) for size in (1, 6, len(header) + 1)]
    received = b"".join(parts)
    assert len(received) == len(sent)
    _, _, frame = pamqp.frame.unmarshal(received)
    assert isinstance(frame, ContentHeader)
    assert (frame.body_size, frame.properties.message_id) == (3, "?")
    assert frame.properties.message_type is None


async def test_a_broker_that_is_not_understood_after_the_greeting_is_told(
    private_broker: PrivateBroker,
) -> None:
    async with Wire(private_broker.port) as wire:
        link = await Dialer(LinkSettings(urls=(Secret(wire.url),), name="test")).dial()
        wire.say(b"\x01\x00\x00\x00\x00\x00\x04\xff\xff\xff\xff\xce")
        await asyncio.wait_for(link.lost(), 60)
        await link.close()
    assert link.trouble is not None
    assert "sent what the driver cannot read" in link.trouble.reason
    assert "TLS" not in link.trouble.reason


async def test_a_frame_longer_than_was_agreed_on_ends_the_link(
    private_broker: PrivateBroker,
) -> None:
    """Before it is read: RabbitMQ agrees on 131,072 bytes."""
    async with Wire(private_broker.port) as wire:
        link = await Dialer(LinkSettings(urls=(Secret(wire.url),), name="test")).dial()
        wire.say(struct.pack(">BHI", 3, 1, 200_000) + b"x")
        await asyncio.wait_for(link.lost(), 60)
        await link.close()
    assert link.trouble is not None
    assert "sent what the driver cannot read (InvalidFrameError)" in link.trouble.reason


# --- links that do not last ------------------------------------------------------------------


class Dropping(Dialer):
    """A dialer whose links break at once."""

    async def dial(self) -> Link:
        link = await super().dial()
        await link.close()
        return link


class Told(Backoff, frozen=True, kw_only=True):
    """Notes the attempts that are waited after, and does not wait long."""

    attempts: list[int]

    def wait(self, attempt: int, *, draw: float, retry_after: float | None = None) -> float:
        self.attempts.append(attempt)
        return super().wait(attempt, draw=draw, retry_after=retry_after) / 10_000


@pytest.mark.parametrize(
    ("longest", "attempts"), [(30.0, [1, 2, 3, 4]), (0.0, [1, 1, 1, 1])], ids=["short", "long"]
)
async def test_only_a_link_that_lasted_starts_the_waits_anew(
    amqp_url: str, longest: float, attempts: list[int]
) -> None:
    async def receive(queue: str, batch: object) -> Awaitable[object]:
        raise AssertionError(f"{queue} {batch}")

    backoff = Told(initial=longest, most=longest, attempts=[])
    supervisor = Supervisor(
        Dropping(LinkSettings(urls=(Secret(amqp_url),), name="test")),
        Consumption(queues=["q"], prefetch=1, declare=False, watch=30, backoff=backoff),
    )
    running = asyncio.create_task(supervisor.run(receive, RecordingStatus()))
    await until(lambda: len(backoff.attempts) >= 4)
    supervisor.stop()
    await running
    assert backoff.attempts[:4] == attempts


class Fleeting(LeanChannel):
    """A channel whose connection is lost when the broker has just begun to deliver."""

    async def basic_consume(self, *args: Any, **kwargs: Any) -> Any:
        answer = await super().basic_consume(*args, **kwargs)
        await self.connection.close()
        await asyncio.sleep(0.05)
        return answer


async def test_a_subscription_of_the_last_moment_is_not_taken_for_a_link(
    amqp_url: str, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumer.amqp.link.LeanChannel", Fleeting)

    async def receive(queue: str, batch: object) -> Awaitable[object]:
        raise AssertionError(f"{queue} {batch}")

    status = RecordingStatus()
    supervisor = Supervisor(
        Dialer(LinkSettings(urls=(Secret(amqp_url),), name="test")),
        Consumption(
            queues=[unique], prefetch=1, declare=True, watch=30, backoff=Backoff(initial=1, most=1)
        ),
    )
    running = asyncio.create_task(supervisor.run(receive, status))
    await until(lambda: bool(status.said))
    await asyncio.sleep(0.2)
    supervisor.stop()
    await running
    assert None not in status.said
    async with rabbit(amqp_url) as peer:
        await peer.channel.queue_delete(unique)


class Reluctant(Dialer):
    """A dialer that never gets through, and takes its time to give up."""

    def __init__(self, settings: LinkSettings) -> None:
        super().__init__(settings)
        self.dialling, self.leaving, self.left = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def dial(self) -> Link:
        self.dialling.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.leaving.set()
            await self.left.wait()
        raise AssertionError


async def test_a_stop_may_be_asked_for_twice() -> None:
    async def receive(queue: str, batch: object) -> Awaitable[object]:
        raise AssertionError(f"{queue} {batch}")

    dialer = Reluctant(LinkSettings(urls=(), name="test"))
    supervisor = Supervisor(
        dialer,
        Consumption(
            queues=["q"], prefetch=1, declare=False, watch=30, backoff=Backoff(initial=1, most=1)
        ),
    )
    running = asyncio.create_task(supervisor.run(receive, RecordingStatus()))
    async with asyncio.timeout(60):
        await dialer.dialling.wait()
        supervisor.stop()
        await dialer.leaving.wait()
        supervisor.stop()
        dialer.left.set()
        await running


async def test_a_wait_is_cut_short_once() -> None:
    cut_short(None)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(60) as wait:
            cut_short(wait)
            await asyncio.Event().wait()
    cut_short(wait)
    assert wait.expired()


@pytest.mark.parametrize("patience", [1, 30])
async def test_a_stop_waits_little_for_a_broker_that_stands_still(
    private_broker: PrivateBroker, unique: str, patience: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Well within the grace of a stop, however long the driver itself would wait."""
    monkeypatch.setattr("consumer.amqp.link._Connection.READER_CLOSE_TIMEOUT", patience)

    async def receive(queue: str, batch: object) -> Awaitable[object]:
        raise AssertionError(f"{queue} {batch}")

    queues = [f"{unique}-{number}" for number in range(5)]
    status = RecordingStatus()
    supervisor = Supervisor(
        Dialer(LinkSettings(urls=(Secret(private_broker.url),), name="test")),
        Consumption(
            queues=queues, prefetch=1, declare=True, watch=30, backoff=Backoff(initial=1, most=1)
        ),
    )
    running = asyncio.create_task(supervisor.run(receive, status))
    await until(lambda: status.is_up)
    with paused(private_broker):
        supervisor.stop()
        async with asyncio.timeout(6):
            await running
        assert asyncio.all_tasks() == {asyncio.current_task()}, "nothing of it goes on"


# --- TLS -------------------------------------------------------------------------------------


class Authority:
    """A CA with the files of a server and a client certificate."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        server = authority.issue_cert("localhost")
        client = authority.issue_cert("client@example.com")
        self.ca = folder / "ca.pem"
        self.server, self.server_key = folder / "server.pem", folder / "server.key"
        self.client, self.client_key = folder / "client.pem", folder / "client.key"
        authority.cert_pem.write_to_path(self.ca)
        for issued, certificate, key in (
            (server, self.server, self.server_key),
            (client, self.client, self.client_key),
        ):
            issued.cert_chain_pems[0].write_to_path(certificate)
            issued.private_key_pem.write_to_path(key)

    @property
    def tls(self) -> AmqpTls:
        return AmqpTls(ca=str(self.ca), certificate=str(self.client), key=str(self.client_key))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def secure(authority: Authority) -> AsyncIterator[PrivateBroker]:
    """A broker that wants client certificates."""
    tls = BrokerTls(authority.ca, authority.server, authority.server_key, clients=True)
    async with PrivateBroker(tls) as broker:
        yield broker


async def test_connects_with_a_client_certificate(
    secure: PrivateBroker, authority: Authority
) -> None:
    assert await dial(secure.tls_url, tls=authority.tls) == f"localhost:{secure.tls_port}"


async def test_the_certificate_may_be_for_another_name(
    secure: PrivateBroker, authority: Authority
) -> None:
    by_address = secure.tls_url.replace("localhost", "127.0.0.1")
    said = await trouble(by_address, tls=authority.tls)
    assert "not valid for '127.0.0.1'" in said
    assert "tls.server_name" in said
    await dial(by_address, tls=structs.replace(authority.tls, server_name="localhost"))
    await dial(by_address, tls=structs.replace(authority.tls, verify=False))


async def test_what_is_wrong_with_tls_is_told(
    secure: PrivateBroker, authority: Authority, tmp_path: Path
) -> None:
    unknown_ca = structs.replace(authority.tls, ca="")
    assert "set tls.ca" in await trouble(secure.tls_url, tls=unknown_ca)
    nobody = AmqpTls(ca=str(authority.ca))
    assert "wants a client certificate" in await trouble(secure.tls_url, tls=nobody)
    stranger = Authority(tmp_path)
    foreign = structs.replace(stranger.tls, ca=str(authority.ca))
    assert "not accept the client certificate" in await trouble(secure.tls_url, tls=foreign)
    plain = secure.url.replace("amqp:", "amqps:")
    assert "does not speak TLS" in await trouble(plain, tls=authority.tls)
    inside_out = secure.tls_url.replace("amqps:", "amqp:")
    assert "write amqps://" in await trouble(inside_out)


async def test_files_that_cannot_be_read_are_told(
    secure: PrivateBroker, authority: Authority
) -> None:
    gone = structs.replace(authority.tls, ca="/nowhere/ca.pem")
    assert "tls.ca cannot be read: No such file" in await trouble(secure.tls_url, tls=gone)
    no_key = structs.replace(authority.tls, key="")
    assert "tls.certificate or tls.key cannot be read" in await trouble(secure.tls_url, tls=no_key)
