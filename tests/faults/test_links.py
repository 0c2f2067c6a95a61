"""Links that are cut, torn, slowed and frozen: consuming and publishing go on by themselves.

In the long run each link suffers alone, and then both together; in the short one both together.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Collection, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from broker_stage import RESUMED, Stage, address, staged
from consumer.amqp import Dialer, LinkSettings, ReconnectSettings, Subscription
from consumer.settings import RetrySettings
from consumer.simulators.broker import PrivateBroker
from consumer.values import Secret
from extent import extent
from rabbit import rabbit
from tcp_proxy import BOTH, Lane, TcpProxy
from waiting import until

SOURCE, SINK = "source", "sink"
TROUBLED: Sequence[tuple[str, ...]] = extent(
    [(SOURCE, SINK)], long=[(SOURCE,), (SINK,), (SOURCE, SINK)]
)
pytestmark = pytest.mark.timeout(extent(300, long=1200))

PATIENCE = extent('heartbeat = 1\nconnect_timeout = "3s"', long="")
"""As configured; in the long run the defaults, with which a link is given up after 33 s."""


@pytest_asyncio.fixture
async def links(private_broker: PrivateBroker) -> AsyncIterator[dict[str, TcpProxy]]:
    async with TcpProxy(private_broker.port) as source, TcpProxy(private_broker.port) as sink:
        yield {SOURCE: source, SINK: sink}


@pytest_asyncio.fixture
async def stage(
    private_broker: PrivateBroker, links: dict[str, TcpProxy], tmp_path: Path, unique: str
) -> AsyncIterator[Stage]:
    async with staged(
        private_broker,
        tmp_path,
        unique,
        source=links[SOURCE],
        sink=links[SINK],
        options=PATIENCE,
    ) as set_up:
        yield set_up


@pytest.fixture(params=TROUBLED, ids="+".join)
def troubled(request: pytest.FixtureRequest, links: dict[str, TcpProxy]) -> Sequence[TcpProxy]:
    """The links that suffer."""
    return [links[name] for name in request.param]


async def test_a_link_is_cut(stage: Stage, troubled: Sequence[TcpProxy]) -> None:
    async with stage.load.going():
        await stage.load.more(200)
        for link in troubled:
            await link.cut()
        await asyncio.sleep(extent(2, long=90))
        for link in troubled:
            link.heal()
        await stage.resumes()
    await stage.conserves()


async def test_links_are_reset_in_the_middle_of_frames(
    stage: Stage, troubled: Sequence[TcpProxy]
) -> None:
    chance = random.Random(20160713)  # noqa: S311 - places to tear at, not secrets
    async with stage.load.going():
        for number in range(extent(2, long=20)):
            await stage.load.more(20)
            lane = list(Lane)[number % 2]
            await asyncio.gather(*(_tear(link, chance.randrange(2000), lane) for link in troubled))
        await stage.resumes()
    await stage.conserves()


async def _tear(link: TcpProxy, after: int, lane: Lane) -> None:
    """Reset a link, now or as soon as it is there, and wait until that has happened."""
    resets = link.resets
    link.reset(after, lane)
    await until(lambda: link.resets > resets, what="the link is reset")


async def test_a_link_is_slow(stage: Stage, troubled: Sequence[TcpProxy]) -> None:
    async with stage.load.going():
        await stage.load.more(200)
        for link in troubled:
            link.slow(1_000)
        await asyncio.sleep(extent(5, long=120))
        for link in troubled:
            link.heal()
        await stage.resumes()
    await stage.conserves()


@pytest.mark.parametrize("lanes", extent([BOTH], long=[BOTH, *([lane] for lane in Lane)]))
async def test_a_link_is_frozen_for_longer_than_the_heartbeats_patience(
    stage: Stage, troubled: Sequence[TcpProxy], lanes: Collection[Lane]
) -> None:
    async with stage.load.going():
        await stage.load.more(200)
        for link in troubled:
            link.freeze(lanes)
        await asyncio.sleep(extent(8, long=120))
        for link in troubled:
            link.heal()
        await stage.resumes()
    await stage.conserves()


async def test_a_frame_may_take_longer_than_the_heartbeats_patience(
    private_broker: PrivateBroker, unique: str
) -> None:
    """Nothing but part of one frame is heard for that long: any octet is a sign of life."""
    body = bytes(100_000)
    async with TcpProxy(private_broker.port) as wire, rabbit(private_broker.url) as peer:
        await peer.queue(unique)
        await peer.publish(unique, [body])
        urls = (Secret(address(private_broker, wire)),)
        link = await Dialer(LinkSettings(urls=urls, name="test", heartbeat=1)).dial()
        wire.slow(12_000, [Lane.TO_CLIENT])
        async with Subscription.subscribe(link, unique, prefetch=1) as subscription:
            [delivery] = await subscription.take(1, 1)
            await subscription.acknowledge(delivery.tag)
        await link.close()
        await peer.channel.queue_delete(unique)
    assert delivery.body == body


def test_the_longest_wait_leaves_time_to_resume() -> None:
    """However long a fault was: an attempt that hangs in it, a wait, and ten seconds to work."""
    for longest in (ReconnectSettings().max, RetrySettings().max):
        assert LinkSettings(urls=(), name="").connect_timeout + longest <= RESUMED - 10
