"""The admin API's client: it keeps the promises of `Repairs`, whatever answers it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from consumer.admin import Admin, Readiness
from consumer.errors import ConsumerError, Denied, Refused, Unavailable
from consumer.model import utc_now
from consumer.remote import Remote
from consumer.repair import Range, Repairs
from consumer.settings import AdminSettings, IntakeSettings, PrivacySettings
from consumer.simulators.broker_home import free_port
from consumer.telemetry import Log
from consumer.testing.builders import entry, event, message, refusal
from consumer.testing.journal import MemoryJournal
from consumer.validation import Schemas
from consumer.values import Secret
from consumer.workshop import Workshop
from program import RADIAL

TOKEN = "correct-horse-battery-staple"
SAMPLE = (RADIAL / "OrderBackorder-Backorder.xml").read_bytes()


@pytest.fixture(scope="module")
def schemas() -> Schemas:
    return Schemas.load()


@pytest_asyncio.fixture
async def journal() -> MemoryJournal:
    """Six events that sink `archive` has passed, of which it refused two; four payloads refused."""
    made = MemoryJournal()
    await made.enroll({"archive": True})
    await made.append([entry(*(event(n) for n in range(1, 7)))])
    await made.advance("archive", 6, {2: "HTTP 422", 5: "HTTP 422"})
    unknown, private = refusal(SAMPLE), refusal(b"<Nonsense email='jane.doe@example.com'")
    row = entry(refusals=[refusal(b"{}")], message=message(source="mvet", system="mvet"))
    await made.append([entry(refusals=[unknown, private]), row])
    return made


@pytest.fixture
def workshop(journal: MemoryJournal, schemas: Schemas) -> Workshop:
    return Workshop(journal, schemas, privacy=PrivacySettings(), intake=IntakeSettings(), log=Log())


Listen = Callable[[str], Awaitable[str]]


@pytest_asyncio.fixture
async def listening(journal: MemoryJournal, workshop: Workshop) -> AsyncIterator[Listen]:
    """Opens the real admin listener with a token; its address."""
    opened: list[Admin] = []

    async def ready() -> Readiness:
        return Readiness(ready=True, parts={})

    async def metrics() -> bytes:
        return b""

    async def open_(token: str) -> str:
        admin = Admin(
            AdminSettings(listen="127.0.0.1:0", token=Secret(token)),
            readiness=ready,
            metrics=metrics,
            journal=journal,
            repairs=workshop,
            on_error=lambda error: pytest.fail(repr(error)),
        )
        opened.append(await admin.__aenter__())
        return admin.address

    yield open_
    for admin in opened:
        await admin.__aexit__(None, None, None)


def remote(address: str, token: str = "") -> Remote:
    return Remote(AdminSettings(listen=address, token=Secret(token)), file="consumer.toml")


@pytest_asyncio.fixture(params=["workshop", "remote"])
async def repairs(
    request: pytest.FixtureRequest, workshop: Workshop, listening: Listen
) -> AsyncIterator[Repairs]:
    """Both who repair: every test that takes this holds for the one and the other."""
    if request.param == "workshop":
        yield workshop
        return
    async with remote(await listening(TOKEN), TOKEN) as client:
        yield client


# --- what `Repairs` promises, here and from afar ---------------------------------------------


async def test_a_retry_tells_what_became_of_each(repairs: Repairs, journal: MemoryJournal) -> None:
    good, bad, row = [payload.id for payload in await journal.quarantined()]
    results = await repairs.retry_quarantined([bad, good, "0" * 16, row])
    assert [(each.id, each.result, each.events) for each in results] == [
        (bad, "refused", 0),
        (good, "accepted", 1),
        ("0" * 16, "unknown", 0),
        (row, "polled", 0),
    ]
    assert results[0].problems
    assert [payload.id for payload in await journal.quarantined()] == [bad, row]


async def test_discarding_payloads_is_all_or_nothing(
    repairs: Repairs, journal: MemoryJournal
) -> None:
    ids = [payload.id for payload in await journal.quarantined()]
    with pytest.raises(Refused, match="0000000000000000"):
        await repairs.discard_quarantined([ids[0], "0" * 16])
    assert len(await journal.quarantined()) == 3
    assert await repairs.discard_quarantined(ids[:2]) == 2
    assert [payload.id for payload in await journal.quarantined()] == ids[2:]


async def test_parked_events_are_marked_and_discarded(
    repairs: Repairs, journal: MemoryJournal
) -> None:
    assert await repairs.retry_parked("archive", [2]) == 1
    assert [(each.seq, each.retrying) for each in await journal.parked()] == [(2, True), (5, False)]
    assert await repairs.retry_parked("archive", None) == 2
    assert await repairs.discard_parked("archive", [5]) == 1
    assert [each.seq for each in await journal.parked()] == [2]
    with pytest.raises(Refused, match="archive"):
        await repairs.retry_parked("archive", [4])


async def test_a_sink_is_paused_and_resumed(repairs: Repairs, journal: MemoryJournal) -> None:
    await repairs.pause("archive")
    assert (await journal.orders("archive")).paused is not None
    await repairs.resume("archive")
    assert (await journal.orders("archive")).paused is None


@pytest.mark.parametrize(
    "wanted",
    [
        Range(start=3),
        Range(since=utc_now() - timedelta(days=36_500), end=4),
        Range(start=0, end=2**62, source="radial-queue"),
    ],
)
async def test_a_replay_is_asked_for_and_ended(
    repairs: Repairs, journal: MemoryJournal, wanted: Range
) -> None:
    replay = await repairs.replay("archive", wanted)
    assert (await journal.orders("archive")).replay == replay
    assert (replay.start, replay.end) == (wanted.start or 1, min(6, wanted.end or 6))
    with pytest.raises(Refused, match="already"):
        await repairs.replay("archive", wanted)
    assert await repairs.end_replay("archive") == replay
    assert await repairs.end_replay("archive") is None


async def test_what_cannot_be_done_is_refused(repairs: Repairs) -> None:
    with pytest.raises(Refused, match="nothing"):
        await repairs.replay("archive", Range(start=7))
    for sink in ("warehouse", "..", "a/b?c", "ä"):
        with pytest.raises(Refused):
            await repairs.pause(sink)
        with pytest.raises(Refused):
            await repairs.end_replay(sink)


# --- what only happens from afar -------------------------------------------------------------


async def test_the_daemon_tells_what_it_holds(listening: Listen, journal: MemoryJournal) -> None:
    async with remote(await listening("")) as client:
        held = await client.held()
    assert (held.head, held.oldest, [each.sink for each in held.sinks]) == (6, 1, ["archive"])
    assert held.journal == (await journal.positions()).journal


@pytest.mark.parametrize(
    ("token", "told"),
    [
        ("another-token", "does not accept the token in [admin] of consumer.toml"),
        ("", "asks for a token, and consumer.toml has none in [admin]"),
    ],
)
async def test_another_token_is_told_without_showing_one(
    listening: Listen, token: str, told: str
) -> None:
    async with remote(await listening(TOKEN), token) as client:
        with pytest.raises(Denied) as raised:
            await client.pause("archive")
    assert told in str(raised.value)
    assert_silent_about(raised.value, TOKEN, "another-token")


def assert_silent_about(error: BaseException, *secrets: str) -> None:
    """Neither the error nor anything chained to it holds a secret."""
    assert error.__cause__ is None
    assert error.__context__ is None
    assert not any(secret in f"{error!s}{error!r}" for secret in secrets)


async def test_a_token_that_no_header_can_carry_is_not_shown(listening: Listen) -> None:
    async with remote(await listening(""), "line\nbreak") as client:
        with pytest.raises(Refused, match="line break") as raised:
            await client.held()
    assert_silent_about(raised.value, "line\nbreak")


async def test_nobody_listens() -> None:
    address = f"127.0.0.1:{free_port()}"
    async with remote(address, TOKEN) as client:
        with pytest.raises(Unavailable) as raised:
            await client.pause("archive")
    assert str(raised.value) == (
        f"the admin listener at {address} ([admin] listen of consumer.toml) does not answer:"
        " Connection refused"
    )


@pytest.mark.parametrize(
    ("listen", "asked"),
    [
        ("0.0.0.0:8081", "127.0.0.1:8081"),
        ("[::]:8081", "[::1]:8081"),
        ("localhost:8081", "localhost:8081"),
        ("10.0.0.7:8081", "10.0.0.7:8081"),
    ],
)
def test_a_listener_on_every_address_is_asked_on_loopback(listen: str, asked: str) -> None:
    assert remote(listen, TOKEN).address == asked


# --- whatever else answers -------------------------------------------------------------------

Serve = Callable[..., Awaitable[str]]


@pytest_asyncio.fixture
async def serving() -> AsyncIterator[Serve]:
    """Opens a server that answers everything in one way; its address."""
    runners: list[web.AppRunner] = []

    async def serve(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        return f"{host}:{port}"

    yield serve
    for runner in runners:
        await runner.cleanup()


PROBLEM = "application/problem+json"


@pytest.mark.parametrize(
    ("answer", "kind", "told"),
    [
        ({"status": 404, "text": "<h1>secret</h1>"}, Unavailable, "HTTP 404, which is no answer"),
        ({"status": 200, "text": "<h1>secret</h1>"}, Unavailable, "something else than a daemon"),
        ({"status": 200, "text": "\ufeff[1"}, Unavailable, "something else than a daemon"),
        ({"status": 200, "body": b'{"head": "\xff"}'}, Unavailable, "something else than a daemon"),
        ({"status": 302, "headers": {"Location": "/on"}}, Unavailable, "HTTP 302, which is no"),
        (
            {"status": 503, "text": '{"detail": "disk full"}', "content_type": PROBLEM},
            Unavailable,
            "disk full",
        ),
        (
            {"status": 500, "text": "[", "content_type": PROBLEM},
            Unavailable,
            "HTTP 500 and does not say why",
        ),
        ({"status": 409, "text": '{"detail": "no"}', "content_type": PROBLEM}, Refused, "no"),
        ({"status": 403, "text": '{"detail": "away"}', "content_type": PROBLEM}, Denied, "away"),
    ],
)
async def test_what_an_answer_amounts_to(
    serving: Serve, answer: dict[str, Any], kind: type[ConsumerError], told: str
) -> None:
    asked: list[str] = []

    async def answering(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(**answer)

    async with remote(await serving(answering), TOKEN) as client:
        with pytest.raises(kind) as raised:
            await client.pause("archive")
    assert told in str(raised.value)
    assert asked == ["/api/v1/sinks/archive/pause"]
    assert_silent_about(raised.value, TOKEN, "secret")


async def test_another_listener_of_a_daemon_is_told_from_the_admin_one(serving: Serve) -> None:
    async def nothing_here(_request: web.Request) -> web.Response:
        told = '{"detail": "there is nothing here"}'
        return web.Response(status=404, text=told, content_type=PROBLEM)

    address = await serving(nothing_here)
    async with remote(address) as client:
        with pytest.raises(Unavailable) as raised:
            await client.held()
    assert str(raised.value) == (
        f"what listens at {address} ([admin] listen of consumer.toml) answers HTTP 404 to what an"
        " admin listener knows; see that [admin] listen names the admin listener, and no other one"
    )


async def test_a_daemon_that_says_nothing_is_not_waited_for_long(
    serving: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    forever = asyncio.Event()

    async def silent(_request: web.Request) -> web.Response:
        await forever.wait()
        return web.Response()

    monkeypatch.setattr("consumer.remote._LOOK", aiohttp.ClientTimeout(total=0.1))
    async with remote(await serving(silent)) as client:
        with pytest.raises(Unavailable, match="does not answer"):
            await client.held()
    forever.set()


async def test_an_answer_says_when_to_try_again(serving: Serve) -> None:
    async def full(_request: web.Request) -> web.Response:
        headers = {"Retry-After": "7", "Content-Type": PROBLEM}
        return web.Response(status=503, text='{"detail": "disk full"}', headers=headers)

    async with remote(await serving(full)) as client:
        with pytest.raises(Unavailable) as raised:
            await client.held()
    assert raised.value.retry_after == 7


async def test_a_lost_answer_leaves_open_whether_it_was_done(serving: Serve) -> None:
    asked = 0

    async def lost(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with remote(await serving(lost), TOKEN) as client:
        with pytest.raises(Unavailable, match="it may have been done all the same") as raised:
            await client.discard_parked("archive", None)
    assert asked == 1
    assert_silent_about(raised.value, TOKEN)


async def test_no_proxy_of_the_environment_hears_the_token(
    serving: Serve, listening: Listen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    heard: list[str] = []

    async def proxy(request: web.Request) -> web.Response:
        heard.append(request.path)
        return web.Response()

    monkeypatch.setenv("http_proxy", f"http://{await serving(proxy)}")
    async with remote(await listening(TOKEN), TOKEN) as client:
        await client.held()
    assert heard == []
