"""Nothing is lost: the daemon is killed again and again while all of its input comes in."""

import asyncio
import contextlib
import json
import random
import sqlite3
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aio_pika
import pytest

from consumer.simulators.broker_home import free_port
from consumer.testing.sinks import first_appearances
from daemon_process import DaemonProcess, running
from load import Publisher, post_until_received
from receiver import Receiver
from waiting import until

MESSAGES = 20_000
POSTS = 2_000
KILLS = 5
STORES = 3


def configuration(url: str, stores: Sequence[str], downstream: str, receiver: Receiver) -> str:
    return f"""
[[sources]]
type = "radial-amqp"
name = "radial-queue"
urls = ["{url}"]
store_codes = {json.dumps(stores)}

[[sources]]
type = "radial-webhook"
name = "radial-webhook"

[[sinks]]
type = "file"
name = "archive"
path = "events.jsonl"

[[sinks]]
type = "amqp"
name = "downstream"
url = "{url}"
queue = "{downstream}"
declare = "active"

[[sinks]]
type = "http"
name = "warehouse"
url = "{receiver.url}"
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
concurrency = 16
"""


async def kill_at_random_moments(daemon: DaemonProcess) -> None:
    """Kill and restart the daemon, each time somewhere in the middle of its work."""
    chance = random.Random(20160713)  # noqa: S311 - moments of kills, not secrets
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0.2, 2.0))
        await daemon.kill()
        daemon.start()
        await daemon.ready()


async def everything_in(queue: str, url: str) -> list[str]:
    """The ids of all messages in a queue."""
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        declared = await channel.declare_queue(queue, passive=True)
        ids = []
        while (message := await declared.get(no_ack=True, fail=False)) is not None:
            ids.append(message.message_id or "")
        await channel.queue_delete(queue)
        return ids


@pytest.mark.timeout(420)
async def test_kills_under_load_lose_nothing(tmp_path: Path, amqp_url: str, unique: str) -> None:
    stores = [f"{unique}-{n}" for n in range(STORES)]
    published = [(stores[n % STORES], f"Q{n}") for n in range(MESSAGES)]
    posted = [(stores[n % STORES], f"W{n}") for n in range(POSTS)]
    downstream = f"{unique}-downstream"
    async with Receiver(free_port()) as receiver, Publisher(amqp_url, stores) as radial:
        daemon = DaemonProcess(tmp_path, configuration(amqp_url, stores, downstream, receiver))
        async with running(daemon):
            hook = f"{daemon.public}/webhooks/radial/order-backorder"

            async def load() -> None:
                await asyncio.gather(
                    radial.publish(published, pause=0.05), post_until_received(hook, posted)
                )

            loading = asyncio.create_task(load())
            await kill_at_random_moments(daemon)
            assert not loading.done(), "the kills came too late: make the load longer"
            await loading

            expected = {f"{store}/{order}" for store, order in published + posted}
            await until(lambda: in_journal(daemon) >= len(expected), within=120)
            events = await daemon.events()
            await daemon.sinks_have_passed(events[-1]["seq"])
            assert await daemon.stop() == 0

        delivered = {
            "archive": in_file(tmp_path / "events.jsonl"),
            "downstream": await everything_in(downstream, amqp_url),
            "warehouse": receiver.ids,
        }
        assert await radial.unsettled() == 0

    facts = Counter(fact(event["event"]) for event in events)
    assert set(facts) == expected
    assert set(facts.values()) == {1}
    journal = [event["event"]["id"] for event in events]
    for sink, ids in delivered.items():
        assert set(ids) == set(journal), f"{sink} has not got what the journal holds"
    assert first_appearances(delivered["archive"]) == journal


def in_journal(daemon: DaemonProcess) -> int:
    """How many events the journal holds, read beside the running daemon."""
    with contextlib.closing(sqlite3.connect(f"file:{daemon.journal}?mode=ro", uri=True)) as db:
        count: int = db.execute("SELECT count(*) FROM events").fetchone()[0]
        return count


def fact(event: dict[str, Any]) -> str:
    """What the load calls an event: its store and order number."""
    return f"{event['data']['order']['account']}/{event['data']['order']['number']}"


def in_file(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]
