"""A listener on a free port, and a client that says on the wire exactly what a test wants."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from consumer.listener import Listener
from consumer.ports import Posted, Reply
from consumer.settings import WebhooksSettings

PATH = "/hook"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass
class Recorder:
    """A handler that keeps what it got."""

    posts: list[Posted] = field(default_factory=list)

    async def __call__(self, posted: Posted) -> Reply:
        self.posts.append(posted)
        return Reply(status=200, document={"accepted": len(posted.body)})


class Wire:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> Answer:
        async with asyncio.timeout(60):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            status, *lines = head.strip().split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines)
            }
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Answer(int(status.split()[1]), headers, body)

    async def post(self, body: bytes = b"<x/>", *, path: str = PATH, **headers: str) -> Answer:
        """A whole request; `X_Name` stands for the header `X-Name`."""
        lines = {"Host": "test", "Content-Length": str(len(body))}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        await self.send(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        return await self.answer()

    async def ended(self) -> bool:
        """Whether the other side closes the connection."""
        async with asyncio.timeout(60):
            try:
                return await self.reader.read(1) == b""
            except ConnectionError:
                return True


@asynccontextmanager
async def wire(listener: Listener) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()


@dataclass
class Bench:
    """What a test of the listener works with."""

    listener: Listener
    recorder: Recorder
    errors: list[BaseException]

    async def post(self, body: bytes = b"<x/>", *, path: str = PATH, **headers: str) -> Answer:
        async with self.wire() as connection:
            return await connection.post(body, path=path, **headers)

    def wire(self) -> AbstractAsyncContextManager[Wire]:
        return wire(self.listener)


Open = Callable[..., Awaitable[Bench]]


@pytest.fixture
async def bench() -> AsyncIterator[Open]:
    """Opens listeners with the given settings; `grace` is the listener's own."""
    opened: list[Listener] = []

    async def open_(*, grace: float = 5.0, **settings: Any) -> Bench:
        errors: list[BaseException] = []
        recorder = Recorder()
        listener = Listener(
            WebhooksSettings(**({"listen": "127.0.0.1:0"} | settings)),
            on_error=errors.append,
            grace=lambda: grace,
        )
        listener.route(PATH, recorder)
        opened.append(await listener.__aenter__())
        return Bench(listener, recorder, errors)

    yield open_
    for listener in opened:
        await listener.__aexit__(None, None, None)
