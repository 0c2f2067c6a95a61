"""Where a receiver or an upstream redirects to, nothing is ever sent: neither event nor token."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from consumer.errors import Refused
from consumer.values import Secret
from consumer.web import Client
from daemon_process import DaemonProcess, running
from load import order_list
from waiting import until

TOKEN = "t0ken-of-ours"
SOURCE = '[[sources]]\ntype = "radial-webhook"\nname = "radial-webhook"\n'
SINK = """
[[sinks]]
type = "http"
name = "warehouse"
url = "{url}"
headers = {{ Authorization = "Bearer {token}" }}
retry = {{ initial = "10ms", max = "20ms" }}
"""
STATUSES = (301, 302, 303, 307, 308)


class Host:
    """A server that redirects as it is told; with nowhere to redirect to it accepts."""

    def __init__(self) -> None:
        self.location: str | None = None
        self.status = 307
        self.asked: list[web.BaseRequest] = []
        self.ids: list[str] = []

    async def start(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._answer), shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{site.port}/hook"

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        self.asked.append(request)
        if self.location is not None:
            return web.Response(status=self.status, headers={"Location": self.location})
        self.ids.append(request.headers.get("webhook-id", ""))
        return web.Response()


@pytest.fixture
async def redirecting() -> AsyncIterator[Host]:
    host = Host()
    await host.start()
    yield host
    await host.stop()


@pytest.fixture
async def elsewhere() -> AsyncIterator[Host]:
    host = Host()
    await host.start()
    yield host
    await host.stop()


def locations(redirecting: Host, elsewhere: Host) -> list[str]:
    """To another host, to itself for ever, to a file, with our credentials, to nowhere."""
    beyond = elsewhere.url.removeprefix("http:")
    return [
        elsewhere.url,
        redirecting.url,
        "/hook",
        "file:///etc/passwd",
        beyond,
        f"http://user:password@{beyond.removeprefix('//')}",
        "http://[::1",
        "",
    ]


async def test_events_wait_in_order_for_a_receiver_that_redirects(
    tmp_path: Path, redirecting: Host, elsewhere: Host
) -> None:
    daemon = DaemonProcess(tmp_path, SOURCE + SINK.format(url=redirecting.url, token=TOKEN))
    redirecting.location = elsewhere.url
    async with running(daemon):
        async with aiohttp.ClientSession() as client:
            for number in range(3):
                async with client.post(
                    f"{daemon.public}/webhooks/radial/order-backorder",
                    data=order_list("TMS_US", str(number)),
                    headers={"Content-Type": "application/xml"},
                ) as answer:
                    assert answer.status == 200
        for location in locations(redirecting, elsewhere):
            for status in STATUSES:
                redirecting.location, redirecting.status = location, status
                asked = len(redirecting.asked)
                # The second question from now on was asked after the first was redirected so.
                await until(lambda asked=asked: len(redirecting.asked) > asked + 1)  # type: ignore[misc]  # mypy infers no lambda with a default
        part = await daemon.part("sinks.warehouse")
        assert "redirects, which is not followed" in part["reason"]
        assert {request.headers["webhook-id"] for request in redirecting.asked} == {
            redirecting.asked[0].headers[
                "webhook-id"
            ]  # the first event, and none before it is taken
        }
        redirecting.location = None
        await until(lambda: len(redirecting.ids) == 3)
        assert [event["event"]["id"] for event in await daemon.events()] == redirecting.ids
    assert elsewhere.asked == []
    assert TOKEN not in daemon.log.read_text()


@pytest.mark.parametrize("status", STATUSES)
async def test_a_poller_takes_its_credentials_nowhere_else(
    status: int, redirecting: Host, elsewhere: Host
) -> None:
    redirecting.status = status
    headers = {"Authorization": Secret(TOKEN)}
    async with Client(
        concurrency=1, timeout=10, attempts=3, max_body=1000, headers=headers
    ) as client:
        for location in locations(redirecting, elsewhere):
            redirecting.location = location
            redirecting.asked.clear()
            with pytest.raises(Refused, match="redirects, which is not followed") as caught:
                await client.get(f"{redirecting.url}/sub/{TOKEN}", what="the list")
            assert len(redirecting.asked) == 1
            assert TOKEN not in str(caught.value)
            assert caught.value.__cause__ is None
    assert elsewhere.asked == []
