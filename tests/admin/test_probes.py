"""What machines ask, and the listener's own opening and closing."""

import asyncio
from typing import Any

import pytest

from consumer.admin import Admin, Readiness
from consumer.board import PartState
from consumer.errors import Unusable
from consumer.settings import AdminSettings

READY = Readiness(ready=True, parts={"journal": PartState(ok=True)})
NOT_READY = Readiness(ready=False, parts={"journal": PartState(ok=False, reason="disk full")})


async def test_health_is_the_event_loop_turning_whatever_else_is_wrong(bench: Any) -> None:
    opened = await bench(readiness=NOT_READY)
    opened.journal.failure = "disk full"
    answer = await opened.get("/healthz")
    assert (answer.status, answer.body) == (200, b"ok\n")


@pytest.mark.parametrize(("readiness", "expected"), [(READY, 200), (NOT_READY, 503)])
async def test_readiness_tells_a_reason_for_each_part(
    bench: Any, readiness: Readiness, expected: int
) -> None:
    answer = await (await bench(readiness=readiness)).get("/readyz")
    assert answer.status == expected
    journal = readiness.parts["journal"]
    assert answer.document == {
        "ready": readiness.ready,
        "parts": {"journal": {"ok": journal.ok, "reason": journal.reason}},
    }


async def test_metrics_are_prometheus_text(bench: Any) -> None:
    answer = await (await bench()).get("/metrics?name[]=x")
    assert answer.status == 200
    assert answer.body == b"backorder_journal_head 7.0\n"
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


async def test_an_address_in_use_is_said_plainly(bench: Any) -> None:
    first = (await bench()).admin
    with pytest.raises(Unusable, match=f"{first.address}.*in use") as refused:
        await bench(listen=first.address)
    assert "free address" in refused.value.hint


async def test_closing_lets_a_request_under_way_finish_and_ends_idle_connections(
    bench: Any,
) -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> bytes:
        asked.set()
        await go_on.wait()
        return b"backorder_journal_head 8.0\n"

    async def ready() -> Readiness:
        return READY

    opened = await bench()
    admin = Admin(
        AdminSettings(listen="127.0.0.1:0"),
        readiness=ready,
        metrics=slow,
        journal=opened.journal,
        repairs=None,  # type: ignore[arg-type]  # nothing is repaired here
    )
    await admin.__aenter__()
    opened.admin = admin
    async with opened.wire() as idle:
        asking = asyncio.create_task(opened.get("/metrics"))
        await asked.wait()
        closing = asyncio.create_task(admin.__aexit__(None, None, None))
        assert await idle.ended()
        go_on.set()
        assert (await asking).body == b"backorder_journal_head 8.0\n"
        await closing
    with pytest.raises(ConnectionError):
        await opened.get("/healthz")
