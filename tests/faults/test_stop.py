"""A stop in the middle of full load: it is soon over, and what was settled is committed."""

import asyncio
import contextlib
import json
import random
import secrets
import sqlite3
from collections import Counter
from functools import partial
from pathlib import Path
from time import monotonic

import pytest

from consumer.simulators.broker_home import free_port
from daemon_process import DaemonProcess, running
from extent import extent
from load import Load, Publisher, fact
from receiver import Receiver, Silent
from waiting import until

STOPS = extent(3, long=20)
PREFETCH = 200

# Seconds. The margin is for what a stop does beside waiting, on a machine with other work to do.
GRACE, MARGIN = 1.0, 9.0


def configuration(url: str, store: str, silent: Silent, receiver: Receiver) -> str:
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

[[sinks]]
type = "http"
name = "warehouse"
url = "{receiver.url}"

[[sinks]]
type = "http"
name = "silent"
url = "{silent.url}"
timeout = "5m"
"""


@pytest.mark.timeout(extent(300, long=1200))
async def test_stops_under_full_load_are_quick_and_settle_nothing_that_is_not_committed(
    tmp_path: Path, amqp_url: str, unique: str
) -> None:
    seed = secrets.randbelow(1_000_000)
    print(f"seed {seed}")  # noqa: T201 - shown where the test fails
    chance = random.Random(seed)  # noqa: S311 - moments of stops, not secrets
    async with (
        Silent(free_port()) as silent,
        Receiver(free_port()) as receiver,
        Publisher(amqp_url, [unique]) as radial,
        contextlib.AsyncExitStack() as last,
    ):
        daemon = DaemonProcess(
            tmp_path,
            configuration(amqp_url, unique, silent, receiver),
            extra=f'[stop]\ngrace = "{GRACE}s"',
        )
        hook = f"{daemon.public}/webhooks/radial/order-backorder"
        load = Load(radial, hook, [unique], pause=1.0)
        async with load.going():
            for _ in range(STOPS):
                silent.asked = 0
                async with running(daemon):
                    await until(lambda: silent.asked > 0)
                    await asyncio.sleep(chance.uniform(0.0, 0.7))
                    began = monotonic()
                    assert await daemon.stop() == 0
                    assert monotonic() - began < GRACE + MARGIN
                assert not load.answered - set(facts(daemon)), "answered 200 and not in the journal"
                await until(partial(every_acknowledged_one_is_held, daemon, load, radial))
            # Somebody has to take what the load still waits for.
            await last.enter_async_context(running(daemon))
        await until(partial(everything_is_in, daemon, load), within=120)
        assert await daemon.stop() == 0
        assert await radial.unsettled() == 0
    assert Counter(facts(daemon)) == Counter(load.expected)
    assert "Traceback" not in daemon.log.read_text()


async def every_acknowledged_one_is_held(
    daemon: DaemonProcess, load: Load, radial: Publisher
) -> bool:
    """Whether what the broker does not hold any more is in the journal, the daemon being stopped.

    It takes the broker a moment to put back what was delivered and not acknowledged.
    """
    published = set(load.published)
    waiting = await radial.unsettled()
    return waiting + len(published & set(facts(daemon))) >= len(published)


async def everything_is_in(daemon: DaemonProcess, load: Load) -> bool:
    await asyncio.sleep(0.1)
    return len(facts(daemon)) >= len(load.expected)


def facts(daemon: DaemonProcess) -> list[str]:
    """What the journal holds."""
    with contextlib.closing(sqlite3.connect(f"file:{daemon.journal}?mode=ro", uri=True)) as journal:
        return [fact(json.loads(body)) for (body,) in journal.execute("SELECT body FROM events")]
