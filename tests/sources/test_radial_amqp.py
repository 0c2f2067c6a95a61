"""Consuming from a real RabbitMQ: what is acknowledged, and what lost queues and links cost."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import pytest

from consumer.amqp import Dialer, Link, ReconnectSettings
from consumer.amqp.channel import LeanChannel
from consumer.errors import Unavailable
from consumer.model import Message
from consumer.simulators.broker import PrivateBroker
from consumer.simulators.broker_home import free_port
from consumer.sources.radial_amqp import RadialAmqp, RadialAmqpOptions
from consumer.testing.sources import RecordingIntake, RecordingStatus, ground
from consumer.values import Duration, PositiveDuration, Secret, parse_value
from rabbit import counts, rabbit, remembered, unreachable
from waiting import until

Bodies = Sequence[bytes]


def options(url: str, *queues: str, **more: Any) -> RadialAmqpOptions:
    fields: dict[str, Any] = {
        "type": "radial-amqp",
        "name": "radial-queue",
        "urls": (Secret(url),),
        "queues": queues,
    }
    return RadialAmqpOptions(**(fields | more))


def quick(url: str, *queues: str, **more: Any) -> RadialAmqpOptions:
    """With short waits, so that recovering is quick."""
    reconnect = ReconnectSettings(initial=Duration(0.05), max=Duration(0.2))
    return options(url, *queues, reconnect=reconnect, **more)


class Running:
    """A source at work, with what it stands on."""

    def __init__(self, settings: RadialAmqpOptions) -> None:
        self.source = RadialAmqp(settings)
        self.intake = RecordingIntake()
        self.status = RecordingStatus()
        self.task = asyncio.create_task(self.source.run(ground(self.intake, self.status)))

    async def up(self) -> None:
        await until(lambda: self.status.is_up or self.task.done(), what="the source is up")
        assert not self.task.done()

    async def down(self, *words: str) -> None:
        await until(lambda: all(w in self.status.reason for w in words), what=f"down: {words}")

    async def got(self, bodies: Bodies) -> None:
        await until(lambda: set(bodies) <= set(self.intake.bodies), what="messages arrive")


@contextlib.asynccontextmanager
async def running(settings: RadialAmqpOptions) -> AsyncIterator[Running]:
    work = Running(settings)
    try:
        yield work
    finally:
        work.source.stop()
        work.intake.release()
        async with asyncio.timeout(60):
            await work.task


def bodies(first: int, last: int, mark: str = "m") -> Bodies:
    return [f"{mark}{number}".encode() for number in range(first, last + 1)]


async def settles(broker: PrivateBroker, queue: str, *, ready: int, unacknowledged: int) -> None:
    """Wait until the broker itself says so, and goes on saying so."""

    async def so() -> bool:
        return await counts(broker, queue) == (ready, unacknowledged)

    await until(so, within=60, what=f"{ready} ready, {unacknowledged} unacknowledged")
    assert await so()


# --- settling --------------------------------------------------------------------------------


async def test_acknowledges_after_the_commit_and_not_before(
    private_broker: PrivateBroker, unique: str
) -> None:
    async with (
        rabbit(private_broker.url) as peer,
        running(quick(private_broker.url, unique, prefetch=20)) as work,
    ):
        work.intake.hold()
        await peer.queue(unique)
        await peer.publish(unique, bodies(1, 30))
        # How many of them were handed over depends on how the broker's deliveries were dealt out.
        await settles(private_broker, unique, ready=10, unacknowledged=20)
        assert work.intake.messages
        work.intake.release()
        await work.got(bodies(1, 30))
        await settles(private_broker, unique, ready=0, unacknowledged=0)
        assert work.intake.bodies == bodies(1, 30), "order is kept, nothing comes twice"


async def test_a_message_tells_where_it_came_from(amqp_url: str, unique: str) -> None:
    async with rabbit(amqp_url) as peer:
        await peer.queue(unique)
        before = f"{unique}-before"
        await peer.queue(
            before,
            **{
                "x-message-ttl": 0,
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": unique,
            },
        )
        trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        await peer.publish(
            before, [b"<x/>"], type="OrderBackorder", message_id="7", headers={"traceparent": trace}
        )
        settings = quick(amqp_url, unique, on_other_type="acknowledge")
        async with running(settings) as work:
            await until(lambda: bool(work.intake.committed))
            message: Message = work.intake.messages[0]
        await peer.channel.queue_delete(before)
    assert (message.source, message.system, message.origin) == ("radial-queue", "radial", unique)
    assert (message.body, message.traceparent) == (b"<x/>", trace)
    assert (message.on_test, message.on_other_type) == ("acknowledge", "acknowledge")
    assert message.attributes == {
        "type": "OrderBackorder",
        "message_id": "7",
        "x-death": f"1 x expired from {before}",
    }


async def test_what_a_sender_says_of_deaths_is_bounded(amqp_url: str, unique: str) -> None:
    death = dict.fromkeys(("count", "reason", "queue"), "9" * 5000)
    async with rabbit(amqp_url) as peer, running(quick(amqp_url, unique)) as work:
        await peer.queue(unique)
        await peer.publish(unique, [b"<x/>"], headers={"x-death": [death]})
        await work.got([b"<x/>"])
    nines = "9" * 200
    assert work.intake.messages[0].attributes["x-death"] == f"{nines} x {nines} from {nines}"


async def test_stop_settles_what_was_taken(amqp_url: str, unique: str) -> None:
    async with rabbit(amqp_url) as peer:
        await peer.queue(unique)
        await peer.publish(unique, bodies(1, 50))
        async with running(quick(amqp_url, unique)) as work:
            work.intake.hold()
            await until(lambda: bool(work.intake.messages))

            async def all_delivered() -> bool:
                return await peer.ready(unique) == 0

            await until(all_delivered)
            work.source.stop()

            async def cancelled() -> bool:
                return not await peer.consumers(unique)

            await until(cancelled)
            await peer.publish(unique, [b"after"])
            await until(lambda: len(work.intake.messages) > 1)
            assert not work.task.done(), "a commit is outstanding"
            work.intake.release()
            await work.task
        left = [message.body for message in await peer.all(unique)]
    assert left == [b"after"]
    assert [message.body for message in work.intake.committed] == bodies(1, 50)


async def test_large_messages_and_empty_ones_arrive_whole(amqp_url: str, unique: str) -> None:
    large = bytes(range(256)) * 4000
    async with rabbit(amqp_url) as peer, running(quick(amqp_url, unique)) as work:
        await peer.queue(unique)
        await peer.publish(unique, [b"", large, b"small"])
        await work.got([b"", large, b"small"])
        assert sorted(map(len, work.intake.bodies)) == [0, 5, len(large)]


async def test_a_connection_lost_before_the_commit_costs_a_repetition(
    private_broker: PrivateBroker, unique: str
) -> None:
    async with rabbit(private_broker.url) as peer:
        await peer.queue(unique)
        await peer.publish(unique, bodies(1, 10))
    async with running(quick(private_broker.url, unique)) as work:
        work.intake.hold()
        await settles(private_broker, unique, ready=0, unacknowledged=10)
        await private_broker.ctl("close_all_connections", "test")
        work.intake.release()

        def again() -> Bodies:
            came = work.intake.messages
            return [each.body for each in came if each.attributes.get("redelivered") == "true"]

        await until(lambda: again() == bodies(1, 10), what="they come again")
    assert await counts(private_broker, unique) == (0, 0)


@pytest.mark.parametrize("stopping", [False, True])
async def test_a_lost_connection_is_told_though_commits_are_outstanding(
    private_broker: PrivateBroker, unique: str, *, stopping: bool
) -> None:
    """Unless the source is stopping: nothing is wrong with one that has nothing more to take."""
    async with rabbit(private_broker.url) as peer:
        await peer.queue(unique)
        await peer.publish(unique, bodies(1, 10))
    async with running(quick(private_broker.url, unique)) as work:
        work.intake.hold()
        await settles(private_broker, unique, ready=0, unacknowledged=10)
        if stopping:
            work.source.stop()
        await private_broker.ctl("close_all_connections", "test")
        if not stopping:
            await work.down("CONNECTION_FORCED")
        await settles(private_broker, unique, ready=10, unacknowledged=0)
        assert not work.intake.committed
        work.intake.release()
        if not stopping:
            await work.up()
    told = [None] if stopping else [None, work.status.said[1], None]
    assert work.status.said == told, "once"


class Broken(RecordingIntake):
    async def accept_patiently(self, messages: Sequence[Message]) -> Any:
        raise LookupError(f"a mistake with {len(messages)} messages")


class BrokenLater(RecordingIntake):
    async def accept_patiently(self, messages: Sequence[Message]) -> Any:
        return asyncio.create_task(Broken().accept_patiently(messages))


@pytest.mark.parametrize("intake", [Broken, BrokenLater])
async def test_a_mistake_in_the_intake_ends_the_source(
    amqp_url: str, unique: str, intake: type[RecordingIntake]
) -> None:
    async with rabbit(amqp_url) as peer:
        await peer.queue(unique)
        await peer.publish(unique, bodies(1, 1000))
        source = RadialAmqp(quick(amqp_url, unique, f"{unique}-missing", prefetch=20))
        with pytest.raises(LookupError):
            async with asyncio.timeout(60):
                await source.run(ground(intake(), RecordingStatus()))
        assert len(await peer.all(unique)) == 1000, "nothing was acknowledged"


async def test_cancelling_drops_the_connection(amqp_url: str, unique: str) -> None:
    async with rabbit(amqp_url) as peer:
        await peer.queue(unique)
        await peer.publish(unique, bodies(1, 10))
        work = Running(quick(amqp_url, unique))
        work.intake.hold()

        async def all_delivered() -> bool:
            return await peer.ready(unique) == 0

        await until(all_delivered)
        await until(lambda: bool(work.intake.messages))
        work.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work.task
        work.intake.release()
        await until(lambda: not work.intake._commits)

        async def all_back() -> bool:
            return await peer.ready(unique) == 10

        await until(all_back)


# --- queues ----------------------------------------------------------------------------------


async def test_a_missing_queue_delays_only_itself(amqp_url: str, unique: str) -> None:
    there, missing = f"{unique}-there", f"{unique}-missing"
    async with rabbit(amqp_url) as peer:
        await peer.queue(there)
        async with running(quick(amqp_url, there, missing)) as work:
            await work.down(missing, "NOT_FOUND")
            assert there not in work.status.reason
            await peer.publish(there, bodies(1, 5))
            await work.got(bodies(1, 5))
            await peer.queue(missing)
            await work.up()
            await peer.publish(missing, bodies(6, 9))
            await work.got(bodies(6, 9))


async def test_a_deleted_queue_is_followed_again_when_it_is_back(
    amqp_url: str, unique: str
) -> None:
    stays, goes = f"{unique}-stays", f"{unique}-goes"
    async with rabbit(amqp_url) as peer:
        await peer.queue(stays)
        await peer.queue(goes)
        async with running(quick(amqp_url, stays, goes)) as work:
            await work.up()
            await peer.channel.queue_delete(goes)
            await work.down(goes)
            await peer.publish(stays, bodies(1, 5))
            await work.got(bodies(1, 5))
            await peer.queue(goes)
            await peer.publish(goes, bodies(6, 9))
            await work.got(bodies(6, 9))
            await work.up()
            assert work.intake.bodies[:5] == bodies(1, 5)


async def test_declares_a_missing_queue_only_where_told_to(amqp_url: str, unique: str) -> None:
    async with rabbit(amqp_url) as peer, running(quick(amqp_url, unique, declare="active")) as work:
        await work.up()
        await peer.publish(unique, bodies(1, 2))
        await work.got(bodies(1, 2))


async def test_follows_very_many_stores(amqp_url: str, unique: str) -> None:
    codes = [f"{unique}-{number}" for number in range(200)]
    queues = [f"q.Order.BackOrder.{code}.2-0" for code in codes]
    async with rabbit(amqp_url) as peer:
        await asyncio.gather(*(peer.queue(queue) for queue in queues))
        try:
            async with running(quick(amqp_url, store_codes=tuple(codes))) as work:
                await work.up()
                for queue in queues:
                    await peer.publish(queue, [queue.encode()])
                await work.got([queue.encode() for queue in queues])
                assert {message.origin for message in work.intake.messages} == set(queues)
        finally:
            await asyncio.gather(*(peer.channel.queue_delete(queue) for queue in queues))


async def test_reasons_stay_short_with_many_queues(amqp_url: str, unique: str) -> None:
    missing = [f"{unique}-{number}" for number in range(10)]
    async with running(quick(amqp_url, *missing)) as work:
        await work.down("and 7 more queues")


class Remembering(Dialer):
    """A dialer whose links a test can get at."""

    async def dial(self) -> Link:
        self.link = await super().dial()
        return self.link


async def test_notices_that_the_broker_forgot_the_consumer(amqp_url: str, unique: str) -> None:
    async with rabbit(amqp_url) as peer:
        await peer.queue(unique)
        async with running(quick(amqp_url, unique, watch=PositiveDuration(0.1))) as work:
            dialer = Remembering(work.source._dialer._settings)
            work.source._supervisor._dialer = dialer
            await work.up()
            for channel in list(dialer.link._connection.channels.values()):
                if isinstance(channel, LeanChannel) and channel.consumers:
                    # Behind the back of the subscription, as a failover or a proxy would.
                    await channel.basic_cancel("backorder-consumer")
            await peer.publish(unique, bodies(1, 3))
            await work.got(bodies(1, 3))
            assert any("does not know us" in (said or "") for said in work.status.said)


# --- connections -----------------------------------------------------------------------------


async def test_everything_arrives_over_a_killed_broker(
    private_broker: PrivateBroker, unique: str
) -> None:
    async with running(quick(private_broker.url, unique, prefetch=50)) as work:
        async with rabbit(private_broker.url) as peer:
            await peer.queue(unique)
            await remembered(private_broker)
            await peer.publish(unique, bodies(1, 300))
            await until(lambda: len(work.intake.messages) > 50)
            private_broker.kill()
            await work.down("127.0.0.1")
        await private_broker.start()
        async with rabbit(private_broker.url) as peer:
            await peer.publish(unique, bodies(301, 400))
        await work.got(bodies(1, 400))
    assert await counts(private_broker, unique) == (0, 0)


async def test_starts_while_the_broker_is_down_and_stops_there_too(
    private_broker: PrivateBroker, unique: str
) -> None:
    async with rabbit(private_broker.url) as peer:
        await peer.queue(unique)
        await peer.publish(unique, bodies(1, 3))
    async with unreachable(private_broker):
        async with running(quick(private_broker.url, unique)) as gives_up:
            await gives_up.down("connection refused")
        work = Running(quick(private_broker.url, unique))
        await work.down("connection refused", f"127.0.0.1:{private_broker.port}")
    await work.got(bodies(1, 3))
    assert work.status.is_up
    work.source.stop()
    await work.task


async def test_goes_to_the_next_url_when_one_is_dead(amqp_url: str, unique: str) -> None:
    dead = f"amqp://guest:guest@127.0.0.1:{free_port()}/"
    async with rabbit(amqp_url) as peer:
        await peer.queue(unique)
        async with running(quick("", unique, urls=(Secret(dead), Secret(amqp_url)))) as work:
            await work.up()
            assert work.status.said == [None]


async def test_says_what_is_wrong_without_a_password(amqp_url: str, unique: str) -> None:
    wrong = amqp_url.replace(":guest@", ":hunter2@")
    async with running(quick(wrong, unique)) as work:
        await work.down("wrong user or password")
        assert "hunter2" not in work.status.reason


# --- check and options -----------------------------------------------------------------------


async def test_check_looks_without_taking(amqp_url: str, unique: str) -> None:
    async with rabbit(amqp_url) as peer:
        await peer.queue(unique)
        await peer.publish(unique, bodies(1, 4))
        said = await RadialAmqp(options(amqp_url, unique)).check()
        assert "RabbitMQ" in said[0]
        assert said[1:] == [f"{unique}: 4 messages ready, 0 consumers"]
        assert await peer.ready(unique) == 4


async def test_check_names_every_missing_queue(amqp_url: str, unique: str) -> None:
    one, two = f"{unique}-1", f"{unique}-2"
    with pytest.raises(Unavailable) as caught:
        await RadialAmqp(options(amqp_url, one, two)).check()
    assert all(f"{name}: " in caught.value.reason for name in (one, two))
    said = await RadialAmqp(options(amqp_url, one, declare="active")).check()
    assert "will be declared" in said[1]


@pytest.mark.parametrize(
    ("mistake", "says"),
    [
        ({"queues": ()}, "either store_codes or queues"),
        ({"store_codes": ("TMS_US",)}, "either store_codes or queues"),
        ({"queues": ("a", "a")}, "named twice"),
        ({"queues": ("a", "ü" * 128)}, "queues: a name has 255 bytes"),
        ({"queues": (), "store_codes": ("x" * 250,)}, "store_codes: a name has 255 bytes"),
        ({"urls": (Secret(f"amqp://user:hunter2@host/{'v' * 256}"),)}, "amqps://user"),
        ({"urls": ()}, "at least one URL"),
        ({"urls": (Secret("https://user:hunter2@host/"),)}, "amqps://user"),
        ({"urls": (Secret("amqp://user:hunter2@host:port/"),)}, "amqps://user"),
    ],
)
def test_mistakes_in_the_options(mistake: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        options("amqp://localhost", "a", **mistake)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("key", ["watch", "connect_timeout"])
def test_a_period_of_nothing_is_refused(key: str) -> None:
    table = {"type": "radial-amqp", "name": "x", "urls": ["amqp://localhost"], "queues": ["q"]}
    with pytest.raises(msgspec.ValidationError, match=f"above zero.*{key}"):
        msgspec.convert(table | {key: "0s"}, RadialAmqpOptions, dec_hook=parse_value)
