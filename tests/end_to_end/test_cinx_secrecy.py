"""The API token stands in the path of every call to CINX: it must show nowhere, whatever happens.

The real daemon, and the commands that ask CINX, against every fault of the simulator; then nobody
listening, and somebody whose TLS is not to be trusted. Everything that comes out is collected, the
answers in quarantine too, and searched for the token, the password and the bearer tokens in every
form that they could take, and for what CINX says in words of somebody's subscription.
"""

import asyncio
import base64
import json
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import aiohttp
import pytest
import trustme
from aiohttp import web

from consumer.journal.sqlite import SqliteJournal
from consumer.simulators.cinx import CinxServer
from consumer.simulators.cinx_world import CinxWorld
from consumer.simulators.faults import Faults, faults_of
from daemon_process import DaemonProcess, running
from waiting import until

USER = "robin@example.com"
PASSWORD = "pa/ss w?rd%41"
TOKENS = ("6fd1c5d6-plain-token-11d2", "tok/en?%2F#+ &=;4711")
BEARER = "bearer-of-our-own-0815"
SOMEBODY = "somebody.else@example.org"

SOURCE = """
[[sources]]
type = "cinx"
name = "cinx"
base_url = "{url}"
username = "{user}"
password = '{password}'
interval = "50ms"
jitter = "0s"
attempts = 1
timeout = "500ms"
page_size = 4
max_body = "64KiB"
{keys}
[[sinks]]
type = "stdout"
name = "stdout"
"""


def forms(secret: str) -> set[str]:
    """How a secret may look in a text."""
    raw = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}
    lower = {form.replace("%2F", "%2f").replace("%3F", "%3f") for form in raw}
    in_json = {json.dumps(form)[1:-1] for form in raw | lower}
    slashed = {form.replace("/", "\\/") for form in raw | in_json}
    in_xml = {escape(form) for form in raw}
    return raw | lower | in_json | slashed | in_xml | {repr(form)[1:-1] for form in raw}


def secrets(*more: str) -> set[str]:
    basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    return {form for secret in (PASSWORD, basic, *TOKENS, *more) for form in forms(secret)}


def leaked(texts: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Lines with a secret in them."""
    wanted = list(wanted)
    return [
        line
        for text in texts
        for line in text.splitlines()
        if any(secret in line for secret in wanted)
    ]


# One process for all commands of a test: to start it takes longer than they do.
ONE_BY_ONE = """
import sys
from consumer.__main__ import main
for line in sys.stdin:
    status = main([*line.split(), "-c", sys.argv[1]])
    print(f"\\n{line.strip()} is done: {status}", flush=True)
"""


class Collected:
    """Everything that a daemon and the commands on its configuration let out."""

    def __init__(self, daemon: DaemonProcess) -> None:
        self._daemon = daemon
        self.texts: list[str] = []
        self._process: asyncio.subprocess.Process | None = None

    async def ask(self) -> None:
        """What the daemon answers to operators now."""
        async with aiohttp.ClientSession() as client:
            for path in ("readyz", "metrics", "healthz"):
                async with client.get(f"{self._daemon.admin}/{path}") as answer:
                    self.texts.append(await answer.text())

    async def command(self, command: str) -> None:
        """What a command prints, good or bad."""
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command}\n".encode())
        async for line in self._process.stdout:
            self.texts.append(line.decode())
            if line.startswith(f"{command} is done".encode()):
                return
        raise AssertionError("the commands ended")

    @asynccontextmanager
    async def commanding(self) -> AsyncIterator[None]:
        """Commands may be given meanwhile; they have more time for an answer than the daemon."""
        config = self._daemon.directory / "commands.toml"
        text = self._daemon.config.read_text().replace('timeout = "500ms"', 'timeout = "10s"')
        config.write_text(text)
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", ONE_BY_ONE, config),
            cwd=self._daemon.directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            limit=16 << 20,
        )
        try:
            yield
        finally:
            assert self._process.stdin is not None
            self._process.stdin.close()
            await asyncio.wait_for(self._process.wait(), 60)

    async def finish(self) -> None:
        """The log, standard output, the events, and what is in quarantine with its reasons."""
        self.texts += [
            self._daemon.log.read_text(),
            (self._daemon.directory / "stdout").read_text(),
        ]
        async with SqliteJournal(self._daemon.journal, readonly=True) as journal:
            for refused in await journal.quarantined():
                self.texts += [str(problem) for problem in refused.problems]
                self.texts += [refused.origin, refused.source, refused.body.decode()]
            self.texts += [
                record.body.decode() for record in await journal.read(0, limit=1_000_000)
            ]


DENYING = ("status.401", "envelope.401", "expired")
OTHERS = (
    *("status.429", "status.500", "envelope.500", "slow", "cut.length", "cut.chunked", "cut.json"),
    *("not_json", "huge", "empty", "reordered", "broken_row.key", "broken_row.type"),
    *("broken_row.shape", "short", "duplicate", "shift", "total"),
)


async def misbehave(server: CinxServer, collected: Collected, daemon: DaemonProcess) -> None:
    """Every fault in turn at every answer, until the daemon has polled through it."""
    for fault in OTHERS:
        rounds, before = await polls(daemon), server.faults.done.total()
        server.faults.set(fault)
        await polled(daemon, more_than=rounds + 1)
        assert server.faults.done.total() > before, fault
        await collected.ask()
        server.faults.calm()
    server.faults.set(DENYING[0])  # last of all: it waits for minutes then
    await said(daemon, "credentials")
    await collected.ask()
    server.faults.calm()


async def said(daemon: DaemonProcess, words: str) -> None:
    """Wait until the source gives a reason with these words in it."""

    async def there() -> bool:
        return words in str((await daemon.part("sources.cinx")).get("reason"))

    await until(there, what=words)


async def polled(daemon: DaemonProcess, *, more_than: float) -> None:
    async def through() -> bool:
        return await polls(daemon) > more_than

    await until(through, what=f"more than {more_than} polls")


async def polls(daemon: DaemonProcess) -> float:
    """How many looks at the list are through, whatever became of them."""
    lines = (await daemon.metrics()).splitlines()
    counts = [line for line in lines if line.startswith("backorder_polls_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in counts)


def subscriptions(server: CinxServer, token: str) -> list[dict[str, Any]]:
    """One that is all right, and one of which CINX says too much: where, whose, and how long."""
    ours, theirs = (server.access.subscription(name, token, expired=False) for name in NAMES)
    said = f"{'x' * 180} /sub/{quote(token, safe='')} of {token} and {SOMEBODY} has expired"
    theirs["subscription"] |= {"status_code": 401, "status_message_reason": said}
    return [ours, theirs]


NAMES = ("Ours", "Theirs")


@pytest.mark.parametrize(
    ("keys", "token"),
    [
        (f"api_token = '{TOKENS[1]}'\nformat = \"xml\"", TOKENS[1]),
        ('authentication = "bearer"', TOKENS[0]),
    ],
)
async def test_no_secret_shows_whatever_goes_wrong(keys: str, token: str, tmp_path: Path) -> None:
    world = CinxWorld(3, {"Ours": token}, lines=9)
    faults = Faults(3, delay=1, retry_after=0, huge=1 << 20)
    async with CinxServer(world, faults, USER, PASSWORD) as server:
        server.verbatim["subs"] = json.dumps({"rows": subscriptions(server, token)}).encode()
        source = SOURCE.format(url=server.url, user=USER, password=PASSWORD, keys=keys)
        daemon = DaemonProcess(tmp_path, source, extra='[log]\nlevel = "debug"')
        collected = Collected(daemon)
        async with collected.commanding():
            async with running(daemon):
                await polled(daemon, more_than=0)
                await misbehave(server, collected, daemon)
                await collected.command("poll cinx --once")  # the daemon has the journal
            for fault in (*DENYING[1:], "not_json"):
                server.faults.set(fault)
                for command in ("check --connect", "cinx template", "poll cinx --once"):
                    await collected.command(command)
                server.faults.calm()
            for command in ("cinx template", "cinx template --json", "events", "backorders --all"):
                await collected.command(command)
            bearers = set(server.access._issued)
            await server.__aexit__()
            for command in ("poll cinx --once", "check --connect"):  # nobody listens
                await collected.command(command)
    await collected.finish()
    everything = "\n".join(collected.texts)
    assert "Theirs: the CINX subscription is not active (CINX says status 401)" in everything
    assert SOMEBODY not in everything
    assert "poll.broken" in everything
    assert "Connection refused" in everything
    assert "/sub/…/" in everything
    assert bool(bearers) == ("bearer" in keys)
    assert leaked(collected.texts, secrets(*bearers)) == []


@asynccontextmanager
async def untrusted() -> AsyncIterator[str]:
    """A server whose certificate nobody has reason to trust; its URL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    runner = web.AppRunner(web.Application())
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_no_secret_shows_where_tls_fails_or_nobody_listens(tmp_path: Path) -> None:
    keys = f"api_token = '{TOKENS[1]}'\nauthentication = \"bearer\"\nbearer_token = '{BEARER}'"
    async with untrusted() as url:
        source = SOURCE.format(url=url, user=USER, password=PASSWORD, keys=keys)
        daemon = DaemonProcess(tmp_path, source, extra='[log]\nlevel = "debug"')
        collected = Collected(daemon)
        async with running(daemon):
            await said(daemon, "certificate")
            await collected.ask()
        async with collected.commanding():
            await collected.command("check --connect")
    async with running(daemon):
        await said(daemon, "Connection refused")
        await collected.ask()
    await collected.finish()
    assert "its TLS certificate does not verify" in "\n".join(collected.texts)
    assert leaked(collected.texts, secrets(BEARER)) == []


def test_no_fault_is_left_out() -> None:
    assert {name.partition(".")[0] for name in (*DENYING, *OTHERS)} == set(faults_of("cinx"))


def test_the_search_finds_what_it_is_looking_for() -> None:
    for token in TOKENS:
        for text in (
            f"GET /2.0/sub/{quote(token, safe='')}/back-orders",
            json.dumps({"url": f"http://x/sub/{token}"}),
            f"InvalidURL('http://x/sub/{quote(token)}')",
        ):
            assert leaked([f"one\n{text}\nthree"], secrets()) == [text]
