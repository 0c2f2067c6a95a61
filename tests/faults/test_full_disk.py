"""The journal's disk is full, or read-only, for a while: nobody is told a lie, and it passes."""

import contextlib
import json
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from consumer.testing.sinks import first_appearances
from daemon_process import DaemonProcess, running
from extent import extent
from load import Load, Publisher, fact, order_list
from small_disk import Disk, filling_disk, freezing_disk
from waiting import until

XML = {"Content-Type": "application/xml"}
PREFETCH = 50
TIMES = extent(1, long=5)


def configuration(url: str, store: str) -> str:
    return f"""
[[sources]]
type = "radial-amqp"
name = "radial-queue"
urls = ["{url}"]
store_codes = ["{store}"]
prefetch = {PREFETCH}

[[sources]]
type = "radial-webhook"
name = "radial-webhook"

[[sinks]]
type = "file"
name = "archive"
path = "events.jsonl"
retry = {{ initial = "50ms", max = "500ms" }}
"""


@pytest.mark.parametrize("kind", [filling_disk, freezing_disk], ids=["full", "read-only"])
async def test_while_nothing_can_be_written_nothing_is_settled_and_then_it_goes_on(
    tmp_path: Path,
    amqp_url: str,
    unique: str,
    kind: Callable[[Path], AbstractContextManager[Disk]],
) -> None:
    with kind(tmp_path / "disk") as disk:
        print(f"the disk is {disk.how}")  # noqa: T201 - which of the ways it is
        daemon = DaemonProcess(disk.directory, configuration(amqp_url, unique))
        hook = f"{daemon.public}/webhooks/radial/order-backorder"
        async with Publisher(amqp_url, [unique]) as radial, running(daemon):
            load = Load(radial, hook, [unique], pause=0.5)
            async with load.going():
                for _ in range(TIMES):
                    await until(partial(more_than, load, len(load.answered) + 50))
                    disk.spoil(daemon)
                    await until(partial(turned_away, hook), what="a post is turned away")
                    await until(partial(is_ready, daemon, expected=False))
                    assert (await daemon.part("journal"))["reason"]
                    await until(partial(messages_wait, radial))
                    for _ in range(20):
                        await check_acknowledged(daemon, load, radial)
                    disk.mend(daemon)
                    await until(partial(is_ready, daemon, expected=True))
            await until(lambda: len(in_journal(daemon)) >= len(load.expected), within=120)
            await daemon.sinks_have_passed(len(load.expected))
            assert await radial.unsettled() == 0
            assert await daemon.stop() == 0
        events = in_journal(daemon)
        lines = (disk.directory / "events.jsonl").read_text().splitlines()
        said = daemon.log.read_text()
    facts = Counter(fact(json.loads(body)) for body in events)
    assert facts == Counter(load.expected)
    told = [json.loads(line)["id"] for line in lines]
    assert first_appearances(told) == [json.loads(body)["id"] for body in events]
    assert "Traceback" not in said
    assert '"bug"' not in said


def more_than(load: Load, number: int) -> bool:
    return len(load.answered) > number


async def turned_away(hook: str) -> bool:
    """Whether a post of something that nobody else posts is answered as it has to be then."""
    async with (
        aiohttp.ClientSession() as client,
        client.post(hook, data=order_list("ELSEWHERE", ""), headers=XML) as answer,
    ):
        if answer.status == 503:
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.content_type == "application/problem+json"
        return answer.status == 503


async def is_ready(daemon: DaemonProcess, *, expected: bool) -> bool:
    status, _ = await daemon.readiness()
    return status == (200 if expected else 503)


async def messages_wait(radial: Publisher) -> bool:
    return await radial.unsettled() > 0


async def check_acknowledged(daemon: DaemonProcess, load: Load, radial: Publisher) -> None:
    """What the broker does not hold for us any more is in the journal.

    Whatever goes on meanwhile makes both sides say more, never less.
    """
    published = len(load.published)
    held = await radial.unsettled() + PREFETCH
    with_us = sum(fact(json.loads(body)) in load.published for body in in_journal(daemon))
    assert held + with_us >= published


def in_journal(daemon: DaemonProcess) -> list[bytes]:
    """The events, in order, read beside the running daemon or after it."""
    address = f"file:{daemon.journal}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as journal:
        return [body for (body,) in journal.execute("SELECT body FROM events ORDER BY seq")]
