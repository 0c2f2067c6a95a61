"""Radial's webhook: what is answered when, over a real listener and with the real validation."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from consumer.errors import JournalUnavailable, Unavailable
from consumer.listener import Listener
from consumer.model import Message, Outcome, Problem
from consumer.ports import Ground
from consumer.settings import WebhooksSettings
from consumer.sources.radial_webhook import RadialWebhook, RadialWebhookOptions
from consumer.testing.sources import NoSurveys
from consumer.validation import Schemas
from waiting import until

SAMPLES = Path(__file__).parent.parent / "data" / "radial"
GOOD = (SAMPLES / "OrderBackorderList-Backorder.xml").read_bytes()
BAD = GOOD.replace(b"OrderItem ", b"OrderThing ").replace(b"/OrderItem>", b"/OrderThing>")
TEST = (
    b'<test xmlns="http://api.gsicommerce.com/schema/checkout/1.0"'
    b' timestamp="2016-07-13T13:47:54Z">hello</test>'
)
PATH = "/webhooks/radial/order-backorder"
SCHEMAS = Schemas.load()


@dataclass
class Desk:
    """An intake whose commit happens when the test says so."""

    outcome: Outcome | None = None
    failure: Exception | None = None
    messages: list[Message] = field(default_factory=list)
    commit: asyncio.Event = field(default_factory=asyncio.Event)

    async def accept(self, messages: Sequence[Message]) -> Awaitable[Sequence[Outcome]]:
        self.messages += messages
        return self._commit(messages)

    accept_patiently = accept

    async def _commit(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        await self.commit.wait()
        if self.failure:
            raise self.failure
        return [self.outcome or _examined(message) for message in messages]


def _examined(message: Message) -> Outcome:
    """What a journal that holds nothing yet would say."""
    found = SCHEMAS.examine(message.body)
    return Outcome(
        kind=found.kind,
        accepted=len(found.accepted),
        quarantined=len(found.refusals),
        problems=tuple(problem for refusal in found.refusals for problem in refusal.problems),
        unreadable=found.unreadable,
    )


@dataclass
class Light:
    lit: bool = False

    def up(self, note: str = "") -> None:
        assert not note
        self.lit = True

    def down(self, reason: str) -> None:
        raise AssertionError(reason)

    def note(self, note: str) -> None:
        raise AssertionError(note)


@dataclass
class Daemon:
    """A running source with everything around it."""

    source: RadialWebhook
    running: asyncio.Task[None]
    desk: Desk
    url: str
    session: aiohttp.ClientSession
    light: Light

    async def post(self, body: bytes = GOOD, media_type: str = "text/xml") -> Any:
        headers = {"Content-Type": media_type} if media_type else {}
        skipped = [] if media_type else ["Content-Type"]
        async with self.session.post(
            self.url, data=body, headers=headers, skip_auto_headers=skipped
        ) as response:
            return response.status, response.headers, msgspec.json.decode(await response.read())


@pytest.fixture
async def start() -> AsyncIterator[Any]:
    """Starts a source with the given options on a listener; its desk commits at once."""
    daemons: list[Daemon] = []
    async with (
        Listener(WebhooksSettings(listen="127.0.0.1:0")) as listener,
        aiohttp.ClientSession() as session,
    ):

        async def start_(**options: Any) -> Daemon:
            source = RadialWebhook(
                RadialWebhookOptions(type="radial-webhook", name="hook", **options)
            )
            desk, light = Desk(), Light()
            desk.commit.set()
            ground = Ground(intake=desk, status=light, webhooks=listener, surveys=NoSurveys())
            running = asyncio.ensure_future(source.run(ground))
            await until(lambda: light.lit)
            url = f"{listener.address}{options.get('path', PATH)}"
            daemons.append(Daemon(source, running, desk, url, session, light))
            return daemons[-1]

        yield start_
        for daemon in daemons:
            daemon.source.stop()
            daemon.desk.commit.set()
            await asyncio.wait_for(asyncio.gather(daemon.running, return_exceptions=True), 60)


async def test_a_message_is_handed_over_as_it_came(start: Any) -> None:
    daemon = await start(path="/radial", on_test="quarantine", on_other_type="acknowledge")
    status, headers, document = await daemon.post()
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert document == {"accepted": 1, "duplicates": 0, "quarantined": 0, "errors": []}
    (message,) = daemon.desk.messages
    assert (message.body, message.source, message.system) == (GOOD, "hook", "radial")
    assert (message.origin, message.on_test) == ("/radial", "quarantine")
    assert message.on_other_type == "acknowledge"
    assert message.attributes["content-type"] == "text/xml"


async def test_there_is_no_answer_before_the_commit(start: Any) -> None:
    daemon = await start()
    daemon.desk.commit.clear()
    posting = asyncio.ensure_future(daemon.post())
    await until(lambda: len(daemon.desk.messages) == 1)
    done, _ = await asyncio.wait([posting], timeout=0.2)
    assert not done
    daemon.desk.commit.set()
    status, _, _ = await posting
    assert status == 200


@pytest.mark.parametrize(
    ("failure", "wait"),
    [
        (JournalUnavailable("disk full at /secret/place", retry_after=7), "7"),
        (Unavailable("busy"), "10"),
    ],
)
async def test_without_a_commit_the_sender_comes_again(
    start: Any, failure: Exception, wait: str
) -> None:
    daemon = await start(on_invalid="reject")
    daemon.desk.failure = failure
    status, headers, document = await daemon.post()
    assert (status, headers["Retry-After"]) == (503, wait)
    assert headers["Content-Type"] == "application/problem+json"
    assert "secret" not in document["detail"]


@pytest.mark.parametrize("on_invalid", ["accept", "reject"])
@pytest.mark.parametrize(
    "body",
    [b"", b"hello", GOOD[:-20], GOOD.replace(b"<?xml", b"<!DOCTYPE a><?xml", 1), b"\xff\xfe"],
)
async def test_what_is_not_xml_is_400_whatever_the_setting(
    start: Any, body: bytes, on_invalid: str
) -> None:
    daemon = await start(on_invalid=on_invalid)
    status, headers, document = await daemon.post(body)
    assert (status, headers["Content-Type"]) == (400, "application/problem+json")
    assert (document["title"], document["status"]) == ("Bad Request", 400)
    assert (document["accepted"], document["quarantined"]) == (0, 1)
    (error,) = document["errors"]
    assert error["line"] >= 1
    assert error["column"] >= 1
    assert error["path"] is None
    assert error["reason"]
    assert len(daemon.desk.messages) == 1, "it is quarantined all the same"


@pytest.mark.parametrize(("on_invalid", "expected"), [("accept", 200), ("reject", 422)])
async def test_what_fails_the_schema_is_answered_as_configured(
    start: Any, on_invalid: str, expected: int
) -> None:
    daemon = await start(on_invalid=on_invalid)
    status, headers, document = await daemon.post(BAD)
    assert status == expected
    assert headers["Content-Type"].endswith("problem+json" if expected == 422 else "/json")
    assert (document["accepted"], document["quarantined"]) == (0, 1)
    assert all(error["path"].startswith("/OrderBackorderList") for error in document["errors"])


@pytest.mark.parametrize(("on_invalid", "expected"), [("accept", 200), ("reject", 422)])
async def test_a_list_with_good_and_bad_events(start: Any, on_invalid: str, expected: int) -> None:
    daemon = await start(on_invalid=on_invalid)
    problems = (Problem(reason="missing", line=3, path="/OrderBackorderList/OrderBackorder[2]"),)
    daemon.desk.outcome = Outcome(accepted=2, duplicates=1, quarantined=1, problems=problems)
    status, _, document = await daemon.post()
    assert status == expected
    assert document.items() >= {"accepted": 2, "duplicates": 1, "quarantined": 1}.items()
    assert document["errors"] == [
        {
            "line": 3,
            "column": None,
            "path": "/OrderBackorderList/OrderBackorder[2]",
            "reason": "missing",
        }
    ]


@pytest.mark.parametrize("reason", ["larger than 10 bytes", "this program failed on it"])
async def test_our_own_refusals_are_not_taken_for_broken_xml(start: Any, reason: str) -> None:
    daemon = await start()
    daemon.desk.outcome = Outcome(quarantined=1, problems=(Problem(reason=reason, column=1),))
    assert (await daemon.post())[0] == 200


async def test_duplicates_and_connectivity_tests_are_received(start: Any) -> None:
    daemon = await start(on_invalid="reject")
    assert (await daemon.post(TEST))[0] == 200
    daemon.desk.outcome = Outcome(duplicates=3)
    status, _, document = await daemon.post()
    assert (status, document["duplicates"]) == (200, 3)


async def test_a_flood_of_errors_is_cut_short(start: Any) -> None:
    daemon = await start()
    problems = tuple(Problem(reason="bad", line=line, path="/a") for line in range(1, 251))
    daemon.desk.outcome = Outcome(quarantined=250, problems=problems)
    _, _, document = await daemon.post()
    assert (len(document["errors"]), document["errors_omitted"]) == (100, 150)


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        ("application/xml", 200),
        ("Text/XML; charset=utf-8", 200),
        ("application/vnd.radial+xml", 200),
        ("", 200),
        ("application/json", 415),
        ("application/xml-dtd", 415),
        ("text/plain", 415),
    ],
)
async def test_media_types(start: Any, media_type: str, expected: int) -> None:
    daemon = await start()
    status, _, document = await daemon.post(media_type=media_type)
    assert status == expected
    assert len(daemon.desk.messages) == (expected == 200)
    assert document.get("status", 200) == expected


async def test_stopping_settles_what_was_taken_and_takes_no_more(start: Any) -> None:
    daemon = await start()
    daemon.desk.commit.clear()
    posting = asyncio.ensure_future(daemon.post())
    await until(lambda: len(daemon.desk.messages) == 1)
    daemon.source.stop()
    status, headers, _ = await daemon.post()
    assert (status, "Retry-After" in headers) == (503, True)
    assert not daemon.running.done()
    daemon.desk.commit.set()
    assert (await posting)[0] == 200
    await asyncio.wait_for(daemon.running, 60)
    assert len(daemon.desk.messages) == 1


async def test_a_cancelled_source_takes_no_more(start: Any) -> None:
    daemon = await start()
    daemon.running.cancel()
    await asyncio.wait([daemon.running])
    assert (await daemon.post())[0] == 503


async def test_a_source_stopped_before_it_runs_returns_at_once() -> None:
    source = RadialWebhook(RadialWebhookOptions(type="radial-webhook", name="hook"))
    source.stop()
    ground = Ground(
        intake=Desk(),
        status=Light(),
        webhooks=Listener(WebhooksSettings()),
        surveys=NoSurveys(),
    )
    await asyncio.wait_for(source.run(ground), 60)


async def test_check_says_where_it_listens() -> None:
    source = RadialWebhook(RadialWebhookOptions(type="radial-webhook", name="hook", path="/r"))
    assert "/r" in "".join(await source.check())


@pytest.mark.parametrize("path", ["", "hook", "/a b", "/a?b", "/a#b"])
def test_a_path_that_no_request_can_have_is_a_mistake(path: str) -> None:
    table = {"type": "radial-webhook", "name": "hook", "path": path}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table, RadialWebhookOptions)
