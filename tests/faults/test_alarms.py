"""The broker runs short of memory and blocks whoever publishes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from broker_stage import RESUMED, Stage, staged
from consumer.simulators.broker import PrivateBroker
from tcp_proxy import TcpProxy
from waiting import until

BLOCKED = "the broker blocks publishers: it is short of memory or disk space"
IMPATIENT = 'confirm_timeout = "1s"'


@asynccontextmanager
async def memory_alarm(broker: PrivateBroker) -> AsyncIterator[None]:
    """While this is entered the broker takes no publish from anybody."""
    try:
        await broker.ctl("set_vm_memory_high_watermark", "absolute", "1MB")
        yield
    finally:
        await broker.ctl("set_vm_memory_high_watermark", "0.4")


async def test_a_blocked_sink_delays_neither_consuming_nor_other_sinks(
    private_broker: PrivateBroker, tmp_path: Path, unique: str
) -> None:
    """The queues are filled while the source is cut off: under the alarm nobody can publish."""
    async with (
        TcpProxy(private_broker.port) as source,
        staged(private_broker, tmp_path, unique, source=source, sink_options=IMPATIENT) as stage,
    ):
        async with stage.load.going():
            await stage.load.more(100)
            await stage.resumes()
            await source.cut()
            await stage.load.more(200)
        await until(partial(stage.is_through, "downstream"))
        async with memory_alarm(private_broker):
            before = stage.passed("downstream")
            source.heal()
            facts = len(stage.load.published)
            await until(lambda: stage.in_journal() == facts, within=RESUMED)
            await until(lambda: stage.passed("archive") == facts)
            await until(partial(tells_why, stage))
            # A stop takes its leave in time, and who starts now is told the same.
            assert await stage.daemon.stop() == 0
            stage.daemon.start()
            await stage.daemon.ready()
            await until(partial(tells_why, stage))
            assert (await stage.daemon.part("sources.radial-queue"))["ok"]
            assert stage.passed("downstream") == before
        async with stage.load.going():
            await stage.load.more(100)
            await stage.resumes()
        assert (await stage.daemon.part("sinks.downstream"))["ok"]
        await stage.conserves()


async def tells_why(stage: Stage) -> bool:
    part = await stage.daemon.part("sinks.downstream")
    return not part["ok"] and BLOCKED in part["reason"]
