"""The real daemon and a polled upstream: sources that go, or get another name, and a stop."""

import json
from pathlib import Path
from typing import Any

from consumer.simulators.faults import Faults
from consumer.simulators.mvet import MvetServer
from consumer.simulators.mvet_world import MvetWorld
from daemon_process import DaemonProcess, running
from waiting import until

SOURCE = """
[[sources]]
type = "mvet"
name = "{name}"
base_url = "{url}"
customers = ["0002789"]
interval = "50ms"
jitter = "0s"
"""


def said(daemon: DaemonProcess, event: str) -> list[dict[str, Any]]:
    """The log lines of one name."""
    lines = [json.loads(line) for line in daemon.log.read_text().splitlines()]
    return [line for line in lines if line["event"] == event]


async def is_up(daemon: DaemonProcess, name: str) -> None:
    async def up() -> bool:
        return (await daemon.part(f"sources.{name}")).get("ok") is True

    await until(up, what=f"{name} is up")


async def test_a_source_that_is_renamed_or_removed_clears_nothing(tmp_path: Path) -> None:
    async with MvetServer(MvetWorld(1, lines=5)) as server:
        daemon = DaemonProcess(tmp_path, SOURCE.format(name="mvet", url=server.url))
        async with running(daemon):
            await is_up(daemon, "mvet")
            assert await daemon.stop() == 0
        text = daemon.config.read_text()
        daemon.config.write_text(text.replace('name = "mvet"', 'name = "wholesale"'))
        async with running(daemon):
            await is_up(daemon, "wholesale")
            assert await daemon.stop() == 0
        assert said(daemon, "lines.unwatched") == []
        daemon.config.write_text(text.partition("[[sources]]")[0])
        async with running(daemon):
            metrics = await daemon.metrics()
            [told] = said(daemon, "lines.unwatched")
    assert told["scope"] == "/mvet/0002789"
    assert told["open"] == 5
    assert f'backorder_unwatched_lines{{source="{told["source"]}"}} 5.0' in metrics
    assert {each["event"]["type"] for each in await daemon.events()} == {"backorder.opened"}
    assert len((await daemon.command("backorders", "--json")).splitlines()) == 5


async def test_a_stop_does_not_wait_for_an_upstream_that_does_not_answer(tmp_path: Path) -> None:
    async with MvetServer(MvetWorld(1, lines=5), Faults(delay=600)) as server:
        server.faults.set("slow")
        daemon = DaemonProcess(tmp_path, SOURCE.format(name="mvet", url=server.url))
        async with running(daemon):
            await until(lambda: server.requests["list"] == 1)
            assert await daemon.stop() == 0
    assert said(daemon, "bug") == []
    assert said(daemon, "daemon.stopped")


async def test_a_daemon_starts_and_waits_for_an_upstream_that_is_down(tmp_path: Path) -> None:
    async with MvetServer(MvetWorld(1, lines=5)) as server:
        pass
    daemon = DaemonProcess(tmp_path, SOURCE.format(name="mvet", url=server.url))
    async with running(daemon):

        async def down() -> bool:
            part = await daemon.part("sources.mvet")
            return "Connection refused" in str(part.get("reason"))

        await until(down)
        status, _ = await daemon.readiness()
        assert status == 200
        port = int(server.url.rpartition(":")[2])
        async with MvetServer(MvetWorld(1, lines=5), port=port):
            await is_up(daemon, "mvet")
    assert len(await daemon.events()) == 5
