"""Nothing is lost: the daemon is killed again and again while all of its input comes in."""

import asyncio
import contextlib
import json
import random
import secrets
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

import aio_pika
import aiohttp
import pytest

from consumer.journal.sqlite import SqliteJournal
from consumer.settings import PrivacySettings
from consumer.simulators.broker_home import free_port
from consumer.testing.sinks import first_appearances
from daemon_process import DaemonProcess, running
from extent import extent
from folding import difference, fold
from load import Load, Publisher, fact, order_list
from poller_scenes import MvetScene, MvetSetting
from poller_stage import standing, truth
from receiver import Receiver
from waiting import until

XML = {"Content-Type": "application/xml"}

KILLS = extent(5, long=100)
PAUSE = 0.6  # seconds between two hundred messages
STORES = 3

# What a sink was offered and had not been marked as passed when the daemon was killed is offered
# again, and that is at the most the one batch that `deliver` was called with: the bound on what is
# delivered twice is one batch for each kill. `http` posts the events of a batch one by one, `amqp`
# publishes them together, `file` writes them at once: of each, all of a batch may have got through.
BATCH = {"archive": 300, "downstream": 200, "warehouse": 50}


def configuration(
    url: str, stores: Sequence[str], downstream: str, receiver: Receiver, mvet: MvetScene
) -> str:
    return f"""
[[sources]]
type = "radial-amqp"
name = "radial-queue"
urls = ["{url}"]
store_codes = {json.dumps(stores)}

[[sources]]
type = "radial-webhook"
name = "radial-webhook"

[[sources]]
type = "mvet"
name = "mvet"
base_url = "{mvet.server.url}"
customers = {json.dumps(mvet.setting.customers)}
interval = "100ms"
jitter = "0s"

[[sinks]]
type = "file"
name = "archive"
path = "events.jsonl"
batch = {{ events = {BATCH["archive"]} }}

[[sinks]]
type = "amqp"
name = "downstream"
url = "{url}"
queue = "{downstream}"
declare = "active"
batch = {{ events = {BATCH["downstream"]} }}

[[sinks]]
type = "http"
name = "warehouse"
url = "{receiver.url}"
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
concurrency = 16
batch = {{ events = {BATCH["warehouse"]} }}
"""


async def kill_at_random_moments(daemon: DaemonProcess, chance: random.Random) -> None:
    """Kill and restart the daemon, each time somewhere in the middle of its work."""
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0.1, 1.5))
        await daemon.kill()
        daemon.start()
        await daemon.ready()


async def everything_in(queue: str, url: str) -> list[str]:
    """The ids of all messages in a queue."""
    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=1000)
        declared = await channel.declare_queue(queue, passive=True)
        ids: list[str] = []
        async with declared.iterator(no_ack=True) as messages:
            expected = declared.declaration_result.message_count or 0
            async for message in messages:
                ids.append(message.message_id or "")
                if len(ids) == expected:
                    break
        await channel.queue_delete(queue)
        return ids


@pytest.mark.timeout(extent(300, long=1800))
async def test_kills_under_load_lose_nothing(tmp_path: Path, amqp_url: str, unique: str) -> None:
    seed = secrets.randbelow(1_000_000)
    print(f"seed {seed}")  # noqa: T201 - shown where the test fails
    chance = random.Random(seed)  # noqa: S311 - moments of kills, not secrets
    stores = [f"{unique}-{n}" for n in range(STORES)]
    downstream = f"{unique}-downstream"
    mvet = MvetScene(MvetSetting(seed=seed, lines=50, customers=("0002789", "0000001")))
    async with (
        Receiver(free_port()) as receiver,
        mvet.server,
        Publisher(amqp_url, stores) as radial,
    ):
        text = configuration(amqp_url, stores, downstream, receiver, mvet)
        daemon = DaemonProcess(tmp_path, text)
        async with running(daemon):
            hook = f"{daemon.public}/webhooks/radial/order-backorder"
            load = Load(radial, hook, stores, pause=PAUSE)
            async with load.going(), going_on(mvet):
                await kill_at_random_moments(daemon, chance)
            await until(lambda: radial_in(daemon) >= len(load.expected), within=180)
            await until(partial(polled_lines_are_told, daemon, mvet), within=60)
            await daemon.sinks_have_passed(head(daemon))
            assert await daemon.stop() == 0
        delivered = {
            "archive": in_file(tmp_path / "events.jsonl"),
            "downstream": await everything_in(downstream, amqp_url),
            "warehouse": receiver.ids,
        }
        assert await radial.unsettled() == 0
    await check(daemon, load, mvet, delivered)


@pytest.mark.parametrize(("orders", "facts"), [(["1"] * 50, 1), (range(50), 50)])
async def test_posts_at_the_same_moment(
    tmp_path: Path, orders: Sequence[object], facts: int
) -> None:
    """Fifty times the same is one event, and fifty different ones are fifty."""
    sink = '[[sinks]]\ntype = "file"\nname = "archive"\npath = "events.jsonl"\n'
    source = '[[sources]]\ntype = "radial-webhook"\nname = "radial-webhook"\n'
    daemon = DaemonProcess(tmp_path, source + sink)
    hook = f"{daemon.public}/webhooks/radial/order-backorder"

    async def post(client: aiohttp.ClientSession, order: object) -> Counter[str]:
        body = order_list("TMS_US", str(order))
        async with client.post(hook, data=body, headers=XML) as answer:
            assert answer.status == 200
            told = await answer.json()
        return Counter({name: told[name] for name in ("accepted", "duplicates", "quarantined")})

    async with (
        running(daemon),
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=50)) as client,
    ):
        told = await asyncio.gather(*(post(client, order) for order in orders))
        await daemon.sinks_have_passed(facts)
        assert await daemon.stop() == 0
    assert sum(told, Counter()) == Counter(accepted=facts, duplicates=50 - facts)
    assert len(in_file(tmp_path / "events.jsonl")) == facts


async def check(
    daemon: DaemonProcess, load: Load, mvet: MvetScene, delivered: dict[str, list[str]]
) -> None:
    """Every fact is in the journal once and in every sink; the polled lines are what there is."""
    async with SqliteJournal(daemon.journal, readonly=True) as journal:
        records = await journal.read(0, limit=10_000_000, max_bytes=1 << 40)
    facts = Counter(fact(json.loads(each.body)) for each in records if each.system == "radial")
    assert facts == Counter(load.expected)
    folded = fold(each for each in records if each.system == "mvet")
    wrong = difference(standing(folded), truth(mvet, PrivacySettings()))
    assert not wrong, wrong
    ids = [record.id for record in records]
    assert len(ids) == len(set(ids))
    twice = {sink: len(got) - len(set(got)) for sink, got in delivered.items()}
    print(f"{KILLS} kills, {len(ids)} events, delivered twice: {twice}")  # noqa: T201 - the result
    for sink, got in delivered.items():
        assert set(got) == set(ids), f"{sink} has not got what the journal holds"
        assert twice[sink] <= BATCH[sink] * KILLS, f"{sink} got more twice than was under way"
    for sink in ("archive", "downstream"):
        assert first_appearances(delivered[sink]) == ids


@contextlib.asynccontextmanager
async def going_on(mvet: MvetScene) -> AsyncIterator[None]:
    """Lines open, change, end and come back meanwhile."""

    async def live() -> None:
        while True:
            mvet.world.step()
            await asyncio.sleep(0.5)

    task = asyncio.create_task(live())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def polled_lines_are_told(daemon: DaemonProcess, mvet: MvetScene) -> bool:
    """Whether what the journal tells of the polled lines is what there is."""
    async with SqliteJournal(daemon.journal, readonly=True) as journal:
        told = fold(await journal.read(0, limit=10_000_000, max_bytes=1 << 40, source="mvet"))
    return standing(told) == truth(mvet, PrivacySettings())


def radial_in(daemon: DaemonProcess) -> int:
    """How many events the journal holds that were not polled."""
    return _asked(daemon, "SELECT count(*) FROM events WHERE origin <> 'mvet'")


def head(daemon: DaemonProcess) -> int:
    """The newest sequence number."""
    return _asked(daemon, "SELECT max(seq) FROM events")


def _asked(daemon: DaemonProcess, question: str) -> int:
    """A number, read beside the running daemon."""
    with contextlib.closing(sqlite3.connect(f"file:{daemon.journal}?mode=ro", uri=True)) as db:
        return int(db.execute(question).fetchone()[0])


def in_file(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]
