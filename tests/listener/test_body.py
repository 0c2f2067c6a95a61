"""Bodies of every kind and size: what is read and what is refused.

What they cost is measured on a whole daemon, in `faults/test_memory.py`.
"""

import asyncio
import gzip
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from consumer.listener.answers import Rejection
from consumer.listener.body import inflate
from consumer.ports import Posted, Reply
from consumer.values import Duration, Size

TEXT = b"<OrderBackorder>" + b"0123456789" * 1000 + b"</OrderBackorder>"
PACKED = gzip.compress(TEXT, mtime=0)  # the same in every process: it names tests
CHUNKED = b"POST /hook HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
MIB = 1 << 20


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def bomb(size: int) -> bytes:
    """Zeroes, a thousandth of their size."""
    packer = zlib.compressobj(9, wbits=31)
    packed = [packer.compress(bytes(MIB)) for _ in range(size // MIB)]
    return b"".join([*packed, packer.flush()])


LENGTH = "POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n{}\r\n"


@pytest.mark.parametrize(
    ("head", "body", "status"),
    [
        (LENGTH.format(0, ""), b"", 200),
        (LENGTH.format(100, ""), b"x" * 100, 200),
        (LENGTH.format(101, ""), b"x" * 101, 413),
        (CHUNKED.decode(), b"64\r\n" + b"x" * 100 + b"\r\n0\r\n\r\n", 200),
        (CHUNKED.decode(), b"65\r\n" + b"x" * 101 + b"\r\n0\r\n\r\n", 413),
        (CHUNKED.decode().replace("chunked", "gzip, chunked"), b"0\r\n\r\n", 501),
        (LENGTH.format(5, "Content-Encoding: gzip\r\n"), b"hello", 400),
        (LENGTH.format(5, "Expect: 200-ok\r\n"), b"hello", 417),
    ],
)
async def test_it_does_not_matter_whether_a_body_comes_with_its_headers(
    bench: Any, head: str, body: bytes, status: int
) -> None:
    opened = await bench(max_body=Size(100))
    async with opened.wire() as together:
        await together.send(head.encode() + body)
        assert (await together.answer()).status == status
    async with opened.wire() as apart:
        await apart.send(head.encode())
        await asyncio.sleep(0.05)  # whether that is long enough changes nothing but what is tested
        with suppress(ConnectionError):
            await apart.send(body)
        assert (await apart.answer()).status == status
    first, *others = [posted.body for posted in opened.recorder.posts] or [b""]
    assert others == ([first] if status == 200 else [])


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("GZip", lambda data: gzip.compress(data[:5]) + gzip.compress(data[5:])),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
        ("identity", bytes),
        ("", bytes),
    ],
)
async def test_decompresses(bench: Any, encoding: str, pack: Callable[[bytes], bytes]) -> None:
    opened = await bench()
    assert (await opened.post(pack(TEXT), Content_Encoding=encoding)).status == 200
    assert opened.recorder.posts[0].body == TEXT


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("gzip", b"not gzip", 400),
        ("gzip", b"", 400),
        ("gzip", PACKED[:-9], 400),
        ("gzip", PACKED[:-8] + bytes(8), 400),
        ("gzip", PACKED + b"trailing", 400),
        ("gzip", gzip.compress(b"", mtime=0) * 5000, 400),
        ("deflate", b"\x78\x9c not deflate", 400),
        ("deflate", zlib.compress(TEXT) + b"trailing", 400),
        ("br", b"whatever", 415),
        ("gzip, gzip", gzip.compress(PACKED, mtime=0), 415),
    ],
)
async def test_refuses_what_cannot_be_decompressed(
    bench: Any, encoding: str, body: bytes, status: int
) -> None:
    opened = await bench()
    answer = await opened.post(body, Content_Encoding=encoding)
    assert (answer.status, answer.document["status"]) == (status, status)
    assert ("accept-encoding" in answer.headers) == (status == 415)
    assert not opened.recorder.posts


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
async def test_the_limit_itself_is_allowed(bench: Any, pack: Callable[[bytes], bytes]) -> None:
    opened = await bench(max_body=Size(1000))
    encoding = "identity" if pack is bytes else "gzip"
    fits = await opened.post(pack(bytes(1000)), Content_Encoding=encoding)
    above = await opened.post(pack(bytes(1001)), Content_Encoding=encoding)
    assert (fits.status, above.status) == (200, 413)
    assert [len(posted.body) for posted in opened.recorder.posts] == [1000]


async def test_a_gzip_bomb_is_too_large(bench: Any) -> None:
    opened = await bench(max_body=Size(MIB))
    assert (await opened.post(bomb(200 * MIB), Content_Encoding="gzip")).status == 413
    assert (await opened.post(TEXT)).status == 200


async def test_inflating_stops_at_the_limit() -> None:
    taken: list[int] = []
    with pytest.raises(Rejection) as caught:
        await inflate(bomb(2 * MIB), "gzip", MIB, taken.append)
    assert (caught.value.reply.status, taken) == (413, [])
    plain = await inflate(bomb(MIB), "gzip", MIB, taken.append)
    assert (len(plain), taken) == (MIB, [MIB])


async def test_too_long_by_its_own_account_is_refused_unread(bench: Any) -> None:
    opened = await bench()
    async with opened.wire() as connection:
        await connection.send(
            b"POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 209715200\r\n\r\n"
        )
        answer = await connection.answer()
    assert answer.status == 413
    assert answer.headers["connection"] == "close"


async def test_200_megabytes_in_chunks_are_too_large(bench: Any) -> None:
    opened = await bench(max_body=Size(MIB))
    block = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    async with opened.wire() as connection:
        await connection.send(CHUNKED)
        sending = asyncio.ensure_future(_flood(connection.send, block, 200 * 16))
        assert (await connection.answer()).status == 413
        await sending
    assert (await opened.post(TEXT)).status == 200
    assert len(opened.recorder.posts) == 1


async def _flood(send: Any, block: bytes, times: int) -> None:
    with suppress(ConnectionError):
        for _ in range(times):
            await send(block)
        await send(b"0\r\n\r\n")


@pytest.mark.parametrize(
    "request_",
    [
        CHUNKED + b"zz\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"5\r\nhelloworld\r\n0\r\n\r\n",
        CHUNKED.replace(b"chunked\r\n", b"chunked\r\nContent-Length: 5\r\n") + b"0\r\n\r\n",
        b"POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nhello",
        b"POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 6\r\n\r\nhello",
        b"POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /hook HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
        b"NONSENSE\r\n\r\n",
    ],
)
async def test_broken_framing_is_a_problem_of_the_sender(bench: Any, request_: bytes) -> None:
    opened = await bench()
    async with opened.wire() as connection:
        await connection.send(request_)
        answer = await connection.answer()
        assert await connection.ended()
    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert (opened.recorder.posts, opened.errors) == ([], [])
    assert (await opened.post(TEXT)).status == 200


async def test_what_exceeds_the_content_length_is_no_part_of_the_body(bench: Any) -> None:
    opened = await bench()
    async with opened.wire() as connection:
        answer = await connection.post(b"<x/>surplus", Content_Length="4")
        if answer.status == 200:  # the surplus came in another segment, as a request of its own
            answer = await connection.answer()
        assert answer.status == 400
        assert await connection.ended()
    assert b"surplus" not in b"".join(posted.body for posted in opened.recorder.posts)


async def test_a_sender_that_goes_away_leaves_nothing(bench: Any) -> None:
    opened = await bench()
    async with opened.wire() as connection:
        await connection.send(b"POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
        connection.writer.write_eof()
        assert await connection.ended()
    assert (await opened.post(TEXT)).status == 200
    assert ([posted.body for posted in opened.recorder.posts], opened.errors) == ([TEXT], [])


async def test_a_slow_body_is_timed_out(bench: Any) -> None:
    opened = await bench(timeout=Duration(0.2))
    async with opened.wire() as connection:
        await connection.send(b"POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
        answer = await connection.answer()
        assert answer.status == 408
        assert await connection.ended()


@pytest.mark.parametrize("beginning", [b"", b"POST /hook HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_slow_headers_are_cut_off(bench: Any, beginning: bytes) -> None:
    opened = await bench(timeout=Duration(0.2))
    async with opened.wire() as connection:
        await connection.send(beginning)
        assert await connection.ended()


async def test_expectations(bench: Any) -> None:
    opened = await bench(max_body=Size(100))
    head = b"POST /hook HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: "
    async with opened.wire() as connection:
        await connection.send(head + b"4\r\n\r\n")
        assert (await connection.answer()).status == 100
        await connection.send(b"<x/>")
        assert (await connection.answer()).status == 200
    async with opened.wire() as connection:
        await connection.send(head + b"101\r\n\r\n")
        assert (await connection.answer()).status == 413
    assert (await opened.post(Expect="miracles")).status == 417


async def test_large_bodies_wait_for_each_other(bench: Any) -> None:
    """Sixteen of the largest fill the memory set aside; the next one is sent away for a moment."""
    opened = await bench(max_body=Size(1000))
    arrived, release = asyncio.Semaphore(0), asyncio.Event()

    async def hold(posted: Posted) -> Reply:
        arrived.release()
        await release.wait()
        return Reply(status=200, document={})

    opened.listener.route("/hold", hold)
    holding = [asyncio.ensure_future(opened.post(bytes(1000), path="/hold")) for _ in range(16)]
    for _ in holding:
        await asyncio.wait_for(arrived.acquire(), 60)
    turned_away = await opened.post(b"x")
    release.set()
    assert {answer.status for answer in await asyncio.gather(*holding)} == {200}
    assert (turned_away.status, turned_away.headers["retry-after"]) == (503, "1")
    assert (await opened.post(bytes(1000))).status == 200
