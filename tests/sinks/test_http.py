"""The sink `http` against a real server that answers as each test wants."""

import asyncio
import json
import re
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from email.utils import formatdate
from pathlib import Path
from typing import Any

import msgspec
import pytest
import standardwebhooks
import trustme
from aiohttp import web

from consumer.errors import Refused, Unavailable, Unusable
from consumer.sinks.http import Http, HttpOptions
from consumer.testing import builders
from consumer.testing.sinks import RefusingOutlet, RefusingSinkSuite, records, replay
from consumer.values import Duration, Secret, parse_value
from consumer.web import Tls

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PREVIOUS = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

Answerer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Receiver:
    """A webhook receiver that keeps what it accepted, and everything that it was asked."""

    def __init__(self) -> None:
        self.port = 0
        self.tls: ssl.SSLContext | None = None
        self.requests: list[tuple[web.BaseRequest, bytes]] = []
        self.peers: set[object] = set()
        self.ids: list[str] = []
        self.refused: Collection[str] = ()
        self.script: list[Answerer] = []
        self._runner: web.ServerRunner | None = None

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}/hook"

    async def start(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self.tls)
        await site.start()
        self.port = site.port

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    def answers(self, status: int, **headers: str) -> None:
        """What the next request gets, and the one after that, and so on; then 204."""

        async def answer(request: web.Request) -> web.Response:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return web.Response(status=status, headers=named, text="Jane Doe, 1 Main Street")

        self.script.append(answer)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        self.requests.append((request, body))
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername"))
        if self.script:
            return await self.script.pop(0)(request)  # type: ignore[arg-type]  # no application
        events = json.loads(body)
        ids = [event["id"] for event in (events if isinstance(events, list) else [events])]
        if set(ids) & set(self.refused):
            return web.Response(status=422, text="Jane Doe, 1 Main Street")
        self.ids += ids
        return web.Response(status=204)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.start()
    yield receiver
    await receiver.stop()


def http(receiver: Receiver, **options: Any) -> Http:
    fields: dict[str, Any] = {"url": Secret(receiver.url), "secret": Secret(SECRET)}
    return Http(HttpOptions(type="http", name="warehouse", **(fields | options)))


async def unavailable(sink: Http, last: int = 1) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        await sink.deliver(records(1, last))
    return caught.value


# --- the contract ----------------------------------------------------------------------------


class HttpOutlet(RefusingOutlet):
    def __init__(self, receiver: Receiver, **options: Any) -> None:
        self.receiver = receiver
        self.options = options

    def sink(self) -> Http:
        return http(self.receiver, **self.options)

    async def arrived(self) -> Sequence[str]:
        return self.receiver.ids

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        await self.receiver.stop()
        yield
        await self.receiver.start()

    def refuse(self, ids: Collection[str]) -> None:
        self.receiver.refused = ids


class TestHttpKeepsTheContract(RefusingSinkSuite):
    @pytest.fixture
    def outlet(self, receiver: Receiver) -> HttpOutlet:
        return HttpOutlet(receiver)


class TestBatchedHttpKeepsTheContract(RefusingSinkSuite):
    @pytest.fixture
    def outlet(self, receiver: Receiver) -> HttpOutlet:
        return HttpOutlet(receiver, batched=True)


# --- what is sent ----------------------------------------------------------------------------


async def test_an_event_is_a_signed_cloudevent(receiver: Receiver) -> None:
    event = builders.event(1, traceparent=TRACEPARENT)
    options = {
        "previous_secret": Secret(PREVIOUS),
        "headers": {"X-Tenant": Secret("north"), "Authorization": Secret("Bearer t0ken")},
    }
    async with http(receiver, **options) as sink:
        assert await sink.deliver([builders.record(1, event)]) == {}
    ((request, body),) = receiver.requests
    headers = dict(request.headers)
    assert (request.method, request.path) == ("POST", "/hook")
    assert headers["Content-Type"] == "application/cloudevents+json"
    assert headers["webhook-id"] == event.id
    assert headers["traceparent"] == TRACEPARENT
    assert (headers["X-Tenant"], headers["Authorization"]) == ("north", "Bearer t0ken")
    assert body == event.encode()
    for secret in (SECRET, PREVIOUS):
        assert standardwebhooks.Webhook(secret).verify(body, headers)["id"] == event.id
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(SECRET).verify(body + b" ", headers)


async def test_without_a_secret_nothing_is_signed(receiver: Receiver) -> None:
    async with http(receiver, secret=Secret("")) as sink:
        await sink.deliver(records(1, 1))
    ((request, _),) = receiver.requests
    assert "webhook-id" in request.headers
    assert not {"webhook-signature", "traceparent"} & {name.lower() for name in request.headers}


async def test_a_batch_is_one_signed_request(receiver: Receiver) -> None:
    async with http(receiver, batched=True) as sink:
        await sink.deliver(records(1, 3))
        await sink.deliver(records(1, 3))
    (request, body), (again, _) = receiver.requests
    assert request.headers["Content-Type"] == "application/cloudevents-batch+json"
    assert json.loads(body) == [json.loads(record.body) for record in records(1, 3)]
    assert standardwebhooks.Webhook(SECRET).verify(body, dict(request.headers))
    assert request.headers["webhook-id"] == again.headers["webhook-id"]


@pytest.mark.parametrize("batched", [False, True])
async def test_a_replay_says_so_in_a_header_and_in_its_bodies(
    receiver: Receiver, batched: bool
) -> None:
    async with http(receiver, batched=batched) as sink:
        await sink.deliver(records(1, 2))
        await sink.deliver(replay(1, 2))
    before, after = receiver.requests[0], receiver.requests[-1]
    assert "Backorder-Replay" not in before[0].headers
    assert after[0].headers["Backorder-Replay"] == "true"
    events = json.loads(after[1])
    assert all(event["replay"] is True for event in (events if batched else [events]))
    assert standardwebhooks.Webhook(SECRET).verify(after[1], dict(after[0].headers))


async def test_a_request_that_holds_more_than_a_replay_is_none(receiver: Receiver) -> None:
    async with http(receiver, batched=True) as sink:
        await sink.deliver([*replay(1, 1), *records(2, 2)])
    ((request, body),) = receiver.requests
    assert "Backorder-Replay" not in request.headers
    assert [event.get("replay") for event in json.loads(body)] == [True, None]


async def test_connections_are_used_again(receiver: Receiver) -> None:
    async with http(receiver) as sink:
        await sink.deliver(records(1, 5))
    assert len(receiver.requests) == 5
    assert len(receiver.peers) == 1


async def test_credentials_in_the_url_are_sent_and_not_told(receiver: Receiver) -> None:
    url = receiver.url.replace("//", "//user:pa55@") + "?key=pa55"
    async with http(receiver, url=Secret(url)) as sink:
        await sink.deliver(records(1, 1))
        receiver.answers(500)
        failure = await unavailable(sink)
        lines = await sink.check()
    assert receiver.requests[0][0].headers["Authorization"] == "Basic dXNlcjpwYTU1"
    told = (
        f"{failure} {failure.reason} {lines} {sink.Options(type='http', name='a', url=Secret(url))}"
    )
    assert "pa55" not in told
    assert "dXNlcjpwYTU1" not in told


async def test_several_at_once_where_that_is_asked_for(receiver: Receiver) -> None:
    together = asyncio.Barrier(4)

    async def answer(request: web.Request) -> web.Response:
        async with asyncio.timeout(60):
            await together.wait()
        return web.Response()

    receiver.script = [answer] * 8
    async with http(receiver, concurrency=4) as sink:
        assert await sink.deliver(records(1, 8)) == {}
    assert len(receiver.requests) == 8


# --- what answers mean -----------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_delivered(receiver: Receiver, status: int) -> None:
    receiver.answers(status)
    async with http(receiver) as sink:
        assert await sink.deliver(records(1, 1)) == {}


@pytest.mark.parametrize("status", [400, 402, 406, 409, 411, 413, 414, 415, 418, 422, 431, 451])
async def test_refused_for_good(receiver: Receiver, status: int) -> None:
    receiver.answers(status, Retry_After="5")
    async with http(receiver) as sink:
        assert await sink.deliver(records(1, 2)) == {1: f"HTTP {status}"}


@pytest.mark.parametrize(
    "status",
    [
        *(301, 302, 303, 307, 308),
        *(401, 403, 404, 405, 407, 408, 410, 421, 425, 429),
        *(500, 501, 502, 503, 504, 599),
    ],
)
async def test_tried_again(receiver: Receiver, status: int) -> None:
    receiver.answers(204)
    receiver.answers(status, Location=f"{receiver.url}/elsewhere")
    async with http(receiver) as sink:
        failure = await unavailable(sink, last=3)
    assert failure.delivered == 1
    assert f"HTTP {status}" in failure.reason
    assert "Jane" not in failure.reason
    assert [request.path for request, _ in receiver.requests] == ["/hook", "/hook"]


@pytest.mark.parametrize(
    ("status", "header", "low", "high"),
    [
        (429, "17", 17, 17),
        (503, "in 600 s", 500, 601),
        (503, "in -600 s", 0, 0),
        (302, "3", 3, 3),
        (410, "60", 60, 60),
        (410, None, 3600, 3600),
        (503, "99999999999999999999", 1e8, 1e9),
    ],
)
async def test_retry_after(
    receiver: Receiver, status: int, header: str | None, low: float, high: float
) -> None:
    if header and (moment := re.fullmatch(r"in (-?\d+) s", header)):  # a date, seen from now
        header = formatdate(time.time() + int(moment[1]), usegmt=True)
    receiver.answers(status, **({"Retry_After": header} if header else {}))
    async with http(receiver) as sink:
        wait = (await unavailable(sink)).retry_after
    assert wait is not None
    assert low <= wait <= high


@pytest.mark.parametrize("header", [None, "", "soon", "-5", "1.5", "٣", "Thu, 99 Foo 2016"])
async def test_a_bad_retry_after_is_ignored(receiver: Receiver, header: str | None) -> None:
    receiver.answers(503, **({} if header is None else {"Retry_After": header}))
    async with http(receiver) as sink:
        assert (await unavailable(sink)).retry_after is None


async def test_a_refusal_is_told_though_what_follows_fails(receiver: Receiver) -> None:
    """An `Unavailable` cannot carry refusals: it counts only what stands before the first."""
    for status in (204, 422, 204, 503):
        receiver.answers(status)
    async with http(receiver) as sink:
        batch = records(1, 5)
        with pytest.raises(Unavailable) as caught:
            await sink.deliver(batch)
        assert caught.value.delivered == 1
        receiver.answers(422)
        assert await sink.deliver(batch[1:]) == {2: "HTTP 422"}


async def test_the_first_failure_of_several_at_once_counts(receiver: Receiver) -> None:
    async def answer(request: web.Request) -> web.Response:
        place = int(json.loads(await request.read())["data"]["order"]["number"])
        return web.Response(
            status=503 if place in (3, 4) else 204, headers={"Retry-After": str(place)}
        )

    receiver.script = [answer] * 8
    async with http(receiver, concurrency=4) as sink:
        failure = await unavailable(sink, last=8)
    assert (failure.delivered, failure.retry_after) == (2, 3)


async def test_a_batch_is_halved_until_the_refused_events_are_found(receiver: Receiver) -> None:
    batch = records(1, 16)
    receiver.refused = {batch[4].id}
    async with http(receiver, batched=True) as sink:
        assert await sink.deliver(batch) == {5: "HTTP 422"}
    assert receiver.ids == [record.id for record in batch if record.seq != 5]
    assert len(receiver.requests) == 9


async def test_an_outage_while_halving_tells_how_far_it_got(receiver: Receiver) -> None:
    for status in (422, 204, 503):
        receiver.answers(status)
    async with http(receiver, batched=True) as sink:
        assert (await unavailable(sink, last=4)).delivered == 2


# --- no answer -------------------------------------------------------------------------------


async def test_a_receiver_that_never_answers(receiver: Receiver) -> None:
    async def answer(request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    receiver.script = [answer]
    async with http(receiver, timeout=Duration(0.2)) as sink:
        assert "in time" in (await unavailable(sink)).reason


async def test_a_receiver_that_hangs_up(receiver: Receiver) -> None:
    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    receiver.script = [answer]
    async with http(receiver) as sink:
        failure = await unavailable(sink)
        assert receiver.url.removesuffix("/hook") in failure.reason
        assert await sink.deliver(records(1, 1)) == {}


@pytest.mark.parametrize("garbage", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 banana\r\n\r\n"])
async def test_a_receiver_that_speaks_something_else(garbage: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(garbage)
        with suppress(ConnectionError):
            await reader.read(1)
        writer.transport.abort()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with http(Receiver(), url=Secret(url)) as sink:
            assert url in (await unavailable(sink)).reason


async def test_a_name_that_does_not_resolve() -> None:
    async with http(Receiver(), url=Secret("http://nowhere.invalid/")) as sink:
        assert "resolved" in (await unavailable(sink)).reason
    with pytest.raises(Unavailable, match="resolved"):
        await sink.check()


async def test_an_answer_without_end_is_cut_off(receiver: Receiver) -> None:
    ended = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(65536))
        except ConnectionError:
            ended.set()
            raise

    receiver.script = [answer]
    async with http(receiver) as sink:
        assert await sink.deliver(records(1, 2)) == {}
        await asyncio.wait_for(ended.wait(), 60)


async def test_a_status_counts_though_its_body_never_ends(receiver: Receiver) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=422)
        await response.prepare(request)
        await asyncio.Event().wait()
        raise AssertionError

    receiver.script = [answer]
    async with http(receiver, timeout=Duration(0.3)) as sink:
        assert await sink.deliver(records(1, 1)) == {1: "HTTP 422"}


# --- TLS -------------------------------------------------------------------------------------


@pytest.fixture
async def secure(tmp_path: Path) -> AsyncIterator[tuple[Receiver, Tls]]:
    """A receiver that wants a client certificate, and the settings that satisfy it."""
    ca = trustme.CA()
    files = {name: tmp_path / f"{name}.pem" for name in ("ca", "certificate", "key")}
    ours = ca.issue_cert("consumer@example.com")
    ca.cert_pem.write_to_path(files["ca"])
    ours.cert_chain_pems[0].write_to_path(files["certificate"])
    ours.private_key_pem.write_to_path(files["key"])
    receiver = Receiver()
    receiver.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    receiver.tls.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(receiver.tls)
    ca.issue_cert("127.0.0.1").configure_cert(receiver.tls)
    await receiver.start()
    yield receiver, Tls(**{name: str(path) for name, path in files.items()})
    await receiver.stop()


async def test_tls_with_a_client_certificate(secure: tuple[Receiver, Tls]) -> None:
    receiver, tls = secure
    async with http(receiver, tls=tls) as sink:
        assert await sink.deliver(records(1, 2)) == {}
        assert "TLS" in (await sink.check())[0]


async def test_an_unknown_authority_is_named(secure: tuple[Receiver, Tls]) -> None:
    receiver, _ = secure
    async with http(receiver) as sink:
        assert "does not verify" in (await unavailable(sink)).reason
        with pytest.raises(Unavailable, match="does not verify"):
            await sink.check()


async def test_a_missing_client_certificate_is_an_outage(secure: tuple[Receiver, Tls]) -> None:
    receiver, tls = secure
    async with http(receiver, tls=Tls(ca=tls.ca)) as sink:
        await unavailable(sink)


async def test_bad_tls_files_are_for_a_person(receiver: Receiver, tmp_path: Path) -> None:
    sink = http(receiver, tls=Tls(ca=str(tmp_path / "none.pem")))
    with pytest.raises(Unusable, match="tls"):
        await sink.__aenter__()
    receiver.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with pytest.raises(Refused, match="tls"):
        await http(receiver, tls=Tls(ca=str(tmp_path / "none.pem"))).check()


# --- check and options -----------------------------------------------------------------------


async def test_check_sends_no_request(receiver: Receiver) -> None:
    (line,) = await http(receiver).check()
    assert "no request was sent" in line
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"url": "ftp://host/"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "http://host:99999/"}, "url"),
        ({"url": "https://user:s3cret@a..b/"}, "url must be like"),
        ({"url": f"https://user:s3cret@{'a' * 64}.b/"}, "url must be like"),
        ({"secret": "whsec_..."}, "secret"),
        ({"previous_secret": "c2hvcnQ="}, "previous_secret"),
        ({"timeout": "0s"}, "timeout"),
        ({"concurrency": 0}, "concurrency"),
        ({"headers": {"Webhook-Id": "x"}}, "Webhook-Id"),
        ({"headers": {"content-type": "x"}}, "content-type"),
        ({"headers": {"a b": "x"}}, "a b"),
        ({"headers": {"X-Split": "a\r\nX-More: s3cret"}}, "X-Split"),
        ({"tls": {"certificate": "cert.pem"}}, "key"),
    ],
)
def test_bad_options_are_named_without_their_secrets(table: dict[str, Any], said: str) -> None:
    whole = {"type": "http", "name": "warehouse", "url": "https://user:s3cret@host/"} | table
    with pytest.raises(msgspec.ValidationError, match=said) as caught:
        msgspec.convert(whole, HttpOptions, dec_hook=parse_value)
    assert "s3cret" not in str(caught.value)
    assert "c2hvcnQ=" not in str(caught.value)
