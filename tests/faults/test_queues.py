"""Queues that go away, consumers that are cancelled, and messages that nobody can read."""

import asyncio
import random
from functools import partial
from pathlib import Path

import pytest

from broker_stage import RESUMED, Stage, staged
from consumer.simulators.broker import PrivateBroker
from extent import extent
from load import order_message, post_until_received, queue_of
from rabbit import Rabbit, rabbit
from waiting import until

DIES = (
    '{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"%s">>)),'
    " exit(amqqueue:get_pid(Q), kill)."
)
"""Erlang, for `rabbitmqctl eval`: end the process of a queue."""

pytestmark = pytest.mark.timeout(extent(300, long=1200))

WEBHOOK = """
[[sources]]
type = "radial-webhook"
name = "radial-webhook"
"""


async def test_one_of_twenty_queues_is_deleted_and_made_again(
    private_broker: PrivateBroker, tmp_path: Path, unique: str
) -> None:
    async with (
        staged(private_broker, tmp_path, unique, stores=20) as stage,
        rabbit(private_broker.url) as peer,
    ):
        *others, lost = stage.stores
        async with stage.load.going():
            await stage.load.more(200)
            stage.load.stores.remove(lost)
            # What a deleted queue still holds is gone with it; a batch may be under way.
            await stage.load.more(20)
            await until(partial(stage.has, len(stage.load.published)))
            await peer.channel.queue_delete(queue_of(lost))
            await until(partial(says, stage, queue_of(lost)))
            # Settled, too: none of the others has more unacknowledged than is under way.
            before = stage.in_journal()
            await stage.load.more(400)
            await until(partial(stage.has, before + 400))
            for store in others:
                assert await peer.consumers(queue_of(store)) == 1
            await peer.queue(queue_of(lost))
            await peer.publish(queue_of(lost), [order_message(lost, "again")])
            await until(partial(holds, stage, f"{lost}/again"), within=RESUMED)
            stage.load.published.append(f"{lost}/again")
            stage.load.stores.append(lost)
            await stage.load.more(200)
            await stage.resumes()
        assert (await stage.daemon.part("sources.radial-queue"))["ok"]
        await stage.conserves()
        assert "the broker cancelled the consumer" in stage.daemon.log.read_text()


async def test_the_process_of_a_queue_dies_in_the_broker(
    private_broker: PrivateBroker, tmp_path: Path, unique: str
) -> None:
    """As where the node of a queue's leader goes away: consumers move, deliveries come again."""
    async with staged(private_broker, tmp_path, unique, stores=1) as stage:
        async with stage.load.going():
            await stage.load.more(100)
            await private_broker.ctl("eval", DIES % queue_of(*stage.stores))
            await stage.load.more(100)
            await stage.resumes()
        await stage.conserves()


async def test_poison_is_set_aside_once_however_often_it_comes(
    private_broker: PrivateBroker, tmp_path: Path, unique: str
) -> None:
    kills = extent(2, long=10)
    messages = extent(1_000, long=10_000)
    async with (
        staged(private_broker, tmp_path, unique, stores=1) as stage,
        rabbit(private_broker.url) as peer,
    ):
        [store] = stage.stores
        stage.load.published += [f"{store}/{number}" for number in range(messages)]
        bodies = [order_message(store, f"{number}") for number in range(messages)]
        bad = [bytes([65 + number]) * 20 for number in range(10)]
        random.Random(20160713).shuffle(mixed := bodies + bad)  # noqa: S311 - an order, no secret
        await stage.daemon.kill()
        await peer.publish(queue_of(store), mixed)
        for number in range(kills):
            await requeue(peer, queue_of(store), 20)
            stage.daemon.start()
            await stage.daemon.ready()
            await until(partial(stage.has, messages * number // (kills + 1)))
            await stage.daemon.kill()
        stage.daemon.start()
        await stage.daemon.ready()
        await until(partial(stage.has, messages))
        await until(stage.is_settled)
        times = stage.asked("SELECT times FROM quarantine")
        assert len(times) == 10
        assert all(1 <= each <= 1 + kills for each in times)
        await stage.conserves()


async def test_the_same_facts_by_queue_and_webhook_at_once_are_one_event_each(
    private_broker: PrivateBroker, tmp_path: Path, unique: str
) -> None:
    async with (
        staged(private_broker, tmp_path, unique, extra=WEBHOOK) as stage,
        rabbit(private_broker.url) as peer,
    ):
        orders = [(stage.stores[n % 2], f"{n}") for n in range(300)]
        stage.load.published += [f"{store}/{order}" for store, order in orders]
        hook = f"{stage.daemon.public}/webhooks/radial/order-backorder"

        async def published(store: str) -> None:
            mine = [order_message(store, order) for each, order in orders if each == store]
            await peer.publish(queue_of(store), mine)

        posting = asyncio.create_task(post_until_received(hook, orders))
        await asyncio.gather(*map(published, stage.stores))
        await until(partial(stage.has, 100))
        await stage.daemon.kill()
        stage.daemon.start()
        await stage.daemon.ready()
        await posting
        await until(stage.is_settled)
        await stage.conserves()


# --- what is asked ---------------------------------------------------------------------------


async def says(stage: Stage, word: str) -> bool:
    """Whether the source tells of it."""
    return word in ((await stage.daemon.part("sources.radial-queue")).get("reason") or "")


def holds(stage: Stage, fact: str) -> bool:
    """Whether the journal has a fact of a store."""
    store, order = fact.split("/")
    found = stage.asked(
        f"SELECT 1 FROM events WHERE source = '/radial/{store}'"  # noqa: S608 - a test's own names
        f" AND subject = '{order}/1'"
    )
    return bool(found)


async def requeue(peer: Rabbit, queue: str, messages: int) -> None:
    """Take messages and give them back, as somebody does who fails on them."""
    source = await peer.channel.get_queue(queue)
    taken = [await source.get(fail=False) for _ in range(messages)]
    for message in taken:
        if message is not None:
            await message.nack(requeue=True)
