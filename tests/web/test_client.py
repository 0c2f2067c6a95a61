"""The HTTP client against real servers that answer as each test wants."""

import asyncio
import gzip
import logging
import ssl
import time
import traceback
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from email.utils import formatdate
from pathlib import Path
from typing import Any, TypeVar

import pytest
import trustme
from aiohttp import web

from consumer.errors import ConsumerError, Denied, Refused, Unavailable, Unusable
from consumer.retry import Backoff
from consumer.values import Secret
from consumer.web import Answer, Client, Tls, Validators

TOKEN = "t0ken-in-the-path"
PASSWORD = "s3cret-in-a-header"
WHAT = "the list of back-orders"

_Error = TypeVar("_Error", bound=ConsumerError)
Answerer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Upstream:
    """Answers by script, one entry a request and the last one ever after; keeps what was asked."""

    def __init__(self) -> None:
        self.port = 0
        self.tls: ssl.SSLContext | None = None
        self.requests: list[web.BaseRequest] = []
        self.moments: list[float] = []
        self.peers: set[object] = set()
        self.script: list[Answerer] = []

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}/sub/{TOKEN}/back-orders"

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Upstream"]:
        runner = web.ServerRunner(web.Server(self._answer, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=self.tls)
        await site.start()
        self.port = site.port
        yield self
        await runner.cleanup()

    def answers(self, status: int = 200, body: bytes = b"[]", **headers: str) -> None:
        """What the next request gets, and the one after that, and so on."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}

        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            return web.Response(status=status, headers=named, body=body)

        self.script.append(answer)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        self.moments.append(time.monotonic())
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername"))
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return await answer(request)


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream().running() as upstream:
        yield upstream


def client(**options: Any) -> Client:
    usual: dict[str, Any] = {
        "concurrency": 2,
        "timeout": 30,
        "attempts": 1,
        "max_body": 1 << 20,
        "headers": {"Authorization": Secret(f"Basic {PASSWORD}")},
        "backoff": Backoff(initial=0.001, most=0.002),
    }
    return Client(**(usual | options))


async def ask(url: str, call: dict[str, Any] | None = None, **options: Any) -> Answer:
    async with client(**options) as asking:
        return await asking.get(url, what=WHAT, **(call or {}))


async def fails(
    kind: type[_Error], url: str, call: dict[str, Any] | None = None, **options: Any
) -> _Error:
    """The error, after a look at everything that could be logged of it."""
    with pytest.raises(kind) as caught:
        await ask(url, call, **options)
    error = caught.value
    told = f"{error} {error!r} {vars(error)} {''.join(traceback.format_exception(error))}"
    chained: BaseException | None = error
    while chained is not None:
        told += f"{chained} {chained!r}"
        chained = chained.__cause__ or chained.__context__
    assert TOKEN not in told
    assert PASSWORD not in told
    assert str(error).startswith(f"{WHAT}: ")
    return error


# --- what is asked and answered --------------------------------------------------------------


async def test_a_question_and_its_answer(upstream: Upstream) -> None:
    upstream.answers(body=b'[{"a": 1}]', Content_Type="Application/JSON; charset=utf-8")
    call = {
        "query": {"delivery": "JOB SITE", "project": "a&b=ü/+"},
        "headers": {"Accept": "application/json", "X-Key": Secret("x")},
    }
    answer = await ask(upstream.url.replace("sub", "s%2Fu%62"), call)
    assert answer == Answer(status=200, body=b'[{"a": 1}]', media_type="application/json")
    (request,) = upstream.requests
    assert request.method == "GET"
    assert request.raw_path == (
        f"/s%2Fu%62/{TOKEN}/back-orders?delivery=JOB%20SITE&project=a%26b%3D%C3%BC%2F%2B"
    )
    assert request.headers["Authorization"] == f"Basic {PASSWORD}"
    assert request.headers["Accept"] == "application/json"
    assert request.headers["X-Key"] == "x"
    assert request.headers["User-Agent"] == "backorder-consumer"


async def test_a_query_is_added_to_the_one_in_the_url(upstream: Upstream) -> None:
    upstream.answers()
    await ask(f"{upstream.url}?a=1", {"query": {"b": "2"}})
    assert upstream.requests[0].query_string == "a=1&b=2"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_compressed_answers(upstream: Upstream, encoding: str) -> None:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.Response(body=b"[]" * 1000)
        response.enable_compression(web.ContentCoding(encoding))
        return response

    upstream.script = [answer]
    assert (await ask(upstream.url)).body == b"[]" * 1000


@pytest.mark.parametrize("status", [200, 400, 404, 503])
async def test_connections_are_used_again(upstream: Upstream, status: int) -> None:
    """Whatever was answered on them, even where its body came late."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(status=status)
        await response.prepare(request)
        await asyncio.sleep(0.01)
        await response.write(b"x" * 1000)
        return response

    upstream.script = [answer]
    async with client() as asking:
        for _ in range(3):
            with suppress(Unavailable, Refused):
                await asking.get(upstream.url, what=WHAT, missing_ok=True)
    assert len(upstream.requests) == 3
    assert len(upstream.peers) == 1


async def test_no_more_at_once_than_there_are_places(upstream: Upstream) -> None:
    upstream.answers()
    async with client(concurrency=2) as asking:
        await asyncio.gather(*(asking.get(upstream.url, what=WHAT) for _ in range(20)))
    assert len(upstream.requests) == 20
    assert len(upstream.peers) == 2


async def test_waiting_for_a_place_is_no_timeout(upstream: Upstream) -> None:
    """The first has the only place until its time is up; the second has all of its time then."""
    never = asyncio.Event()

    async def silence(request: web.BaseRequest) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    upstream.script = [silence]
    upstream.answers()
    async with client(concurrency=1, timeout=1) as asking:
        first, second = await asyncio.gather(
            *(asking.get(upstream.url, what=WHAT) for _ in range(2)), return_exceptions=True
        )
    never.set()
    assert "no answer in time" in str(first)
    assert isinstance(second, Answer)


async def test_of_headers_of_one_name_the_last_is_sent_whatever_its_case(
    upstream: Upstream,
) -> None:
    upstream.answers()
    ours = {"Accept": "application/json", "accept": "text/x", "user-agent": "me", "x-a": "client"}
    await ask(upstream.url, {"headers": {"X-A": "call", "x-a": "last"}}, headers=ours)
    (request,) = upstream.requests
    sent = [(name.decode().lower(), value.decode()) for name, value in request.raw_headers]
    assert [value for name, value in sent if name == "accept"] == ["text/x"]
    assert [value for name, value in sent if name == "user-agent"] == ["me"]
    assert [value for name, value in sent if name == "x-a"] == ["last"]


# --- conditional requests --------------------------------------------------------------------

ETAG = '"v1"'
DATE = "Wed, 21 Oct 2015 07:28:00 GMT"
SOON, SETTLED = "Wed, 21 Oct 2015 07:28:59 GMT", "Wed, 21 Oct 2015 07:29:00 GMT"


@pytest.mark.parametrize(
    ("headers", "validators"),
    [
        ({"ETag": ETAG}, Validators(etag=ETAG)),
        ({"Last_Modified": DATE}, Validators(last_modified=DATE)),
        ({"ETag": ETAG, "Last_Modified": DATE}, Validators(etag=ETAG, last_modified=DATE)),
        ({"Last_Modified": DATE, "Date": SETTLED}, Validators(last_modified=DATE)),
        # what may have changed again in the same second, or what nobody knows that of
        ({"Last_Modified": DATE, "Date": SOON}, None),
        ({"Last_Modified": DATE, "Date": DATE}, None),
        ({"Last_Modified": SETTLED, "Date": DATE}, None),
        ({"Last_Modified": DATE, "Date": "soon"}, None),
        ({"Last_Modified": "long ago", "Date": SETTLED}, None),
        ({"Last_Modified": DATE.replace("GMT", "-0000"), "Date": DATE}, None),
        ({"ETag": ETAG, "Last_Modified": DATE, "Date": SOON}, Validators(etag=ETAG)),
        ({"ETag": '"\xfc"'}, None),
        ({"ETag": ""}, None),
        ({}, None),
    ],
)
async def test_validators_of_an_answer(
    upstream: Upstream, headers: dict[str, str], validators: Validators | None
) -> None:
    upstream.answers(200, b"[]", **headers)
    assert (await ask(upstream.url)).validators == validators


def test_without_a_date_of_the_answer_the_last_change_tells_nothing() -> None:
    assert Validators.of({"Last-Modified": DATE}) is None


async def test_asking_again_only_for_what_is_new(upstream: Upstream) -> None:
    upstream.answers(304, b"")
    validators = Validators(etag=ETAG, last_modified=DATE)
    answer = await ask(upstream.url, {"validators": validators})
    assert answer == Answer(status=304, body=b"", media_type="", validators=validators)
    (request,) = upstream.requests
    assert request.headers["If-None-Match"] == ETAG
    assert request.headers["If-Modified-Since"] == DATE


@pytest.mark.parametrize("validators", [None, Validators()])
async def test_nothing_new_though_nothing_was_compared(
    upstream: Upstream, validators: Validators | None
) -> None:
    upstream.answers(304, b"")
    error = await fails(Unavailable, upstream.url, {"validators": validators})
    assert "HTTP 304" in error.reason


# --- what statuses mean ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statuses", "kind", "times"),
    [
        ([201, 202, 203, 204, 205, 206, 299], Refused, 1),
        ([300, 301, 302, 303, 305, 307, 308], Refused, 1),
        ([400, 402, 404, 405, 406, 409, 410, 413, 418, 422, 451], Refused, 1),
        ([401, 403, 407], Denied, 1),
        ([408, 425, 429], Unavailable, 3),
        ([500, 501, 502, 503, 504, 507, 599], Unavailable, 3),
        ([600, 999], Refused, 1),
    ],
)
async def test_statuses(
    upstream: Upstream, statuses: list[int], kind: type[ConsumerError], times: int
) -> None:
    for status in statuses:
        upstream.script.clear()
        upstream.answers(status, body=b"Jane Doe", Location=f"{upstream.url}/elsewhere")
        error = await fails(kind, upstream.url, attempts=3)
        assert type(error) is kind
        assert str(error).startswith(f"{WHAT}: HTTP {status}, it ")
        assert "Jane" not in str(error)
    assert len(upstream.requests) == times * len(statuses)
    assert {request.path for request in upstream.requests} == {f"/sub/{TOKEN}/back-orders"}


async def test_what_may_be_missing(upstream: Upstream) -> None:
    upstream.answers(404, b"gone")
    answer = await ask(upstream.url, {"missing_ok": True})
    assert (answer.status, answer.body) == (404, b"gone")


# --- trying again ----------------------------------------------------------------------------


async def test_what_passes_by_itself_is_tried_again(upstream: Upstream) -> None:
    for status in (503, 500, 429, 200):
        upstream.answers(status)
    assert (await ask(upstream.url, attempts=4)).status == 200
    assert len(upstream.requests) == 4


async def test_a_short_wait_is_kept(upstream: Upstream) -> None:
    upstream.answers(429, Retry_After="1")
    upstream.answers()
    assert (await ask(upstream.url, attempts=2)).status == 200
    first, second = upstream.moments
    assert second - first >= 0.99


@pytest.mark.parametrize(
    ("header", "low", "high"),
    [("31", 31, 31), ("in 600 s", 500, 601), ("99999999999", 1e8, 1e9)],
)
async def test_a_long_wait_is_for_the_caller(
    upstream: Upstream, header: str, low: float, high: float
) -> None:
    if header.startswith("in"):
        header = formatdate(time.time() + 600, usegmt=True)
    upstream.answers(503, Retry_After=header)
    error = await fails(Unavailable, upstream.url, attempts=5)
    assert error.retry_after is not None
    assert low <= error.retry_after <= high
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("header", ["0", "soon", "-1", "Thu, 99 Foo 2016"])
async def test_a_wait_that_says_nothing_changes_nothing(upstream: Upstream, header: str) -> None:
    upstream.answers(503, Retry_After=header)
    upstream.answers()
    assert (await ask(upstream.url, attempts=2)).status == 200


async def test_retries_are_not_logged_or_counted_by_the_library(
    upstream: Upstream, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    upstream.answers(503)
    with pytest.raises(Unavailable):
        await ask(upstream.url, attempts=3)
    await fails(Unavailable, f"http://127.0.0.1:1/{TOKEN}", attempts=2)
    told = caplog.text + "".join(capfd.readouterr())
    assert "stamina" not in told
    assert TOKEN not in told
    assert PASSWORD not in told


# --- no whole answer -------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ZIPPED = gzip.compress(b"[" + b'"abcdefgh",' * 5000 + b"1]")


@asynccontextmanager
async def saying(
    said: bytes, *, then: str = "close"
) -> AsyncIterator[tuple[str, Sequence[object]]]:
    """A server that says the same bytes to everybody; its URL, and who came."""
    came: list[asyncio.Task[Any] | None] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(asyncio.current_task())
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(said)
            await writer.drain()
            if then == "wait":
                await reader.read()
        if then == "reset":
            writer.transport.abort()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/{TOKEN}", came
        await asyncio.wait_for(asyncio.gather(*filter(None, came)), 60)


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"HTTP/1.1 200",
        HEAD + b"Content-Length: 100\r\n\r\n[1, 2",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n[1, 2\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nfff\r\n[1, 2",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nbanana\r\n",
        HEAD + b"Content-Encoding: gzip\r\nContent-Length: 9999\r\n\r\n" + ZIPPED,
        HEAD + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\n[1,2]",
        HEAD + b"Content-Encoding: br\r\nContent-Length: 5\r\n\r\n[1,2]",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 banana\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
)
async def test_a_cut_or_garbled_answer_is_no_answer(said: bytes, then: str) -> None:
    async with saying(said, then=then) as (url, came):
        await fails(Unavailable, url, attempts=2)
    assert 2 <= len(came) <= 4  # where nothing at all is answered aiohttp asks once more by itself


@pytest.mark.parametrize("said", [b"", HEAD + b"Content-Length: 100\r\n\r\n[1, 2"])
async def test_an_answer_that_does_not_end_in_time(said: bytes) -> None:
    async with saying(said, then="wait") as (url, came):
        error = await fails(Unavailable, url, attempts=2, timeout=0.4)
    assert error.reason == f"{WHAT}: no answer in time"
    assert len(came) == 2


async def test_a_status_counts_though_its_body_never_ends() -> None:
    head = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\n"
    async with saying(head, then="wait") as (url, _):
        await fails(Denied, url, timeout=0.4)


@pytest.mark.parametrize(
    ("url", "kind", "said"),
    [
        (f"http://127.0.0.1:1/{TOKEN}", Unavailable, "Connection refused"),
        (f"http://nowhere.invalid/{TOKEN}", Unavailable, "resolved"),
        (f"http://{'a' * 64}.invalid/{TOKEN}", Refused, "check the address"),
        (f"http://127.0.0.1:banana/{TOKEN}", Refused, "check the address"),
        (f"ftp://127.0.0.1/{TOKEN}", Refused, "check the address"),
        (f"/{TOKEN}", Refused, "check the address"),
    ],
)
async def test_an_address_where_nobody_answers(
    url: str, kind: type[ConsumerError], said: str
) -> None:
    assert said in str(await fails(kind, url))


# --- too large -------------------------------------------------------------------------------


@pytest.mark.parametrize("announced", [True, False])
async def test_an_answer_is_not_read_beyond_what_is_allowed(
    upstream: Upstream, announced: bool
) -> None:
    ended = asyncio.Event()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        if announced:
            response.content_length = 1 << 30
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(65536))
        except ConnectionError:
            ended.set()
            raise

    upstream.script = [answer]
    error = await fails(Refused, upstream.url, attempts=3)
    assert "max_body, 1,048,576 bytes" in error.reason
    await asyncio.wait_for(ended.wait(), 60)
    assert len(upstream.requests) == 1


async def test_exactly_what_is_allowed(upstream: Upstream) -> None:
    upstream.answers(body=bytes(1 << 20))
    assert len((await ask(upstream.url)).body) == 1 << 20


async def test_a_small_answer_that_decompresses_to_a_large_one(upstream: Upstream) -> None:
    bomb = gzip.compress(bytes(100 << 20), 9)
    upstream.answers(body=bomb, Content_Encoding="gzip")
    tracemalloc.start()
    try:
        await fails(Refused, upstream.url)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20


# --- TLS -------------------------------------------------------------------------------------


@pytest.fixture
async def secure(tmp_path: Path) -> AsyncIterator[tuple[Upstream, Tls]]:
    """An upstream that wants a client certificate, and the settings that satisfy it."""
    ca = trustme.CA()
    files = {name: tmp_path / f"{name}.pem" for name in ("ca", "certificate", "key")}
    ours = ca.issue_cert("consumer@example.com")
    ca.cert_pem.write_to_path(files["ca"])
    ours.cert_chain_pems[0].write_to_path(files["certificate"])
    ours.private_key_pem.write_to_path(files["key"])
    upstream = Upstream()
    upstream.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    upstream.tls.verify_mode = ssl.CERT_REQUIRED
    ca.configure_trust(upstream.tls)
    ca.issue_cert("127.0.0.1").configure_cert(upstream.tls)
    upstream.answers()
    async with upstream.running():
        yield upstream, Tls(**{name: str(path) for name, path in files.items()})


async def test_tls_with_a_client_certificate(secure: tuple[Upstream, Tls]) -> None:
    upstream, tls = secure
    assert (await ask(upstream.url, tls=tls)).status == 200


async def test_an_unknown_authority_is_named(secure: tuple[Upstream, Tls]) -> None:
    error = await fails(Unavailable, secure[0].url)
    assert "does not verify" in error.reason


async def test_a_missing_client_certificate(secure: tuple[Upstream, Tls]) -> None:
    upstream, tls = secure
    await fails(Unavailable, upstream.url, tls=Tls(ca=tls.ca))


async def test_tls_files_that_are_no_good_are_for_a_person(tmp_path: Path) -> None:
    bad = Tls(ca=str(tmp_path / "none.pem"))
    with pytest.raises(Unusable, match="the tls files of source cinx cannot be used"):
        await ask("https://127.0.0.1:1/", tls=bad, owner="source cinx")
