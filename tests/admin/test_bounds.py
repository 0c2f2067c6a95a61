"""What anybody who reaches the listener can cost it: time, connections, memory, a 500."""

import asyncio
import contextlib
import json
from typing import Any

import pytest

from consumer.admin import server
from waiting import until

LARGEST = (1 << 63) - 1
POST = (
    b"POST /api/v1/quarantine/retry HTTP/1.1\r\n"
    b"Host: localhost\r\nContent-Type: application/json\r\n"
)


# --- time ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET /metr",
        b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /healthz HTTP/1.1\r\nX",
    ],
)
async def test_who_says_nothing_more_is_cut_off(bench: Any, begun: bytes) -> None:
    opened = await bench(patience=0.2)
    async with opened.wire() as connection:
        await connection.send(begun)
        assert await connection.ended()


async def test_headers_that_trickle_in_are_cut_off(bench: Any) -> None:
    opened = await bench(patience=0.2)
    async with opened.wire() as connection:
        await connection.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n")
        dripping = asyncio.create_task(_drip(connection, b"X: y\r\n"))
        assert await connection.ended()
        dripping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await dripping


async def _drip(connection: Any, piece: bytes) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            await connection.send(piece)
            await asyncio.sleep(0.05)


async def test_a_body_that_does_not_come_is_a_time_out(bench: Any) -> None:
    opened = await bench(patience=0.2)
    async with opened.wire() as connection:
        await connection.send(POST + b'Content-Length: 100\r\n\r\n{"ids"')
        assert (await connection.answer()).status == 408
        assert await connection.ended()


async def test_who_does_not_read_its_answer_is_cut_off(bench: Any) -> None:
    opened = await bench(patience=0.2, metrics=b"x" * (64 << 20))
    async with opened.wire() as connection:
        connection.writer.transport.pause_reading()
        await connection.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await until(lambda: bool(opened.admin._server.connections))
        # Nothing is left of it on our side: closing would wait for a request under way.
        await until(lambda: not opened.admin._server.connections)
        connection.writer.transport.resume_reading()
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await connection.answer()
    assert opened.errors == []


async def test_connections_have_a_bound(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_MOST_CONNECTIONS", 3)
    opened = await bench()
    async with contextlib.AsyncExitStack() as stack:
        held = [await stack.enter_async_context(opened.wire()) for _ in range(3)]
        for connection in held:
            await connection.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await connection.answer()).status == 200
        one_more = await stack.enter_async_context(opened.wire())
        assert await one_more.ended()
        held[0].writer.close()
        await held[0].writer.wait_closed()
        await until(lambda: len(opened.admin._server.connections) < 3)
        assert (await opened.get("/healthz")).status == 200


# --- bodies ----------------------------------------------------------------------------------


async def test_a_body_is_bounded_whatever_it_says(bench: Any) -> None:
    opened = await bench()
    large = json.dumps({"ids": ["0123456789abcdef"] * 5000}).encode()
    assert (await opened.post("/api/v1/quarantine/retry", large)).status == 413
    async with opened.wire() as connection:
        await connection.send(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        await connection.send(chunk + chunk)
        assert (await connection.answer()).status == 413


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'{"ids": ["0123456789abcdef"]} {}',
        b"[" * 60_000,
        b'{"ids":' + b"[" * 60_000,
        b'{"ids": []}',
        b'{"ids": null}',
        b'{"ids": ["0123456789abcdef"], "more": 1}',
        b'{"ids": [5]}',
        b'{"ids": ["0123456789ABCDEF"]}',
        b'{"ids": ["0123456789abcde"]}',
        b'{"ids": ["\\ud800"]}',
        b'{"ids": ["\\u0000123456789abcdef"]}',
        b'{"ids": ' + json.dumps(["0123456789abcdef"] * 101).encode() + b"}",
    ],
)
async def test_a_body_that_makes_no_sense_is_refused(bench: Any, body: bytes) -> None:
    opened = await bench()
    answer = await opened.post("/api/v1/quarantine/retry", body)
    assert answer.status == 400
    assert len(answer.document["detail"]) < 200
    assert opened.errors == []


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"start": 0}, 200),
        ({"start": 1.0}, 200),
        ({"start": LARGEST}, 409),
        ({"since": "0001-01-01T00:00:00Z"}, 200),
        ({"since": "0001-01-01T00:00:00+23:59"}, 409),
        ({"since": "9999-12-31T23:59:59-23:59"}, 409),
        ({"start": 3, "end": 2}, 400),
        ({"start": 1, "source": "none"}, 409),
        ({}, 400),
        ({"start": 1, "since": "2026-11-22T08:00:00Z"}, 400),
        ({"start": LARGEST + 1}, 400),
        ({"start": -1}, 400),
        ({"start": 1.5}, 400),
        ({"start": 1e300}, 400),
        ({"start": "1"}, 400),
        ({"start": True}, 400),
        ({"start": None}, 400),
        ({"since": "2026-11-22T08:00:00"}, 400),
        ({"since": "2026-11-22"}, 400),
        ({"since": 1}, 400),
        ({"start": 1, "end": LARGEST + 1}, 400),
        ({"start": 1, "source": "no name"}, 400),
        ({"start": 1, "more": 1}, 400),
    ],
)
async def test_a_replay_is_understood_or_refused(bench: Any, asked: Any, status: int) -> None:
    opened = await bench()
    answer = await opened.post("/api/v1/sinks/archive/replay", asked)
    assert (answer.status, opened.errors) == (status, [])


@pytest.mark.parametrize(
    ("seqs", "status"),
    [
        ([3], 200),
        (list(range(1000)), 409),  # understood, but not all of these are parked
        ([LARGEST], 409),
        (list(range(1001)), 400),
        ([LARGEST + 1], 400),
        ([-1], 400),
        ([], 400),
    ],
)
async def test_sequence_numbers_are_bounded(bench: Any, seqs: list[int], status: int) -> None:
    opened = await bench()
    answer = await opened.post("/api/v1/parked/retry", {"sink": "warehouse", "seqs": seqs})
    assert (answer.status, opened.errors) == (status, [])


async def test_all_parked_events_are_meant_only_where_that_is_said(bench: Any) -> None:
    opened = await bench()
    assert (await opened.post("/api/v1/parked/discard", {"sink": "warehouse"})).status == 400
    assert len(await opened.journal.parked()) == 3


# --- paths and queries -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/quarantine/%00",
        "/api/v1/quarantine/0123456789abcdef%00",
        "/api/v1/quarantine/0123456789abcdef%0a",
        "/api/v1/quarantine/%ff%fe",
        "/api/v1/quarantine/" + "a" * 5000,
        "/api/v1/quarantine/0123456789abcdef/",
        "/api/v1/quarantine/..%2f..%2fhealthz",
        "/api/v1/quarantine/../../../healthz",
        "/api/v1/parked/warehouse/%00",
        "/api/v1/parked/warehouse/03",
        "/api/v1/parked/warehouse/+3",
        "/api/v1/parked/warehouse/3.0",
        "/api/v1/parked/warehouse/%D9%A3",
        f"/api/v1/parked/warehouse/{LARGEST}",
        f"/api/v1/parked/warehouse/{LARGEST + 1}",
        "/api/v1/parked/warehouse/" + "9" * 5000,
        "/api/v1/parked/ware%68ouse/4",
        "/api/v1/parked/%73%00/3",
        "/api/v1/%F0%9F%98%80",
        "//healthz",
        "/%2fhealthz",
        "*",
        "healthz",
    ],
)
async def test_a_path_that_is_none_is_not_there(bench: Any, path: str) -> None:
    opened = await bench()
    answer = await opened.get(path)
    assert answer.status in {400, 404}
    assert answer.headers["content-type"] == "application/problem+json"
    assert opened.errors == []


async def test_a_path_of_raw_bytes_is_not_there(bench: Any) -> None:
    opened = await bench()
    async with opened.wire() as connection:
        await connection.send(
            b"GET /api/v1/quarantine/\xff\x80 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )
        assert (await connection.answer()).status in {400, 404}
    assert opened.errors == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=1.0",
        "limit=%2B1",
        "limit=",
        "limit=1e2",
        "limit=" + "9" * 5000,
        "limit=1&limit=2",
        "limit",
        f"after={LARGEST + 1}",
        "after=x",
        "prefix=",
        "prefix=%00",
        "prefix=%ff",
        "prefix=0%0a",
        "prefix=" + "a" * 17,
        "more=1",
        "&".join(f"p{n}=1" for n in range(100)),
        "=",
    ],
)
async def test_a_query_that_makes_no_sense_is_refused(bench: Any, query: str) -> None:
    opened = await bench()
    assert (await opened.get(f"/api/v1/quarantine?{query}")).status == 400
    assert opened.errors == []


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/healthz", "GET, HEAD, OPTIONS"),
        ("PUT", "/api/v1/sinks", "GET, HEAD, OPTIONS"),
        ("GET", "/api/v1/quarantine/retry", "POST, OPTIONS"),
        ("HEAD", "/api/v1/parked/retry", "POST, OPTIONS"),
        ("TRACE", "/api/v1/sinks/archive/replay", "POST, DELETE, OPTIONS"),
        ("PROPFIND", "/metrics", "GET, HEAD, OPTIONS"),
    ],
)
async def test_another_method_is_not_allowed(
    bench: Any, method: str, path: str, allow: str
) -> None:
    answer = await (await bench()).ask(method, path)
    assert (answer.status, answer.headers["allow"]) == (405, allow)


async def test_head_is_get_without_the_answer(bench: Any) -> None:
    opened = await bench()
    for path in ("/healthz", "/api/v1/sinks", "/nothing"):
        got, head = await opened.get(path), await opened.ask("HEAD", path)
        assert (head.status, head.headers["content-length"]) == (
            got.status,
            got.headers["content-length"],
        )
        async with opened.wire() as connection:
            await connection.send(f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            await connection.answer(without_body=True)
            await connection.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await connection.answer()).body == b"ok\n"


async def test_large_headers_are_refused(bench: Any) -> None:
    opened = await bench()
    for head in (b"X: " + b"a" * 20_000, b"\r\n".join(b"X%d: y" % n for n in range(1000))):
        async with opened.wire() as connection:
            await connection.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n")
            answer = await connection.answer()
        assert answer.status in {400, 431}
        assert b"aaaa" not in answer.body
    assert opened.errors == []


async def test_an_expected_continue_is_given(bench: Any) -> None:
    opened = await bench()
    async with opened.wire() as connection:
        body = b'{"sink": "warehouse", "seqs": [3]}'
        head = POST.replace(b"quarantine", b"parked")
        await connection.send(head + b"Expect: 100-continue\r\nContent-Length: 34\r\n\r\n")
        assert (await connection.answer()).status == 100
        await connection.send(body)
        assert (await connection.answer()).document == {"marked": 1}
