"""Raw sockets against the listener: whatever is said to it, it answers or hangs up, and goes on.

What it costs a whole daemon is measured in `hostile/test_daemon_abuse.py`.
"""

import asyncio
import gzip
import re
import resource
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from consumer.ports import Posted, Reply
from consumer.serving.door import places
from consumer.settings import AuthSettings, TlsSettings
from consumer.values import Duration, Secret, Size
from extent import extent
from waiting import until

HEAD = b"POST /hook HTTP/1.1\r\nHost: x\r\n"
GOOD = HEAD + b"Content-Length: 4\r\n\r\n<x/>"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
MIB = 1 << 20


def posting(target: str, version: str = "1.1") -> bytes:
    return f"POST {target} HTTP/{version}\r\nHost: x\r\nContent-Length: 4\r\n\r\n<x/>".encode()


def with_header(line: bytes) -> bytes:
    return HEAD + line + b"\r\nContent-Length: 4\r\n\r\n<x/>"


def chunks(framing: bytes) -> bytes:
    return CHUNKED + framing


# What is answered with which status; where there are several the connection may also be reset
# before its sender has read the answer, since it went on sending.
REFUSED: dict[str, tuple[bytes, int]] = {
    # other protocols
    "http2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(50), 400),
    "http2 version": (posting("/hook", "2.0"), 505),
    "http0.9": (b"POST /hook\r\n\r\n", 505),
    "http1.9": (posting("/hook", "1.9"), 400),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(512), 400),
    "proxy": (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + GOOD, 400),
    "nul": (bytes(100_000), 400),
    # lengths that two programs may read in two ways
    "length with sign": (HEAD + b"Content-Length: +4\r\n\r\n<x/>", 400),
    "length with underscore": (HEAD + b"Content-Length: 0_4\r\n\r\n<x/>", 400),
    "length in hex": (HEAD + b"Content-Length: 0x4\r\n\r\n<x/>", 400),
    "length of other digits": (HEAD + "Content-Length: ٤\r\n\r\n<x/>".encode(), 400),
    "length empty": (HEAD + b"Content-Length: \r\n\r\n<x/>", 400),
    "length of 26 digits": (HEAD + b"Content-Length: 9" + b"9" * 25 + b"\r\n\r\n<x/>", 400),
    "length of 2^63": (HEAD + b"Content-Length: 9223372036854775808\r\n\r\n<x/>", 413),
    "length twice": (HEAD + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\n<x/>", 400),
    "length as a list": (HEAD + b"Content-Length: 4, 4\r\n\r\n<x/>", 400),
    "length, space, colon": (HEAD + b"Content-Length : 4\r\n\r\n<x/>", 400),
    "length and chunks": (with_header(b"Transfer-Encoding: chunked"), 400),
    "identity": (with_header(b"Transfer-Encoding: identity"), 400),
    "chunks, not last": (HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
    "chunks twice": (HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    "chunks, almost": (HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    "chunks, two headers": (
        HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n",
        400,
    ),
    "chunks in gzip": (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    "chunks in 1.0": (
        b"POST /hook HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n<x/>\r\n0\r\n\r\n",
        400,
    ),
    # chunks
    "chunk of 2^64": (chunks(b"10000000000000000\r\nabc"), 400),
    "chunk below zero": (chunks(b"-4\r\n<x/>\r\n0\r\n\r\n"), 400),
    "chunk with 0x": (chunks(b"0x4\r\n<x/>\r\n0\r\n\r\n"), 400),
    "chunk with space": (chunks(b"4 \r\n<x/>\r\n0\r\n\r\n"), 400),
    "chunk with bare LF": (chunks(b"4\n<x/>\n0\n\n"), 400),
    "chunk extension with LF": (chunks(b"4;a\nb\r\n<x/>\r\n0\r\n\r\n"), 400),
    "length in a trailer": (chunks(b"4\r\n<x/>\r\n0\r\nContent-Length: 7\r\n\r\n"), 400),
    # headers
    "NUL": (with_header(b"X: a\0b"), 400),
    "bare CR": (with_header(b"X: a\rContent-Encoding: gzip"), 400),
    "bare LF": (with_header(b"X: a\nContent-Encoding: gzip"), 400),
    "LF only": (GOOD.replace(b"\r\n", b"\n"), 400),
    "folded": (with_header(b"X: a\r\n b"), 400),
    "no name": (with_header(b": a"), 400),
    "no host": (GOOD.replace(b"Host: x\r\n", b""), 400),
    "two hosts": (with_header(b"Host: y"), 400),
    "300 headers": (with_header(b"\r\n".join([b"X: a"] * 300)), 400),
    # targets
    "//path": (posting("//hook"), 404),
    "encoded slash": (posting("/%2Fhook"), 404),
    "dots": (posting("/a/../hook"), 404),
    "no such escape": (posting("/hook%zz"), 404),
    "no text": (posting("/hook%ff%00"), 404),
    "bytes": (posting("/hök"), 400),
    "port": (posting("http://x:99999999/hook"), 400),
    "broken host": (posting("http://[::1/hook"), 400),
    "file": (posting("file:///etc/passwd"), 400),
    "everything": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "tunnel": (b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", 404),
    "tunnel to nowhere": (b"CONNECT : HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "lower case": (GOOD.replace(b"POST", b"post"), 400),
    # encodings
    "unknown encoding": (with_header(b"Content-Encoding: g\xffzip"), 415),
}

# What is a whole request, odd as it is: it is taken once.
TAKEN = {
    "1.0": posting("/hook", "1.0"),
    "absolute": posting("http://elsewhere/hook"),
    "encoded letter": posting("/%68ook"),
    "tab": HEAD + b"Content-Length:\t4\r\n\r\n<x/>",
    "empty lines first": b"\r\n\r\n" + GOOD,
    "extension": chunks(b"4;a=b\r\n<x/>\r\n0\r\n\r\n"),
    "long extension": chunks(b"4;" + b"a" * 2 * MIB + b"\r\n<x/>\r\n0\r\n\r\n"),
    "many zeros": chunks(b"0" * 2 * MIB + b"4\r\n<x/>\r\n0\r\n\r\n"),
    "upgrade": with_header(b"Connection: Upgrade\r\nUpgrade: websocket"),
    "http2 upgrade": with_header(
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk"
    ),
}

# What has no end, or stops short of it. Nothing of it is taken.
ENDLESS = {
    "headers": HEAD + b"X: a\r\n",
    "one header": HEAD + b"X: " + b"a" * 1000,
    "empty lines": b"\r\n" * 100_000,
    "body": HEAD + b"Content-Length: 5\r\n\r\n<x/>",
    "chunk of 2^63": chunks(b"7fffffffffffffff\r\n<x/>"),
    "chunks": chunks(b"4\r\n<x/>\r\n"),
    "chunk extension": chunks(b"4;" + b"a" * 1000),
    "trailers": chunks(b"4\r\n<x/>\r\n0\r\nX: a\r\n"),
}

# What is cut off while it is still being sent.
FLOODS = {
    "headers": (HEAD, b"X: a\r\n"),
    "one header": (HEAD + b"X: ", b"a" * 10),
    "method": (b"", b"A" * 10),
    "target": (b"POST /", b"a" * 10),
    "trailers": (chunks(b"4\r\n<x/>\r\n0\r\n"), b"X: a\r\n"),
    "one trailer": (chunks(b"4\r\n<x/>\r\n0\r\nX: "), b"a" * 10),
}


def statuses(answers: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/\d\.\d (\d{3}) ", answers)]


async def all_of(opened: Any, data: bytes, *, half: bool = False) -> bytes:
    """Everything that is answered until the connection ends."""
    async with opened.wire() as connection, asyncio.timeout(60):
        with suppress(ConnectionError):
            await connection.send(data)
            if half:
                connection.writer.write_eof()
        try:
            return bytes(await connection.reader.read())
        except ConnectionError:
            return b""


async def untroubled(opened: Any, taken: int = 0) -> None:
    """Nothing else was taken, nothing failed, and a good sender is served."""
    assert (len(opened.recorder.posts), opened.errors) == (taken, [])
    assert (await opened.post()).status == 200
    await until(lambda: opened.listener._door.guests == 0)


# --- what is said ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_wrong_is_refused(bench: Any, name: str) -> None:
    opened = await bench()
    said, status = REFUSED[name]
    answers = await all_of(opened, said)
    assert statuses(answers) == [status]
    assert b"problem+json" in answers
    await untroubled(opened)


@pytest.mark.parametrize("name", TAKEN)
async def test_what_is_odd_is_taken_once(bench: Any, name: str) -> None:
    opened = await bench()
    async with opened.wire() as connection:
        await connection.send(TAKEN[name])
        assert (await connection.answer()).status == 200
    assert [posted.body for posted in opened.recorder.posts] == [b"<x/>"]
    await untroubled(opened, taken=1)


@pytest.mark.parametrize("name", ENDLESS)
async def test_what_has_no_end_is_cut_off_in_time(bench: Any, name: str) -> None:
    opened = await bench(timeout=Duration(0.1))
    assert statuses(await all_of(opened, ENDLESS[name])) in ([], [408])
    await untroubled(opened)


@pytest.mark.parametrize("name", [*ENDLESS, *(key for key in TAKEN if "long" not in key)])
async def test_a_sender_that_says_no_more_gets_no_more(bench: Any, name: str) -> None:
    """A half-closed connection is closed: a whole request is taken, half of one is not."""
    opened = await bench()
    await all_of(opened, ENDLESS.get(name) or TAKEN[name], half=True)
    assert {posted.body for posted in opened.recorder.posts} <= {b"<x/>"} - {
        b"<x/>" if name in ENDLESS else b""
    }
    assert opened.errors == []


@pytest.mark.parametrize("name", FLOODS)
async def test_floods_are_cut_off(bench: Any, name: str) -> None:
    opened = await bench()
    beginning, more = FLOODS[name]
    assert statuses(await all_of(opened, beginning + more * (2 * MIB // len(more)))) in ([], [400])
    await untroubled(opened)


async def test_drops_of_headers_do_not_buy_time(bench: Any) -> None:
    opened = await bench(timeout=Duration(0.2))
    async with opened.wire() as connection:
        await connection.send(HEAD)
        ended = asyncio.ensure_future(connection.ended())
        with suppress(ConnectionError):
            while not ended.done():
                await connection.send(b"X: a\r\n")
                await asyncio.sleep(0.01)
        assert await ended
    await untroubled(opened)


@pytest.mark.parametrize(
    "said", [HEAD + b"Content-Length: 9999999\r\n\r\n", CHUNKED, HEAD + b"X: a\r\n"]
)
async def test_a_reset_in_the_middle_leaves_nothing(bench: Any, said: bytes) -> None:
    opened = await bench()
    for size in (0, 1, 100_000):
        wire = socket.create_connection(("127.0.0.1", opened.listener.port))
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        await asyncio.to_thread(wire.sendall, said + b"<" * size)
        wire.close()  # a reset, since it does not linger
    await untroubled(opened)


async def test_who_asks_to_be_invited_and_goes_is_no_bug(bench: Any) -> None:
    opened = await bench()
    await all_of(opened, HEAD + b"Expect: 100-continue\r\nContent-Length: 4\r\n\r\n", half=True)
    await untroubled(opened)


async def test_controls_in_headers_reach_nobody(bench: Any) -> None:
    opened = await bench()
    shown = "Radial\u202e \u2028<é>\x9b31m\t\x7f"
    await opened.post(User_Agent=shown)
    kept = opened.recorder.posts[0].attributes if opened.recorder.posts else {}
    assert all(text.isascii() and text.isprintable() for text in kept.values())


# --- one after the other ---------------------------------------------------------------------


async def test_a_pipeline_is_answered_in_its_order(bench: Any) -> None:
    opened = await bench()
    bodies = [b"<%d/>" % number for number in range(extent(300, long=5000))]
    said = b"".join(HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(each), each) for each in bodies)
    async with opened.wire() as connection:
        sending = asyncio.ensure_future(connection.send(said))
        answers = [(await connection.answer()).status for _ in bodies]
        await sending
    assert answers == [200] * len(bodies)
    assert [posted.body for posted in opened.recorder.posts] == bodies


@pytest.mark.parametrize(
    "refused",
    [
        HEAD + b"Content-Length: 5000\r\n\r\n" + b"x" * 5000,
        CHUNKED + b"zz\r\n",
        with_header(b"Content-Encoding: br"),
        posting("/nothing"),
        GOOD.replace(b"POST", b"GET"),
    ],
)
async def test_nothing_behind_a_refused_body_is_a_request(bench: Any, refused: bytes) -> None:
    """What an attacker hides in a body that we do not read must not become a post."""
    opened = await bench(max_body=Size(1000))
    assert 200 not in statuses(await all_of(opened, refused + GOOD * 3))
    await untroubled(opened)


async def test_who_does_not_prove_itself_cannot_pipeline(bench: Any) -> None:
    auth = AuthSettings(type="token", token=Secret("t0ken"))
    opened = await bench(auth=auth)
    assert statuses(await all_of(opened, GOOD * 100)) == [401]
    assert opened.recorder.posts == []


async def test_who_reads_no_answer_is_cut_off(bench: Any) -> None:
    opened = await bench(timeout=Duration(0.2))
    (door,) = opened.listener._door._sockets
    door.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # of its connections, too
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(("127.0.0.1", opened.listener.port))
    deaf.settimeout(0)

    def cut() -> bool:
        try:
            deaf.send(GOOD * 1000)
        except BlockingIOError:
            return False
        except ConnectionError:
            return True
        return False

    with deaf:
        await until(cut)
    assert opened.errors == []
    await until(lambda: opened.listener._door.guests == 0)


# --- many ------------------------------------------------------------------------------------


@pytest.fixture
def many_files() -> Iterator[int]:
    """As many open files as the system lets this process have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def silent(opened: Any, count: int) -> list[socket.socket]:
    """So many connections that say nothing."""
    made = []
    for _ in range(count):
        wire = socket.socket()
        wire.settimeout(0)
        with suppress(BlockingIOError):
            wire.connect(("127.0.0.1", opened.listener.port))
        made.append(wire)
        await asyncio.sleep(0)
    return made


async def test_idle_crowds_do_not_keep_anybody_out(bench: Any, many_files: int) -> None:
    opened = await bench(max_connections=50)
    crowd = await silent(opened, min(many_files // 4, extent(1500, long=8000)))
    try:

        async def served() -> bool:
            try:
                return bool((await opened.post()).status == 200)
            except (ConnectionError, asyncio.IncompleteReadError):
                return False  # sent away with the crowd

        await until(served)
        assert opened.listener._door.guests <= 50
    finally:
        for wire in crowd:
            wire.close()
    await until(lambda: opened.listener._door.guests == 0)
    assert opened.errors == []


async def test_whoever_is_owed_an_answer_stays(bench: Any) -> None:
    """With all places taken by posts that wait for their commit, a newcomer is sent away."""
    opened = await bench(max_connections=2, timeout=Duration(0.1))
    arrived, release = asyncio.Semaphore(0), asyncio.Event()

    async def hold(posted: Posted) -> Reply:
        arrived.release()
        await release.wait()
        return Reply(status=200, document={})

    opened.listener.route("/hold", hold)
    holding = [asyncio.ensure_future(opened.post(path="/hold")) for _ in range(2)]
    for _ in holding:
        await asyncio.wait_for(arrived.acquire(), 60)
    async with opened.wire() as newcomer:
        answer = await newcomer.answer()
        assert await newcomer.ended()
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert answer.document["detail"].startswith("too many connections")
    release.set()
    assert [answer.status for answer in await asyncio.gather(*holding)] == [200, 200]
    await untroubled(opened)


async def test_a_handshake_that_never_ends_has_a_place_like_others(
    bench: Any, tmp_path: Path
) -> None:
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "pem")
    tls = TlsSettings(certificate=str(tmp_path / "pem"), key=str(tmp_path / "pem"))
    opened = await bench(max_connections=5, tls=tls)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    crowd = await silent(opened, 50)

    async def served() -> bool:
        try:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", opened.listener.port, ssl=context
            )
        except (OSError, ssl.SSLError):
            return False
        writer.write(GOOD)
        answer = await reader.readline()
        writer.transport.abort()
        return statuses(answer) == [200]

    await until(served)
    assert opened.listener._door.guests <= 5
    for wire in crowd:
        wire.close()
    assert opened.errors == []


async def test_bombs_all_at_once(bench: Any) -> None:
    """Deep nesting and high ratios: each is refused, and what is in memory stays within bounds."""
    opened = await bench(max_body=Size(MIB))
    zeroes = gzip.compress(bytes(20 * MIB))
    members = gzip.compress(bytes(MIB // 2)) * 40
    nested = gzip.compress(gzip.compress(gzip.compress(bytes(50 * MIB), 9), 9), 9)
    bombs = [zeroes, members] * 8
    answers = await asyncio.gather(
        *(opened.post(each, Content_Encoding="gzip") for each in bombs),
    )
    assert {answer.status for answer in answers} <= {413, 503}
    assert opened.recorder.posts == []
    # What is still packed after one layer is a small body that is no XML: the source's to refuse.
    assert (await opened.post(nested, Content_Encoding="gzip")).status == 200
    assert len(opened.recorder.posts[0].body) < MIB
    await untroubled(opened, taken=1)


@pytest.mark.parametrize(
    ("limits", "given", "raised"),
    [
        ((1024, 20_000), 1000, 1256),
        ((1024, 1100), 844, 1100),
        ((64, 64), 32, 64),
        ((4096, 4096), 1000, 4096),
        ((1024, resource.RLIM_INFINITY), 1000, 1256),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), 1000, resource.RLIM_INFINITY),
    ],
)
def test_places_leave_files_to_others(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], given: int, raised: int
) -> None:
    known = [limits]
    monkeypatch.setattr(resource, "getrlimit", lambda _: known[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: known.append(pair))
    assert (places(1000), known[-1][0]) == (given, raised)
