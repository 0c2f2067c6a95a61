"""Who would keep operators out: crowds, senders of nonsense, and who takes no answer."""

import asyncio
import os
import resource
import socket
import tracemalloc
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from consumer.admin import server
from waiting import until

MIB = 1 << 20
ASK = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
PAUSE = (
    b"POST /api/v1/sinks/archive/pause HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
)


class Slow:
    """Repairs that take until they are released."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.release = asyncio.Event()

    async def pause(self, _: str) -> None:
        self.asked.set()
        await self.release.wait()


@contextmanager
def no_file_free() -> Iterator[None]:
    """This process can open no file any more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = [os.dup(0)]
    highest = max(int(each.name) for each in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
    try:
        with suppress(OSError):
            while True:
                taken.append(os.dup(0))
        yield
    finally:
        for each in taken:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def served(opened: Any) -> bool:
    try:
        return bool((await opened.get("/healthz")).status == 200)
    except (ConnectionError, asyncio.IncompleteReadError):
        return False  # sent away with the crowd


async def test_idle_crowds_do_not_keep_operators_out(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_MOST_CONNECTIONS", 20)
    opened = await bench()
    async with AsyncExitStack() as stack:
        for _ in range(60):
            await stack.enter_async_context(opened.wire())
        await until(lambda: served(opened))
        assert len(opened.admin._server.connections) <= 20
    assert opened.errors == []


async def test_whoever_is_owed_an_answer_stays(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_MOST_CONNECTIONS", 1)
    repairs = Slow()
    opened = await bench(repairs=repairs, patience=0.1)
    async with opened.wire() as owed:
        await owed.send(PAUSE)
        await asyncio.wait_for(repairs.asked.wait(), 60)
        async with opened.wire() as newcomer:
            answer = await newcomer.answer()
            assert await newcomer.ended()
        repairs.release.set()
        assert (await owed.answer()).document == {"sink": "archive", "paused": True}
    assert (answer.status, answer.document["status"]) == (503, 503)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_where_no_file_is_free_who_says_nothing_goes(bench: Any) -> None:
    opened = await bench()
    with socket.socket() as operator:
        operator.settimeout(0)
        async with opened.wire() as silent:
            await until(lambda: len(opened.admin._server.connections) == 1)
            with no_file_free():
                loop = asyncio.get_running_loop()
                await loop.sock_connect(operator, opened.admin._door.address)
                await loop.sock_sendall(operator, ASK)
                async with asyncio.timeout(20):  # the silent one had 30 seconds left
                    assert (await loop.sock_recv(operator, 100)).startswith(b"HTTP/1.1 200 ")
            assert await silent.ended()
    assert opened.errors == []


async def test_nonsense_is_not_kept(bench: Any) -> None:
    """Behind what cannot be parsed nothing is read, also while that waits for its answer."""
    repairs = Slow()
    opened = await bench(repairs=repairs)
    async with opened.wire() as connection:
        await connection.send(PAUSE)
        await asyncio.wait_for(repairs.asked.wait(), 60)
        tracemalloc.start()
        try:
            async with asyncio.timeout(60):  # what is kept is not read on for ever
                for _ in range(200):
                    await connection.send(b"\x16\x03\x01" + bytes(100_000))
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        repairs.release.set()
        assert [(await connection.answer()).status for _ in range(2)] == [200, 400]
        assert await connection.ended()
    assert most < 4 * MIB
    assert opened.errors == []


async def test_who_takes_no_answers_is_cut_off(bench: Any) -> None:
    opened = await bench(patience=0.2)
    async with opened.wire() as connection:
        connection.writer.transport.pause_reading()
        with suppress(ConnectionError):  # which ends it
            while True:
                await connection.send(ASK * 1000)
    await until(lambda: not opened.admin._server.connections)
    assert opened.errors == []
