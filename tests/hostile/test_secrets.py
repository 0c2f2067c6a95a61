"""One sweep: a daemon full of secrets and personal data, everything in it going wrong.

What it logs, answers and prints is collected, and none of them may be in it. (Events, `--raw` and
what sinks get hold personal data by design, and are not part of this.)
"""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote, quote_plus

import aiohttp
import pytest
from aiohttp import web

from consumer.__main__ import main
from consumer.simulators.broker_home import free_port
from consumer.simulators.cinx import CinxServer
from consumer.simulators.cinx_world import CinxWorld
from consumer.simulators.faults import Faults
from consumer.sinks.http import HttpOptions
from consumer.values import Secret
from daemon_process import DaemonProcess, running
from radial_messages import DOCUMENTED, FLATTENED, listed
from waiting import until

PATH = "/webhooks/radial/order-backorder"

SECRETS = {
    "WEBHOOK_PASSWORD": "webhook/pa ss&word+11",
    "ADMIN_TOKEN": "admin-t0ken-22?=",
    "PRIVACY_KEY": "privacy-key-of-33-characters",
    "QUEUE_PASSWORD": "queue-pa$$word-44",
    "SINK_QUEUE_PASSWORD": "downstream-word-55",
    "SINK_PASSWORD": "receiver-word-66",
    "SINK_PATH": "path-token-77",
    "SINK_QUERY": "query-token-88",
    "SINK_KEY": "whsec_" + base64.b64encode(b"standard-webhooks-key-99").decode(),
    "SINK_HEADER": "header-token-1010",
    "MVET_PASSWORD": "mvet-word-1111",
    "MVET_HEADER": "mvet-header-1212",
    "CINX_TOKEN": "cinx/tok?en-1313",
    "CINX_PASSWORD": "cinx pa/ss%word-1414",
}
PERSON = {
    "First Name": "Zaphodia",
    "Last Name": "Beeblebroxova",
    "630 Allendale Rd": "42 Improbability Drive",
    "King Of Prussia": "Magrathea-on-Sea",
    "123456789": "555-0100-4242",
    "email@example.com": "zaphodia@heart-of-gold.example",
}

CONFIGURATION = """
[privacy]
key = "${{PRIVACY_KEY}}"
[log]
level = "debug"
[stop]
grace = "100ms"
[[sources]]
type = "radial-webhook"
name = "radial-webhook"
[[sources]]
type = "radial-amqp"
name = "radial-queue"
urls = ["amqp://radial:{queue_password}@127.0.0.1:{closed}/"]
queues = ["q"]
reconnect = {{ initial = "50ms", max = "100ms" }}
[[sources]]
type = "mvet"
name = "mvet"
base_url = "http://127.0.0.1:{closed}"
customers = ["0002789"]
username = "mvet"
password = "${{MVET_PASSWORD}}"
headers = {{ X-Key = "${{MVET_HEADER}}" }}
interval = "100ms"
jitter = "0s"
attempts = 1
[[sources]]
type = "cinx"
name = "cinx"
base_url = "{cinx}"
username = "{user}"
password = "${{CINX_PASSWORD}}"
api_token = "${{CINX_TOKEN}}"
interval = "100ms"
jitter = "0s"
attempts = 1
[[sinks]]
type = "http"
name = "warehouse"
url = "http://warehouse:${{SINK_PASSWORD}}@127.0.0.1:{receiver}/${{SINK_PATH}}?key=${{SINK_QUERY}}"
secret = "${{SINK_KEY}}"
headers = {{ X-Key = "${{SINK_HEADER}}" }}
retry = {{ initial = "50ms", max = "100ms" }}
[[sinks]]
type = "http"
name = "closed"
url = "http://127.0.0.1:{closed}/${{SINK_PATH}}?key=${{SINK_QUERY}}"
headers = {{ Authorization = "Bearer ${{SINK_HEADER}}" }}
retry = {{ initial = "50ms", max = "100ms" }}
[[sinks]]
type = "amqp"
name = "downstream"
url = "amqp://downstream:${{SINK_QUEUE_PASSWORD}}@127.0.0.1:{closed}/"
queue = "q"
"""
USER = "robin@heart-of-gold.example"

COMMANDS = (
    "check",
    "check --connect",
    "sinks list",
    "sinks list --json",
    "quarantine list",
    "quarantine list --json",
    "parked list",
    "parked list --json",
    "events",
    "backorders --all",
    "backorders --all --json",
    "poll cinx --once",
    "poll mvet --once",
    "cinx template",
    "schema config",
)


# --- what to look for ------------------------------------------------------------------------


def forms(secret: str) -> set[str]:
    """How a secret may look in a text."""
    raw = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}
    coded = {base64.b64encode(f"{user}:{secret}".encode()).decode() for user in (USER, "radial")}
    return raw | coded | {json.dumps(form)[1:-1] for form in raw}


def wanted() -> set[str]:
    found = {form for secret in SECRETS.values() for form in forms(secret)}
    found |= {form for person in PERSON.values() for form in forms(person)}
    return found | {SECRETS["SINK_KEY"].removeprefix("whsec_")}


def leaked(texts: Iterable[str]) -> list[str]:
    looked_for = wanted()
    return [
        line
        for text in texts
        for line in text.splitlines()
        if any(secret in line for secret in looked_for)
    ]


# --- messages --------------------------------------------------------------------------------


def personal(message: bytes) -> bytes:
    """One of Radial's samples with the person of this test in it."""
    for old, new in PERSON.items():
        message = message.replace(old.encode(), new.encode())
    assert PERSON["Last Name"].encode() in message
    return message


def messages() -> dict[str, bytes]:
    """Good ones and bad ones; in each there is somebody."""
    good = personal(DOCUMENTED)
    surname = PERSON["Last Name"].encode()
    name, street = b"<LastName>%b</LastName>" % surname, PERSON["630 Allendale Rd"].encode()
    twice = good.replace(name, name * 2).replace(b"001198000610", b"2")
    padding = b"<!--%b-->" % (b"x" * 100_000)
    return {
        "good": good,
        "flattened": personal(FLATTENED),
        "two names": twice,
        "text": good.replace(b"<Customer ", street + b"<Customer "),
        "list, one broken": listed(good.replace(b"001198000610", b"3"), twice),
        "no end": good[: len(good) * 3 // 4],
        "entity": good.replace(name, b"&%b;" % surname),
        "doctype": good.replace(b"?>", b'?><!DOCTYPE x SYSTEM "file:///%b">' % street, 1),
        "attribute": good.replace(b'quantity="1"', b'quantity="1" quantity="%b"' % street),
        "other": b"<Customer>%b</Customer>" % name,
        "not xml": b"%b, %b" % (surname, street),
        "large": good.replace(name, padding + name * 2).replace(b"001198000610", b"4"),
        "too large": good + padding * 5 + b"<!--%b-->" % street,
    }


# --- who is met ------------------------------------------------------------------------------


@asynccontextmanager
async def receiver() -> AsyncIterator[int]:
    """Refuses every event, and quotes it: in the body, in the status line and in headers."""

    async def answer(request: web.BaseRequest) -> web.Response:
        quoted = await request.text()
        said = PERSON["Last Name"]
        return web.Response(
            status=422, reason=said, text=f"{quoted}{said}", headers={"X-Said": said}
        )

    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield site.port
    finally:
        await runner.cleanup()


def basic() -> str:
    """How Radial proves itself."""
    proof = base64.b64encode(f"radial:{SECRETS['WEBHOOK_PASSWORD']}".encode()).decode()
    return f"Basic {proof}"


class Sweep:
    """What a daemon lets out."""

    def __init__(self, daemon: DaemonProcess) -> None:
        self.daemon = daemon
        self.texts: list[str] = []

    async def post(self, client: aiohttp.ClientSession, body: bytes, **changes: str) -> int:
        """Post one message, to `path`, with other headers; what is answered is kept."""
        url = f"{self.daemon.public}{changes.pop('path', PATH)}"
        headers = {"Content-Type": "application/xml", "Authorization": basic(), **changes}
        async with client.post(url, data=body, headers=headers) as answer:
            await self._keep(answer)
            return answer.status

    async def ask(self, client: aiohttp.ClientSession, path: str, token: str) -> int:
        """Ask the admin listener."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with client.get(f"{self.daemon.admin}{path}", headers=headers) as answer:
            await self._keep(answer)
            return answer.status

    async def _keep(self, answer: aiohttp.ClientResponse) -> None:
        self.texts += [await answer.text(), str(answer.headers), str(answer.reason)]

    async def everything_of_the_admin_listener(self, client: aiohttp.ClientSession) -> None:
        token = SECRETS["ADMIN_TOKEN"]
        for path in ("/readyz", "/healthz"):
            await self.ask(client, path, "")
        for path in ("/metrics", "/api/v1/sinks", "/api/v1/quarantine", "/api/v1/parked"):
            assert await self.ask(client, path, token) == 200
            assert await self.ask(client, path, f"{token}x") == 401
        await self.ask(client, f"/api/v1/{token}?token={token}", token)


async def abused(sweep: Sweep) -> None:
    """Every message in turn, and requests that are wrong in other ways, with secrets in them."""
    async with aiohttp.ClientSession() as client:
        for name, body in messages().items():
            assert await sweep.post(client, body) in (200, 400, 413), name
        good, person = messages()["good"], PERSON["Last Name"]
        assert await sweep.post(client, good, Authorization=basic() + "x") == 401
        assert await sweep.post(client, good, path=f"/{person}?key={SECRETS['SINK_QUERY']}") == 404
        for header in ("Content-Type", "Content-Encoding", "Expect"):
            assert await sweep.post(client, good, **{header: f"{person}/x"}) in (415, 417)
        await until(lambda: refused(sweep), what="events are parked")
        await sweep.everything_of_the_admin_listener(client)


def refused(sweep: Sweep) -> bool:
    return "event.parked" in sweep.daemon.log.read_text()


def configured(directory: Path, cinx: str, receives: int) -> DaemonProcess:
    text = CONFIGURATION.format(
        cinx=cinx,
        closed=free_port(),
        receiver=receives,
        user=USER,
        queue_password=quote(SECRETS["QUEUE_PASSWORD"], safe=""),
    )
    webhooks = (
        'max_body = "256KiB"\n[webhooks.auth]\ntype = "basic"\nusername = "radial"\n'
        'password = "${WEBHOOK_PASSWORD}"'
    )
    daemon = DaemonProcess(directory, text, webhooks=webhooks, environ=SECRETS)
    admin = daemon.config.read_text().replace("[admin]", '[admin]\ntoken = "${ADMIN_TOKEN}"')
    daemon.config.write_text(admin)
    return daemon


async def test_neither_secrets_nor_people_show_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, secret in SECRETS.items():
        monkeypatch.setenv(name, secret)
    monkeypatch.chdir(tmp_path)
    world = CinxWorld(3, {"Ours": SECRETS["CINX_TOKEN"]}, lines=5)
    faults = Faults(3, delay=1, retry_after=0, huge=1 << 20)
    async with (
        CinxServer(world, faults, USER, SECRETS["CINX_PASSWORD"]) as cinx,
        receiver() as receives,
    ):
        sweep = Sweep(configured(tmp_path, cinx.url, receives))
        async with running(sweep.daemon):
            await abused(sweep)
            for fault in ("status.500", "not_json", "status.401"):
                faults.set(fault)
                before = faults.done.total()
                await until(lambda before=before: faults.done.total() > before)  # type: ignore[misc]  # mypy infers no lambda with a default
                faults.calm()
            for command in COMMANDS:  # beside the daemon
                await asyncio.to_thread(main, [*command.split(), "-c", str(sweep.daemon.config)])
            assert await sweep.daemon.stop() == 0
        for command in COMMANDS:  # at rest
            await asyncio.to_thread(main, [*command.split(), "-c", str(sweep.daemon.config)])
    log = sweep.daemon.log.read_text()
    shown = capfd.readouterr()
    everything = [*sweep.texts, log, shown.out, shown.err]
    assert all(word in log for word in ("message.quarantined", "event.parked", "part.down"))
    assert all(word in shown.out for word in ("FAIL", "sources", "radial-webhook"))
    assert '"bug"' not in log
    assert "bug" not in shown.err
    assert leaked(everything) == []


@pytest.mark.parametrize("secret", [*SECRETS.values(), *PERSON.values()])
def test_the_search_finds_what_it_is_looking_for(secret: str) -> None:
    for text in (
        f"GET /{quote(secret, safe='')}",
        json.dumps({"x": secret}),
        f"x {secret} y",
    ):
        assert leaked([f"one\n{text}\nthree"]) == [text]


def test_one_request_has_one_authorization() -> None:
    """aiohttp refuses two each time; said once, when the configuration is read, without either."""
    with pytest.raises(ValueError, match="Authorization") as caught:
        HttpOptions(
            type="http",
            name="warehouse",
            url=Secret(f"http://user:{SECRETS['SINK_PASSWORD']}@127.0.0.1/"),
            headers={"authorization": Secret(SECRETS["SINK_HEADER"])},
        )
    assert leaked([str(caught.value)]) == []
