"""The proxy itself: what each fault is to the two ends of a line."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from time import monotonic

import pytest
import pytest_asyncio

from tcp_proxy import Lane, TcpProxy
from waiting import until


class Echo:
    """A server that says what it hears; `heard` is everything, `lost` counts what is over."""

    def __init__(self) -> None:
        self.heard = b""
        self.served = 0
        self.lost = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.served += 1
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                self.heard += data
                writer.write(data)
                await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        self.lost += 1


@pytest_asyncio.fixture
async def echo() -> AsyncIterator[Echo]:
    yield Echo()


@pytest_asyncio.fixture
async def proxy(echo: Echo) -> AsyncIterator[TcpProxy]:
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    async with server, TcpProxy(server.sockets[0].getsockname()[1]) as between:
        yield between
    await until(lambda: echo.lost == echo.served)


class Client:
    """One connection through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def hears(self, said: bytes) -> bool:
        self.writer.write(said)
        return await self.reader.readexactly(len(said)) == said

    async def silence(self) -> None:
        """Nothing comes for a while; the connection stays."""
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(self.reader.read(1), 0.1)


Connect = Callable[[], Awaitable[Client]]


@pytest_asyncio.fixture
async def connect(proxy: TcpProxy) -> AsyncIterator[Connect]:
    clients: list[Client] = []

    async def one_more() -> Client:
        clients.append(Client(*await asyncio.open_connection("127.0.0.1", proxy.port)))
        return clients[-1]

    yield one_more
    for client in clients:
        client.writer.close()
    closing = [client.writer.wait_closed() for client in clients]
    await asyncio.gather(*closing, return_exceptions=True)


async def test_carries_both_ways_on_several_connections(proxy: TcpProxy, connect: Connect) -> None:
    clients = [await connect() for _ in range(3)]
    large = bytes(range(256)) * 4096
    assert all(await asyncio.gather(*(client.hears(large) for client in clients)))
    assert proxy.accepted == proxy.open == 3
    clients[0].writer.close()
    await until(lambda: proxy.open == 2)


async def test_a_cut_closes_and_refuses_until_it_is_healed(
    proxy: TcpProxy, connect: Connect
) -> None:
    client = await connect()
    assert await client.hears(b"before")
    await proxy.cut()
    assert await client.reader.read() == b""
    with pytest.raises(ConnectionRefusedError):
        await connect()
    proxy.heal()
    assert await (await connect()).hears(b"after")


@pytest.mark.parametrize("lane", list(Lane))
async def test_a_reset_comes_in_the_middle_of_what_is_said(
    proxy: TcpProxy, connect: Connect, echo: Echo, lane: Lane
) -> None:
    client, other = await connect(), await connect()
    assert await client.hears(b"before")
    assert await other.hears(b"before")
    proxy.reset(3, lane)
    client.writer.write(b"frame")
    if lane is Lane.TO_CLIENT:
        assert await client.reader.readexactly(3) == b"fra"
    with pytest.raises(ConnectionResetError):
        await client.reader.readexactly(1)
    await until(lambda: echo.lost == 1)
    assert echo.heard.endswith(b"frame" if lane is Lane.TO_CLIENT else b"fra")
    assert proxy.resets == 1
    proxy.heal()
    assert await other.hears(b"after")


@pytest.mark.parametrize("lanes", [list(Lane), [Lane.TO_SERVER], [Lane.TO_CLIENT]])
async def test_a_freeze_holds_bytes_back_and_closes_nothing(
    proxy: TcpProxy, connect: Connect, echo: Echo, lanes: list[Lane]
) -> None:
    client = await connect()
    assert await client.hears(b"before")
    proxy.freeze(lanes)
    client.writer.write(b"meanwhile")
    late = await connect()
    late.writer.write(b"unheard")
    await client.silence()
    assert echo.heard.endswith(b"meanwhile") == (Lane.TO_SERVER not in lanes)
    proxy.heal()
    assert await client.reader.readexactly(9) == b"meanwhile"
    await late.silence()
    late.writer.close()
    await until(lambda: proxy.open == 1)
    assert b"unheard" not in echo.heard


async def test_a_hang_up_is_not_seen_through_a_freeze(
    proxy: TcpProxy, connect: Connect, echo: Echo
) -> None:
    client = await connect()
    assert await client.hears(b"before")
    proxy.freeze()
    client.writer.close()
    await (await connect()).silence()
    assert echo.lost == 0
    proxy.heal()
    await until(lambda: echo.lost == 1)


async def test_a_slow_line_is_slow_until_it_is_healed(proxy: TcpProxy, connect: Connect) -> None:
    client = await connect()
    proxy.slow(1000, [Lane.TO_CLIENT])
    since = monotonic()
    assert await client.hears(bytes(300))
    assert monotonic() - since > 0.2
    client.writer.write(bytes(1 << 20))
    await client.reader.readexactly(100)
    proxy.heal()
    await asyncio.wait_for(client.reader.readexactly((1 << 20) - 100), 20)
