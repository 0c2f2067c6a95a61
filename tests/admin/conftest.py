"""An admin listener on a free port, on a journal in which something of everything went wrong."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from consumer.admin import Admin, Readiness
from consumer.board import PartState
from consumer.repair import Repairs
from consumer.settings import AdminSettings, IntakeSettings, PrivacySettings
from consumer.telemetry import Log
from consumer.testing import builders
from consumer.testing.journal import MemoryJournal
from consumer.validation import Schemas
from consumer.values import Secret, split_listen
from consumer.workshop import Workshop

READY = Readiness(ready=True, parts={"journal": PartState(ok=True)})

# What cannot be understood, with somebody in it who must not be told of anywhere.
PRIVATE = b"<Nonsense email='jane.doe@example.com'"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    head: str = ""

    @property
    def document(self) -> Any:
        return json.loads(self.body)


class Wire:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, *, without_body: bool = False) -> Answer:
        async with asyncio.timeout(60):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            status, *lines = head.strip().split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines)
            }
            length = 0 if without_body else int(headers.get("content-length", "0"))
            body = await self.reader.readexactly(length)
        return Answer(int(status.split()[1]), headers, body, head)

    async def ended(self) -> bool:
        """Whether the other side closes the connection, whatever it sends before."""
        async with asyncio.timeout(60):
            try:
                while await self.reader.read(1 << 16):
                    pass
            except ConnectionError:
                pass
        return True


@dataclass
class Bench:
    """What a test of the admin listener works with."""

    admin: Admin
    journal: MemoryJournal
    errors: list[BaseException] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.admin.address}"

    @asynccontextmanager
    async def wire(self) -> AsyncIterator[Wire]:
        reader, writer = await asyncio.open_connection(*split_listen(self.admin.address))
        try:
            yield Wire(reader, writer)
        finally:
            writer.transport.abort()

    async def ask(
        self, method: str, path: str, body: bytes | object = None, **headers: str | None
    ) -> Answer:
        """A whole request; `X_Name` stands for the header `X-Name`, None leaves one out.

        A body that is no bytes is sent as JSON.
        """
        lines: dict[str, str | None] = {"Host": self.admin.address, "Connection": "close"}
        sent = b""
        if body is not None:
            sent = body if isinstance(body, bytes) else json.dumps(body).encode()
            lines |= {"Content-Type": "application/json", "Content-Length": str(len(sent))}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None)
        async with self.wire() as connection:
            await connection.send(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + sent)
            return await connection.answer(without_body=method == "HEAD")

    async def get(self, path: str, **headers: str | None) -> Answer:
        return await self.ask("GET", path, **headers)

    async def post(self, path: str, body: bytes | object, **headers: str | None) -> Answer:
        return await self.ask("POST", path, body, **headers)


Open = Callable[..., Awaitable[Bench]]


async def stocked() -> MemoryJournal:
    """Eight events; sink `archive` has them all, `warehouse` parked 2, 3 and 5 of the first 6."""
    journal = MemoryJournal()
    await journal.enroll({"archive": True, "warehouse": True})
    await journal.append([builders.entry(builders.event(n)) for n in range(1, 9)])
    await journal.advance("archive", 8, {})
    await journal.advance("warehouse", 6, {2: "no such article", 3: "too late", 5: "no address"})
    refusals = [
        builders.refusal(PRIVATE + b">" * n, "line 1: premature end of data") for n in range(3)
    ]
    await journal.append([builders.entry(refusals=refusals)])
    return journal


@pytest.fixture(scope="session")
def schemas() -> Schemas:
    return Schemas.load()


@pytest.fixture
async def bench(schemas: Schemas) -> AsyncIterator[Open]:
    """Opens admin listeners; `settings` are those of `[admin]`, except as named."""
    opened: list[Admin] = []

    async def open_(
        *,
        readiness: Readiness = READY,
        metrics: bytes = b"backorder_journal_head 7.0\n",
        repairs: Repairs | None = None,
        patience: float = 30.0,
        token: str = "",
        listen: str = "127.0.0.1:0",
    ) -> Bench:
        async def ready() -> Readiness:
            return readiness

        async def numbers() -> bytes:
            return metrics

        journal = await stocked()
        errors: list[BaseException] = []
        workshop = Workshop(
            journal, schemas, privacy=PrivacySettings(), intake=IntakeSettings(), log=Log()
        )
        admin = Admin(
            AdminSettings(listen=listen, token=Secret(token)),
            readiness=ready,
            metrics=numbers,
            journal=journal,
            repairs=repairs or workshop,
            on_error=errors.append,
            patience=patience,
        )
        opened.append(await admin.__aenter__())
        ids = [payload.id for payload in await journal.quarantined()]
        return Bench(admin, journal, errors, ids)

    yield open_
    for admin in opened:
        await admin.__aexit__(None, None, None)
