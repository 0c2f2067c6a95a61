"""The real daemon under abuse: what it costs, and that a good sender is served meanwhile."""

import asyncio
import os
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import aiohttp

from daemon_process import DaemonProcess, running
from extent import extent
from load import order_list
from waiting import until

SOURCE = '[[sources]]\ntype = "radial-webhook"\nname = "radial-webhook"\n'
SINK = '[[sinks]]\ntype = "file"\nname = "archive"\npath = "events.jsonl"\n'
PATH = "/webhooks/radial/order-backorder"
MIB = 1 << 20
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/xml\r\n".encode()


def files(daemon: DaemonProcess) -> int:
    """How many files the process has open."""
    return len(os.listdir(f"/proc/{daemon.pid}/fd"))  # noqa: PTH208 - only counted


def memory(daemon: DaemonProcess) -> int:
    """Bytes of memory that the process has now (VmRSS, see proc(5))."""
    for line in Path(f"/proc/{daemon.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise AssertionError("the kernel does not tell")


async def post(daemon: DaemonProcess, order: str) -> bool:
    """Whether a good post was taken; it may have been cut off with others."""
    try:
        async with (
            aiohttp.ClientSession() as client,
            client.post(
                daemon.public + PATH,
                data=order_list("TMS_US", order),
                headers={"Content-Type": "application/xml"},
            ) as answer,
        ):
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def delivered(daemon: DaemonProcess, count: int) -> None:
    """Wait until the sink has so many events, each of them once."""
    archive = daemon.directory / "events.jsonl"
    await until(lambda: archive.exists() and archive.read_bytes().count(b"\n") >= count)
    assert archive.read_bytes().count(b"\n") == count


# --- who abuses it ---------------------------------------------------------------------------


async def talk(daemon: DaemonProcess, said: bytes, more: bytes = b"", times: int = 0) -> None:
    """Say something, and more of it until that is enough, or nobody listens."""
    host, port = daemon.public.removeprefix("http://").split(":")
    with suppress(OSError):
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(said)
            for _ in range(times):
                writer.write(more)
                await writer.drain()
            await reader.read()
        finally:
            writer.transport.abort()


ATTACKS = (
    (HEAD + b"X: ", b"a" * 1000, 5000),
    (HEAD, b"X: a\r\n" * 100, 5000),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\n4;", b"a" * 10_000, 2000),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n<\r\n" * 1000, 200),
    (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: a\r\n" * 1000, 500),
    (HEAD + b"Content-Length: 999999\r\n\r\n", b"<" * 100, 10),
    (HEAD.replace(b"POST", b"GET") + b"\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 100, 100),
    (b"\x16\x03\x01" + bytes(500), bytes(10_000), 100),
)


@asynccontextmanager
async def idle(daemon: DaemonProcess, count: int) -> AsyncIterator[None]:
    """So many connections to the public listener that say nothing."""
    host, port = daemon.public.removeprefix("http://").split(":")
    wires = []
    for _ in range(count):
        wire = socket.socket()
        wire.settimeout(0)
        with suppress(BlockingIOError):
            wire.connect((host, int(port)))
        wires.append(wire)
        await asyncio.sleep(0)
    try:
        yield
    finally:
        for wire in wires:
            wire.close()


# --- what holds ------------------------------------------------------------------------------


async def test_a_good_sender_is_served_amid_abuse(tmp_path: Path) -> None:
    limits = 'max_body = "1MiB"\ntimeout = "1s"\nmax_connections = 100'
    daemon = DaemonProcess(tmp_path, SOURCE + SINK, webhooks=limits)
    async with running(daemon):
        assert await post(daemon, "0")
        before, open_files = memory(daemon), files(daemon)
        attackers = [
            asyncio.create_task(talk(daemon, *attack)) for attack in ATTACKS * extent(4, long=100)
        ]
        async with idle(daemon, extent(300, long=3000)):
            for number in range(1, 6):
                await until(partial(post, daemon, str(number)))
                assert files(daemon) < open_files + 120
                assert memory(daemon) < before + 40 * MIB
        await asyncio.gather(*attackers)
        await until(lambda: files(daemon) < open_files + 5)
        await delivered(daemon, 6)
        assert await daemon.stop() == 0
    log = daemon.log.read_text()
    assert "Traceback" not in log
    assert '"bug"' not in log
    assert "library.error" not in log


async def test_where_no_file_is_free_the_journal_goes_on(tmp_path: Path) -> None:
    """What says nothing gives its file to what says something; nothing that was taken is lost."""
    daemon = DaemonProcess(tmp_path, SOURCE + SINK)
    async with running(daemon):
        assert await post(daemon, "0")
        _, hard = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
        few = files(daemon) + 6
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (few, hard))
        async with idle(daemon, 12):
            await until(lambda: files(daemon) >= few - 1, what="no file is free")
            for number in range(1, 4):
                await until(partial(post, daemon, str(number)))
            await delivered(daemon, 4)
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (hard, hard))
        await until(lambda: post(daemon, "4"))
        await delivered(daemon, 5)
        status, _ = await daemon.readiness()
        assert status == 200
        assert await daemon.stop() == 0
    assert "Traceback" not in daemon.log.read_text()
    assert '"bug"' not in daemon.log.read_text()
