import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
import pytest

from consumer.admin.probes import Admin, Readiness
from consumer.board import PartState
from consumer.errors import Unusable
from consumer.settings import AdminSettings
from consumer.values import Secret

READY = Readiness(ready=True, parts={"journal": PartState(ok=True)})
NOT_READY = Readiness(ready=False, parts={"journal": PartState(ok=False, reason="disk full")})


@asynccontextmanager
async def admin(
    readiness: Readiness = READY, token: str = "", listen: str = "127.0.0.1:0"
) -> AsyncIterator[str]:
    async def answer() -> Readiness:
        return readiness

    async def metrics() -> bytes:
        return b"backorder_journal_head 7.0\n"

    settings = AdminSettings(listen=listen, token=Secret(token))
    async with Admin(settings, readiness=answer, metrics=metrics) as listener:
        yield f"http://{listener.address}"


async def get(url: str, **headers: str) -> tuple[int, str, Mapping[str, str]]:
    async with aiohttp.ClientSession() as client, client.get(url, headers=headers) as response:
        return response.status, await response.text(), response.headers


async def test_health_is_the_event_loop_turning_whatever_else_is_wrong() -> None:
    async with admin(NOT_READY) as url:
        status, body, _ = await get(f"{url}/healthz")
    assert (status, body) == (200, "ok\n")


@pytest.mark.parametrize(("readiness", "expected"), [(READY, 200), (NOT_READY, 503)])
async def test_readiness_tells_a_reason_for_each_part(readiness: Readiness, expected: int) -> None:
    async with admin(readiness) as url:
        status, body, _ = await get(f"{url}/readyz")
    assert status == expected
    journal = readiness.parts["journal"]
    assert json.loads(body) == {
        "ready": readiness.ready,
        "parts": {"journal": {"ok": journal.ok, "reason": journal.reason}},
    }


async def test_metrics_are_prometheus_text() -> None:
    async with admin() as url:
        status, body, headers = await get(f"{url}/metrics")
    assert status == 200
    assert body == "backorder_journal_head 7.0\n"
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")


async def test_a_token_guards_everything_but_the_probes() -> None:
    async with admin(token="open-sesame") as url:
        assert (await get(f"{url}/healthz"))[0] == 200
        assert (await get(f"{url}/readyz"))[0] == 200
        assert (await get(f"{url}/metrics"))[0] == 401
        assert (await get(f"{url}/metrics", Authorization="Bearer wrong"))[0] == 401
        assert (await get(f"{url}/metrics", Authorization="Bearer open-sesame"))[0] == 200


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        ("bearer open-sesame", 200),
        ("BEARER  open-sesame ", 200),
        ("open-sesame", 401),
        ("Basic open-sesame", 401),
        ("Bearer", 401),
        ("Beareropen-sesame", 401),
    ],
)
async def test_a_token_is_shown_by_its_scheme_in_any_case(shown: str, status: int) -> None:
    async with admin(token="open-sesame") as url:
        assert (await get(f"{url}/metrics", Authorization=shown))[0] == status


async def test_an_address_in_use_is_said_plainly() -> None:
    async with admin() as url:
        taken = url.removeprefix("http://")

        async def nothing() -> bytes:
            return b""

        async def ready() -> Readiness:
            return READY

        second = Admin(AdminSettings(listen=taken), readiness=ready, metrics=nothing)
        with pytest.raises(Unusable, match=f"{taken}.*in use") as refused:
            await second.__aenter__()
    assert "free address" in refused.value.hint


async def test_a_token_of_odd_bytes_is_a_wrong_one() -> None:
    async with admin(token="open-sesame") as url:
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n"
            b"Connection: close\r\n\r\n"
        )
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 401 ")
