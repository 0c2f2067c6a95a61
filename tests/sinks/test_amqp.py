"""Publishing to a real RabbitMQ: confirms, order, unroutable events, a broker that is blocked."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import aio_pika
import msgspec
import pytest

from consumer.amqp import AmqpTls
from consumer.dispatcher import marked
from consumer.errors import Unavailable
from consumer.model import Record
from consumer.simulators.broker import PrivateBroker
from consumer.sinks.amqp import Amqp, AmqpOptions
from consumer.testing.builders import event, record
from consumer.testing.sinks import (
    PATIENCE,
    Outlet,
    RefusingOutlet,
    RefusingSinkSuite,
    deliver_patiently,
    first_appearances,
)
from consumer.values import PositiveDuration, Secret, parse_value
from rabbit import Rabbit, paused, rabbit, remembered, unreachable
from waiting import until

SHORT: dict[str, Any] = {
    "confirm_timeout": PositiveDuration(1),
    "connect_timeout": PositiveDuration(1),
}


def options(**fields: Any) -> AmqpOptions:
    return AmqpOptions(type="amqp", name="downstream", **fields)


def sink(url: str, **more: Any) -> Amqp:
    return Amqp(options(url=Secret(url), **more))


def records(first: int, last: int) -> list[Record]:
    return [record(seq) for seq in range(first, last + 1)]


def ids(batch: Sequence[Record]) -> list[str]:
    return [each.id for each in batch]


async def arrived(peer: Rabbit, queue: str) -> list[str]:
    return [message.message_id or "" for message in await peer.all(queue)]


# --- the contract that every sink keeps ------------------------------------------------------


class Picky(Amqp):
    """The sink, sending some events where they are refused: half by itself, half by the broker."""

    refused: Collection[str] = ()

    def _routing_key(self, record: Record) -> str:
        if record.id not in self.refused:
            return super()._routing_key(record)
        return "x" * 256 if record.seq % 2 else "no-such-queue"


class QueueOutlet(RefusingOutlet):
    """A queue of a broker that can be made unreachable."""

    def __init__(self, broker: PrivateBroker, queue: str) -> None:
        self._broker = broker
        self._queue = queue
        self._seen: list[str] = []
        self._refused: Collection[str] = ()

    def sink(self) -> Amqp:
        url, within = Secret(self._broker.url), PositiveDuration(5)
        made = Picky(options(url=url, queue=self._queue, confirm_timeout=within, unroutable="park"))
        made.refused = self._refused
        return made

    def refuse(self, ids: Collection[str]) -> None:
        self._refused = ids

    async def arrived(self) -> Sequence[str]:
        async with rabbit(self._broker.url) as peer:
            self._seen += await arrived(peer, self._queue)
        return self._seen

    def outage(self) -> AbstractAsyncContextManager[None]:
        return unreachable(self._broker)


class TestAmqp(RefusingSinkSuite):
    @pytest.fixture
    async def outlet(self, private_broker: PrivateBroker, unique: str) -> Outlet:
        async with rabbit(private_broker.url) as peer:
            await peer.queue(unique)
        return QueueOutlet(private_broker, unique)


# --- what is sent ----------------------------------------------------------------------------


async def test_an_event_is_a_persistent_message_with_its_properties(
    amqp_url: str, unique: str
) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    plain, traced = record(1), record(2, event(2, traceparent=trace))
    async with rabbit(amqp_url) as peer, sink(amqp_url, queue=unique) as outgoing:
        await peer.queue(unique)
        assert await outgoing.deliver([plain, traced]) == {}
        first, second = await peer.all(unique)
    assert first.body == plain.body
    assert first.content_type == "application/cloudevents+json"
    assert (first.message_id, first.type) == (plain.id, "backorder.opened")
    assert first.delivery_mode is aio_pika.DeliveryMode.PERSISTENT
    assert first.timestamp == plain.recorded
    assert first.app_id == "backorder-consumer"
    assert (first.headers, second.headers) == ({}, {"traceparent": trace})


async def test_a_replay_says_so_in_a_header_and_in_its_body(amqp_url: str, unique: str) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    batch = [marked(record(1)), marked(record(2, event(2, traceparent=trace)))]
    async with rabbit(amqp_url) as peer, sink(amqp_url, queue=unique) as outgoing:
        await peer.queue(unique)
        await outgoing.deliver([record(3)])
        await outgoing.deliver(batch)
        _, first, second = await peer.all(unique)
    assert first.headers == {"replay": True}
    assert second.headers == {"replay": True, "traceparent": trace}
    assert (first.message_id, first.body) == (batch[0].id, batch[0].body)


async def test_events_larger_than_a_frame_arrive_whole(amqp_url: str, unique: str) -> None:
    large = msgspec.structs.replace(record(1), body=b'"' + bytes(range(32, 127)) * 5000 + b'"')
    async with rabbit(amqp_url) as peer, sink(amqp_url, queue=unique) as outgoing:
        await peer.queue(unique)
        await outgoing.deliver([record(2), large, record(3)])
        bodies = [message.body for message in await peer.all(unique)]
    assert bodies == [record(2).body, large.body, record(3).body]


async def test_routing_keys_come_from_the_template(amqp_url: str, unique: str) -> None:
    template = "{system}.{type}.{account}.{source}"
    cleared = record(2, event(2, type="backorder.cleared", source="/mvet/0002789"), origin="mvet")
    async with rabbit(amqp_url) as peer:
        exchange = await peer.channel.declare_exchange(unique, aio_pika.ExchangeType.TOPIC)
        queue = await peer.queue(unique)
        await queue.bind(exchange, "#")
        async with sink(amqp_url, exchange=unique, routing_key=template) as outgoing:
            await outgoing.deliver([record(1), cleared])
        keys = [message.routing_key for message in await peer.all(unique)]
        await exchange.delete()
    assert keys == ["radial.opened.TMS_US.radial-queue", "mvet.cleared.0002789.mvet"]


async def test_a_routing_key_that_is_too_long_parks_the_event(amqp_url: str, unique: str) -> None:
    long = record(1, event(1, source=f"/radial/{'x' * 300}"))
    async with rabbit(amqp_url) as peer:
        exchange = await peer.channel.declare_exchange(unique, aio_pika.ExchangeType.FANOUT)
        queue = await peer.queue(unique)
        await queue.bind(exchange)
        async with sink(amqp_url, exchange=unique, routing_key="{account}") as outgoing:
            refused = await outgoing.deliver([long, record(2)])
        assert list(refused) == [1]
        assert "255 bytes" in refused[1]
        assert await arrived(peer, unique) == [record(2).id]
        await exchange.delete()


# --- unroutable ------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def half_bound(peer: Rabbit, name: str) -> AsyncIterator[aio_pika.abc.AbstractExchange]:
    """An exchange with a queue for opened events, and none for cleared ones."""
    exchange = await peer.channel.declare_exchange(name, aio_pika.ExchangeType.DIRECT)
    await (await peer.queue(name)).bind(exchange, "radial.opened")
    yield exchange
    await peer.channel.exchange_delete(name)


def with_cleared(seq: int) -> list[Record]:
    """Five events, of which number `seq` has nowhere to go."""
    batch = records(1, 5)
    batch[seq - 1] = record(seq, event(seq, type="backorder.cleared"))
    return batch


async def test_unroutable_events_wait_for_a_binding(amqp_url: str, unique: str) -> None:
    batch = with_cleared(3)
    async with rabbit(amqp_url) as peer, half_bound(peer, unique) as exchange:
        async with sink(amqp_url, exchange=unique) as outgoing:
            for rest in (batch, batch[2:]):
                with pytest.raises(Unavailable, match=f"{unique}.*could not route") as caught:
                    await outgoing.deliver(rest)
                assert caught.value.delivered == len(rest) - 3
                assert "'radial.cleared'" in caught.value.reason
            await (await peer.channel.get_queue(unique)).bind(exchange, "radial.cleared")
            assert await outgoing.deliver(batch[2:]) == {}
            assert await outgoing.deliver(batch[4:]) == {}, "what is offered anew is sent anew"
        got = await arrived(peer, unique)
    before, behind = ids(batch[:2]), ids(batch[3:])
    assert got == [*before, *behind, *ids(batch[2:]), batch[4].id], "in order, from the stuck one"


async def test_what_was_stored_behind_a_refused_event_is_repeated_in_order(
    amqp_url: str, unique: str
) -> None:
    """Whoever takes the last word on each order line has the same as the journal."""
    batch = with_cleared(3)
    full = {"x-max-length": 1, "x-overflow": "reject-publish"}
    async with rabbit(amqp_url) as peer, half_bound(peer, unique) as exchange:
        await (await peer.channel.get_queue(unique)).bind(exchange, "radial.cleared")
        refusing = await peer.queue(f"{unique}-full", **full)
        await refusing.bind(exchange, "radial.cleared")
        await peer.publish(refusing.name, [b"first"])
        async with sink(amqp_url, exchange=unique) as outgoing:
            for rest in (batch, batch[2:]):
                with pytest.raises(Unavailable, match="nack") as caught:
                    await outgoing.deliver(rest)
                assert caught.value.delivered == len(rest) - 3
            await refusing.purge()
            assert await outgoing.deliver(batch[2:]) == {}
        got = await arrived(peer, unique)
    assert got == [*ids(batch), batch[2].id, *ids(batch[2:])], "what is behind it only once more"


async def test_a_refusal_waits_until_it_can_be_told(amqp_url: str, unique: str) -> None:
    """An event that is refused is not passed over because a later one is stuck."""
    long = record(1, event(1, source=f"/radial/{'x' * 300}"))
    short = record(2, event(2, source="/radial/known"))
    lost = record(3, event(3, source="/radial/unknown"))
    async with rabbit(amqp_url) as peer:
        exchange = await peer.channel.declare_exchange(unique, aio_pika.ExchangeType.DIRECT)
        queue = await peer.queue(unique)
        await queue.bind(exchange, "known")
        async with sink(amqp_url, exchange=unique, routing_key="{account}") as outgoing:
            for batch in ([long, short, lost], [short, long, lost]):
                with pytest.raises(Unavailable, match="could not route") as caught:
                    await outgoing.deliver(batch)
                assert caught.value.delivered == batch.index(long)
            await queue.bind(exchange, "unknown")
            assert set(await outgoing.deliver([long, lost])) == {1}
        await exchange.delete()


async def test_what_a_failed_batch_got_through_is_sent_again_in_a_replay(
    amqp_url: str, unique: str
) -> None:
    """The broker's confirms for the first copies say nothing about what a person asked for."""
    batch = with_cleared(3)
    async with rabbit(amqp_url) as peer, half_bound(peer, unique) as exchange:
        async with sink(amqp_url, exchange=unique) as outgoing:
            with pytest.raises(Unavailable, match="could not route") as caught:
                await outgoing.deliver(batch)
            assert caught.value.delivered == 2
            for last in (2, 5):
                again = [marked(each) for each in (batch[0], batch[1], *batch[3:])][:last]
                assert await outgoing.deliver(again) == {}
            with pytest.raises(Unavailable, match="could not route"):
                await outgoing.deliver([marked(each) for each in batch[1:]])
            assert await outgoing.deliver([marked(batch[1])]) == {}, "another replay"
            await (await peer.channel.get_queue(unique)).bind(exchange, "radial.cleared")
            assert await outgoing.deliver(batch[2:]) == {}
        got = [(m.message_id, bool(m.headers.get("replay"))) for m in await peer.all(unique)]
    one, two, three, four, five = ids(batch)
    assert got == [
        *((each, False) for each in (one, two, four, five)),
        *((each, True) for each in (one, two)),
        *((each, True) for each in (one, two, four, five)),
        *((each, True) for each in (two, four, five)),
        (two, True),
        *((each, False) for each in (three, four, five)),
    ]


@pytest.mark.parametrize("unroutable", ["retry", "park"])
async def test_what_a_failed_batch_left_behind_is_not_told_of_the_next(
    amqp_url: str, unique: str, unroutable: str
) -> None:
    """As where `retry.attempts` parked the first event: the next batch is without it."""
    unbound = record(1, event(1, type="backorder.cleared"))
    async with rabbit(amqp_url) as peer:
        exchange = await peer.channel.declare_exchange(unique, aio_pika.ExchangeType.DIRECT)
        full = {"x-max-length": 1, "x-overflow": "reject-publish"}
        queue = await peer.queue(unique, **full)
        await queue.bind(exchange, "radial.opened")
        async with sink(amqp_url, exchange=unique, unroutable=unroutable) as outgoing:
            with pytest.raises(
                Unavailable, match=r"refused to store 1 messages \(nack\)"
            ) as caught:
                await outgoing.deliver([unbound, *records(2, 3)])
            assert caught.value.delivered == 0
            await queue.purge()
            assert await outgoing.deliver([record(3)]) == {}
        assert await arrived(peer, unique) == [record(3).id]
        await exchange.delete()


async def test_unroutable_events_can_be_parked(amqp_url: str, unique: str) -> None:
    batch = with_cleared(3)
    async with rabbit(amqp_url) as peer, half_bound(peer, unique):
        async with sink(amqp_url, exchange=unique, unroutable="park") as outgoing:
            refused = await outgoing.deliver(batch)
            assert await outgoing.deliver(records(6, 7)) == {}
        assert list(refused) == [3]
        assert "NO_ROUTE" in refused[3]
        assert await arrived(peer, unique) == ids([*batch[:2], *batch[3:], *records(6, 7)])


async def test_unroutable_events_can_be_dropped(amqp_url: str, unique: str) -> None:
    batch = with_cleared(3)
    async with rabbit(amqp_url) as peer, half_bound(peer, unique):
        async with sink(amqp_url, exchange=unique, unroutable="drop") as outgoing:
            assert await outgoing.deliver(batch) == {}
        assert await arrived(peer, unique) == ids([*batch[:2], *batch[3:]])


# --- trouble ---------------------------------------------------------------------------------


async def test_a_missing_target_is_named_and_waited_for(amqp_url: str, unique: str) -> None:
    async with rabbit(amqp_url) as peer:
        async with sink(amqp_url, queue=unique) as outgoing:
            with pytest.raises(Unavailable, match=f"no queue '{unique}'"):
                await outgoing.deliver(records(1, 3))
            await peer.queue(unique)
            await outgoing.deliver(records(1, 3))
            await peer.channel.queue_delete(unique)
            with pytest.raises(Unavailable, match="could not route"):
                await outgoing.deliver(records(4, 5))
        async with sink(amqp_url, exchange=unique) as outgoing:
            with pytest.raises(Unavailable, match=f"no exchange '{unique}'"):
                await outgoing.deliver(records(1, 3))


async def test_an_exchange_deleted_under_way_is_named(amqp_url: str, unique: str) -> None:
    async with (
        rabbit(amqp_url) as peer,
        half_bound(peer, unique) as exchange,
        sink(amqp_url, exchange=unique) as outgoing,
    ):
        await outgoing.deliver(records(1, 3))
        await exchange.delete()
        with pytest.raises(Unavailable, match=f"no exchange '{unique}'") as caught:
            await outgoing.deliver(records(4, 6))
        assert caught.value.delivered == 0


async def test_declares_its_queue_only_where_told_to(amqp_url: str, unique: str) -> None:
    settings: dict[str, Any] = {"queue": unique, "declare": "active", "queue_type": "classic"}
    said = await sink(amqp_url, **settings).check()
    assert "will be declared" in said[1]
    async with rabbit(amqp_url) as peer:
        for _ in range(2):
            async with sink(amqp_url, **settings) as outgoing:
                await outgoing.deliver(records(1, 3))
        assert await peer.ready(unique) == 6


async def test_a_queue_that_is_deleted_under_way_is_declared_again(
    amqp_url: str, unique: str
) -> None:
    async with (
        rabbit(amqp_url) as peer,
        sink(amqp_url, queue=unique, declare="active", queue_type="classic") as outgoing,
    ):
        await outgoing.deliver(records(1, 3))
        await peer.channel.queue_delete(unique)
        await deliver_patiently(outgoing, records(4, 6))
        assert await arrived(peer, unique) == ids(records(4, 6))


async def test_a_blocked_broker_is_told_and_gets_nothing_twice(
    private_broker: PrivateBroker, unique: str
) -> None:
    async with rabbit(private_broker.url) as peer:
        await peer.queue(unique)
        async with sink(private_broker.url, queue=unique, **SHORT) as outgoing:
            await deliver_patiently(outgoing, records(1, 3))
            await private_broker.ctl("set_vm_memory_high_watermark", "0")
            try:
                for _ in range(2):
                    with pytest.raises(Unavailable, match="blocks publishers") as caught:
                        await outgoing.deliver(records(4, 40))
                    assert caught.value.delivered == 0
            finally:
                await private_broker.ctl("set_vm_memory_high_watermark", "0.4")
            await deliver_patiently(outgoing, records(4, 40))
        assert await arrived(peer, unique) == ids(records(1, 40))


async def test_a_broker_that_stands_still_holds_up_no_delivery(
    private_broker: PrivateBroker, unique: str
) -> None:
    """Neither while publishing, nor while dialling once the heartbeat gave the link up."""
    async with rabbit(private_broker.url) as peer:
        await peer.queue(unique)
    async with sink(private_broker.url, queue=unique, heartbeat=1, **SHORT) as outgoing:
        await deliver_patiently(outgoing, records(1, 3))
        rest = records(4, 40)
        said = ""
        with paused(private_broker):
            async with asyncio.timeout(PATIENCE):
                while "no answer in time" not in said:
                    with pytest.raises(Unavailable) as caught:
                        await outgoing.deliver(rest)
                    assert caught.value.delivered == 0
                    said += caught.value.reason
            assert "no confirm from the broker within 1 s" in said
        await deliver_patiently(outgoing, rest)
    async with rabbit(private_broker.url) as peer:
        got = await arrived(peer, unique)
    assert first_appearances(got) == ids(records(1, 40))


async def test_a_broker_that_stands_still_after_the_connection_holds_up_no_delivery(
    private_broker: PrivateBroker, unique: str
) -> None:
    async with sink(private_broker.url, queue=unique, heartbeat=600, **SHORT) as outgoing:
        with pytest.raises(Unavailable, match="no queue"):
            await outgoing.deliver(records(1, 3))
        said = "no answer from the broker within 1 s"
        with paused(private_broker), pytest.raises(Unavailable, match=said):
            await outgoing.deliver(records(1, 3))
        async with rabbit(private_broker.url) as peer:
            await peer.queue(unique)
            await deliver_patiently(outgoing, records(1, 3))
            assert await arrived(peer, unique) == ids(records(1, 3))


async def test_takes_leave_of_a_broker_that_stands_still(
    private_broker: PrivateBroker, unique: str
) -> None:
    """Within the grace of a stop."""
    async with rabbit(private_broker.url) as peer:
        await peer.queue(unique)
    outgoing = sink(private_broker.url, queue=unique)
    await outgoing.__aenter__()
    await outgoing.deliver(records(1, 3))
    with paused(private_broker):
        async with asyncio.timeout(4):
            await outgoing.__aexit__()


async def test_everything_arrives_in_order_over_a_killed_broker(
    private_broker: PrivateBroker, unique: str
) -> None:
    async with rabbit(private_broker.url) as peer:
        await peer.queue(unique)
    await remembered(private_broker)
    batches = [records(first, first + 99) for first in range(1, 2000, 100)]
    told: list[Unavailable] = []

    async def deliver_all(outgoing: Amqp) -> None:
        for batch in batches:
            rest = batch
            while rest:
                try:
                    await outgoing.deliver(rest)
                    rest = []
                except Unavailable as trouble:
                    told.append(trouble)
                    rest = rest[trouble.delivered :]
                    await asyncio.sleep(0.1)

    async with sink(private_broker.url, queue=unique) as outgoing:
        await outgoing.deliver(records(0, 0))
        delivering = asyncio.create_task(deliver_all(outgoing))
        await asyncio.sleep(0)
        private_broker.kill()
        await until(lambda: bool(told))
        await private_broker.start()
        await delivering
    async with rabbit(private_broker.url) as peer:
        got = await arrived(peer, unique)
    assert first_appearances(got) == ids(records(0, 2000))


# --- check and options -----------------------------------------------------------------------


async def test_check_looks_at_the_target(amqp_url: str, unique: str) -> None:
    async with rabbit(amqp_url) as peer, half_bound(peer, unique):
        said = await sink(amqp_url, exchange=unique).check()
        assert "RabbitMQ" in said[0]
        assert said[1] == f"exchange {unique} exists"
        assert (await sink(amqp_url, queue=unique).check())[1].startswith(f"queue {unique} exists")
    with pytest.raises(Unavailable, match=f"no exchange '{unique}'"):
        await sink(amqp_url, exchange=unique).check()


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        ({"url": Secret("")}, "either url or urls"),
        ({"urls": (Secret("amqp://host"),)}, "either url or urls"),
        ({"url": Secret("redis://user:hunter2@host")}, "amqps://user"),
        ({"queue": "q"}, "either exchange or queue"),
        ({"exchange": ""}, "either exchange or queue"),
        ({"exchange": "x" * 256}, "exchange: a name has 255 bytes"),
        ({"exchange": "", "queue": "q" * 256}, "queue: a name has 255 bytes"),
        ({"declare": "active"}, "makes queues only"),
        ({"tls": AmqpTls()}, "does not begin with amqps"),
        ({"routing_key": "{system}.{order}"}, "not {order}"),
    ],
)
def test_mistakes_in_the_options(mistake: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        options(**({"url": Secret("amqp://localhost"), "exchange": "backorders"} | mistake))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("key", ["confirm_timeout", "connect_timeout"])
def test_a_deadline_of_nothing_is_refused(key: str) -> None:
    table = {"type": "amqp", "name": "x", "url": "amqp://localhost", "queue": "q", key: "0s"}
    with pytest.raises(msgspec.ValidationError, match=f"above zero.*{key}"):
        msgspec.convert(table, AmqpOptions, dec_hook=parse_value)
