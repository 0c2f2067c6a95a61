"""Routing, answers, TLS, and closing in good order."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from consumer.errors import Unusable
from consumer.listener import Listener
from consumer.ports import Posted, Reply
from consumer.settings import TlsSettings, WebhooksSettings
from waiting import until

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


# --- routes and answers ----------------------------------------------------------------------


async def test_a_post_reaches_its_handler_and_the_reply_its_sender(bench: Any) -> None:
    opened = await bench()
    answer = await opened.post(
        b"<x/>",
        Content_Type="text/xml; charset=utf-8",
        User_Agent="Radial/1.0",
        Authorization="Basic c2VjcmV0OnNlY3JldA==",
        traceparent=TRACEPARENT,
    )
    assert (answer.status, answer.document) == (200, {"accepted": 4})
    assert answer.headers["content-type"] == "application/json"
    assert opened.recorder.posts == [
        Posted(
            body=b"<x/>",
            content_type="text/xml; charset=utf-8",
            traceparent=TRACEPARENT,
            attributes={
                "content-type": "text/xml; charset=utf-8",
                "user-agent": "Radial/1.0",
                "remote": "127.0.0.1",
            },
        )
    ]


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        "nonsense",
        TRACEPARENT + "-x",
        TRACEPARENT.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32),
    ],
)
async def test_a_bad_traceparent_is_ignored(bench: Any, traceparent: str) -> None:
    opened = await bench()
    assert (await opened.post(traceparent=traceparent)).status == 200
    assert opened.recorder.posts[0].traceparent is None


async def test_connections_are_kept_open(bench: Any) -> None:
    opened = await bench()
    async with opened.wire() as connection:
        statuses = [(await connection.post()).status for _ in range(3)]
    assert statuses == [200, 200, 200]


async def test_an_unknown_path_is_a_problem_document(bench: Any) -> None:
    answer = await (await bench()).post(path="/nothing")
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.document == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "no source listens on this path",
    }


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
async def test_only_posts_are_answered(bench: Any, method: str) -> None:
    opened = await bench()
    async with opened.wire() as connection:
        await connection.send(f"{method} /hook HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        answer = await connection.answer()
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert answer.document["title"] == "Method Not Allowed"


async def test_a_query_does_not_hide_a_path(bench: Any) -> None:
    assert (await (await bench()).post(path="/hook?store=TMS_US")).status == 200


async def test_what_a_problem_says_more_is_kept(bench: Any) -> None:
    async def handler(posted: Posted) -> Reply:
        return Reply(status=503, document={"detail": "later", "accepted": 0}, retry_after=0.2)

    opened = await bench()
    opened.listener.route("/later", handler)
    answer = await opened.post(path="/later")
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.document == {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "later",
        "accepted": 0,
    }


@pytest.mark.parametrize("error", [RuntimeError("s3cret"), TimeoutError("s3cret")])
async def test_a_handler_that_fails_is_told_about_and_not_told(
    bench: Any, error: Exception
) -> None:
    async def handler(posted: Posted) -> Reply:
        raise error

    opened = await bench()
    opened.listener.route("/broken", handler)
    answer = await opened.post(path="/broken")
    assert (answer.status, answer.document["status"]) == (500, 500)
    assert b"s3cret" not in answer.body
    assert opened.errors == [error]
    assert (await opened.post()).status == 200


async def test_answers_do_not_say_what_serves_them(bench: Any) -> None:
    opened = await bench()
    answers = [await opened.post(), await opened.post(path="/nothing")]
    assert {answer.headers["server"] for answer in answers} == {"backorder-consumer"}


async def test_a_path_is_taken_once(bench: Any) -> None:
    opened = await bench()
    assert opened.listener.routed
    with pytest.raises(ValueError, match="/hook"):
        opened.listener.route("/hook", opened.recorder)
    assert not Listener(WebhooksSettings()).routed


# --- opening and closing ---------------------------------------------------------------------


async def test_an_address_in_use_is_said(bench: Any) -> None:
    opened = await bench()
    taken = f"127.0.0.1:{opened.listener.port}"
    assert opened.listener.address == f"http://{taken}"
    with pytest.raises(Unusable, match=taken):
        await Listener(WebhooksSettings(listen=taken)).__aenter__()


async def test_closing_lets_requests_under_way_finish() -> None:
    listener = Listener(WebhooksSettings(listen="127.0.0.1:0"))
    taken, release = asyncio.Event(), asyncio.Event()

    async def handler(posted: Posted) -> Reply:
        taken.set()
        await release.wait()
        return Reply(status=200, document={})

    listener.route("/hook", handler)
    await listener.__aenter__()
    url = f"{listener.address}/hook"
    async with aiohttp.ClientSession() as session:
        under_way = asyncio.ensure_future(session.post(url))
        await taken.wait()
        closing = asyncio.ensure_future(listener.__aexit__(None, None, None))
        await until(lambda: listener._door._sockets[0].fileno() == -1)
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.post(url)
        assert not closing.done()
        release.set()
        async with await under_way as response:
            assert (response.status, response.headers["Connection"]) == (200, "close")
        await closing


async def test_while_closing_open_connections_are_told_to_come_again(bench: Any) -> None:
    opened = await bench()
    taken, release = asyncio.Event(), asyncio.Event()

    async def handler(posted: Posted) -> Reply:
        taken.set()
        await release.wait()
        return Reply(status=200, document={})

    opened.listener.route("/slow", handler)
    async with opened.wire() as idle, opened.wire() as busy:
        assert (await idle.post()).status == 200
        answering = asyncio.ensure_future(busy.post(path="/slow"))
        await taken.wait()
        closing = asyncio.ensure_future(opened.listener.__aexit__(None, None, None))
        await until(lambda: opened.listener._closing)
        answer = await idle.post()
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        release.set()
        assert (await answering).status == 200
        await closing


async def test_closing_is_bounded(bench: Any) -> None:
    opened = await bench(grace=0.05)
    taken = asyncio.Event()

    async def handler(posted: Posted) -> Reply:
        taken.set()
        await asyncio.Event().wait()
        raise AssertionError

    opened.listener.route("/stuck", handler)
    async with opened.wire() as connection:
        await connection.send(b"POST /stuck HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        await taken.wait()
        async with asyncio.timeout(60):
            await opened.listener.__aexit__(None, None, None)
        assert await connection.ended()
    assert opened.errors == []


# --- TLS -------------------------------------------------------------------------------------


class Authority:
    """A certificate authority and the files that it gave out."""

    def __init__(self, directory: Path) -> None:
        self.ca = trustme.CA()
        self.ca_file = directory / "ca.pem"
        self.ca.cert_pem.write_to_path(self.ca_file)
        issued = self.ca.issue_cert("127.0.0.1")
        self.certificate, self.key = directory / "cert.pem", directory / "key.pem"
        issued.cert_chain_pems[0].write_to_path(self.certificate)
        issued.private_key_pem.write_to_path(self.key)

    def settings(self, **overrides: str) -> TlsSettings:
        return TlsSettings(certificate=str(self.certificate), key=str(self.key), **overrides)

    def client(self, certificate_of: "Authority | None" = None) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        if certificate_of:
            certificate_of.ca.issue_cert("radial@example.com").configure_cert(context)
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def _post(opened: Any, context: ssl.SSLContext) -> int:
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session,
        session.post(f"{opened.listener.address}/hook", data=b"<x/>") as response,
    ):
        return response.status


async def test_serves_https(bench: Any, authority: Authority) -> None:
    opened = await bench(tls=authority.settings())
    assert opened.listener.address.startswith("https://")
    assert await _post(opened, authority.client()) == 200


async def test_client_certificates(
    bench: Any, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stranger = Authority(tmp_path_factory.mktemp("stranger"))
    opened = await bench(tls=authority.settings(client_ca=str(authority.ca_file)))
    assert await _post(opened, authority.client(authority)) == 200
    for context in (authority.client(), authority.client(stranger)):
        with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
            await _post(opened, context)
    assert len(opened.recorder.posts) == 1


@pytest.mark.parametrize("broken", ["certificate", "key", "client_ca"])
async def test_bad_tls_files_are_named(authority: Authority, tmp_path: Path, broken: str) -> None:
    files = {"certificate": str(authority.certificate), "key": str(authority.key)}
    listener = Listener(
        WebhooksSettings(
            listen="127.0.0.1:0", tls=TlsSettings(**(files | {broken: str(tmp_path / "none")}))
        )
    )
    with pytest.raises(Unusable, match=r"webhooks\.tls"):
        await listener.__aenter__()
