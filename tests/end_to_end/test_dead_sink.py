"""One sink is dead for the whole run: the others do not notice, and it catches up in order."""

import json
from pathlib import Path

from consumer.simulators.broker_home import free_port
from daemon_process import DaemonProcess, running
from load import Publisher
from receiver import Receiver
from waiting import until

MESSAGES = 2_000


def passed(listed: str) -> dict[str, int]:
    cursors = [json.loads(line) for line in listed.splitlines()]
    return {cursor["sink"]: cursor["seq"] for cursor in cursors}


async def test_a_dead_sink_delays_only_itself(tmp_path: Path, amqp_url: str, unique: str) -> None:
    receiver = Receiver(free_port())
    daemon = DaemonProcess(
        tmp_path,
        f"""
[[sources]]
type = "radial-amqp"
name = "radial-queue"
urls = ["{amqp_url}"]
store_codes = ["{unique}"]

[[sinks]]
type = "http"
name = "dead"
url = "{receiver.url}"
retry = {{ initial = "50ms", max = "200ms" }}

[[sinks]]
type = "file"
name = "archive"
path = "events.jsonl"

[[sinks]]
type = "file"
name = "second"
path = "second.jsonl"
""",
    )
    async with Publisher(amqp_url, [unique]) as radial, running(daemon):
        await radial.publish((unique, str(n)) for n in range(MESSAGES))

        async def others_are_through() -> bool:
            where = passed(await daemon.command("sinks", "list", "--json"))
            return where["archive"] == where["second"] == MESSAGES

        await until(others_are_through, within=60)
        assert passed(await daemon.command("sinks", "list", "--json"))["dead"] == 0
        status, readiness = await daemon.readiness()
        assert status == 200
        assert "127.0.0.1" in readiness["parts"]["sinks.dead"]["reason"]
        assert readiness["parts"]["sinks.archive"]["ok"]
        metrics = await daemon.metrics()
        assert f'backorder_sink_lag_events{{sink="dead"}} {MESSAGES}.0' in metrics
        assert 'backorder_sink_lag_events{sink="archive"} 0.0' in metrics

        async with receiver:
            await daemon.sinks_have_passed(MESSAGES)
        assert await daemon.stop() == 0

    archived = (tmp_path / "events.jsonl").read_text().splitlines()
    assert (tmp_path / "second.jsonl").read_text().splitlines() == archived
    # Nothing was in flight at a crash, so it is not only complete and in order but without repeats.
    assert receiver.ids == [json.loads(line)["id"] for line in archived]
    assert len(receiver.ids) == MESSAGES
