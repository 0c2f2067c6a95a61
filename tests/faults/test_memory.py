"""What hostile bodies cost a daemon, measured from outside: nothing else is in its memory."""

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from daemon_process import DaemonProcess, running

PATH = "/webhooks/radial/order-backorder"
SOURCE = '[[sources]]\ntype = "radial-webhook"\nname = "radial-webhook"\n'
SINK = '[[sinks]]\ntype = "file"\nname = "archive"\npath = "events.jsonl"\n'
MIB = 1 << 20
GOOD = (Path(__file__).parent.parent / "data/radial/OrderBackorderList-Backorder.xml").read_bytes()


def peak(daemon: DaemonProcess) -> int:
    """The most memory the process ever held, in bytes (VmHWM, see proc(5))."""
    for line in Path(f"/proc/{daemon.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    raise AssertionError("the kernel does not tell")


async def post(daemon: DaemonProcess, body: bytes, encoding: str = "identity") -> int:
    headers = {"Content-Type": "application/xml", "Content-Encoding": encoding}
    async with (
        aiohttp.ClientSession(auto_decompress=False) as client,
        client.post(daemon.public + PATH, data=body, headers=headers) as answer,
    ):
        return answer.status


async def bomb(daemon: DaemonProcess) -> int:
    """200 MiB of zeroes in 200 kB of gzip."""
    packer = zlib.compressobj(9, wbits=31)
    packed = [packer.compress(bytes(MIB)) for _ in range(200)]
    return await post(daemon, b"".join([*packed, packer.flush()]), "gzip")


async def flood(daemon: DaemonProcess) -> int:
    """200 MiB in chunks, without a length; what the daemon answers before it hangs up."""
    host, port = daemon.public.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(f"POST {PATH} HTTP/1.1\r\nHost: x\r\n".encode())
        writer.write(b"Content-Type: application/xml\r\nTransfer-Encoding: chunked\r\n\r\n")
        answer = asyncio.create_task(reader.readline())
        block = b"10000\r\n" + bytes(0x10000) + b"\r\n"
        with suppress(ConnectionError):
            for _ in range(200 * 16):
                writer.write(block)
                await writer.drain()
            writer.write(b"0\r\n\r\n")
        return int((await asyncio.wait_for(answer, 60)).split()[1])
    finally:
        writer.transport.abort()


@pytest.mark.parametrize("attack", [bomb, flood])
async def test_hostile_bodies_cost_little_memory(
    tmp_path: Path, attack: Callable[[DaemonProcess], Awaitable[int]]
) -> None:
    daemon = DaemonProcess(tmp_path, SOURCE + SINK, webhooks='max_body = "1MiB"')
    async with running(daemon):
        for _ in range(3):  # what a process allocates once, for its first requests
            assert await post(daemon, GOOD) == 200
        before = peak(daemon)
        assert await attack(daemon) == 413
        assert await post(daemon, GOOD) == 200
        assert peak(daemon) - before < 8 * MIB
