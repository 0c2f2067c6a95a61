"""The wall clock jumps, forward and back: nothing is removed too early, and everything goes on."""

import contextlib
import json
import sqlite3
from collections import Counter
from datetime import timedelta
from functools import partial
from pathlib import Path
from time import monotonic

import msgspec

import clock_jump
from clock_jump import Clock
from consumer.event import Event
from consumer.settings import PrivacySettings
from consumer.simulators.broker_home import free_port
from consumer.testing.sinks import first_appearances
from daemon_process import DaemonProcess, running
from folding import Fold, difference
from load import Load, Publisher, fact
from poller_scenes import MvetScene, MvetSetting
from poller_stage import standing, truth
from receiver import Receiver
from waiting import until

INTERVAL = 0.1
FORWARD, BACK = timedelta(days=60), timedelta(days=-62)


def configuration(url: str, store: str, receiver: Receiver, mvet: MvetScene) -> str:
    return f"""
[[sources]]
type = "radial-amqp"
name = "radial-queue"
urls = ["{url}"]
store_codes = ["{store}"]

[[sources]]
type = "radial-webhook"
name = "radial-webhook"

[[sources]]
type = "mvet"
name = "mvet"
base_url = "{mvet.server.url}"
customers = {json.dumps(mvet.setting.customers)}
interval = "{INTERVAL}s"
jitter = "0s"

[[sinks]]
type = "file"
name = "archive"
path = "events.jsonl"

[[sinks]]
type = "http"
name = "warehouse"
url = "{receiver.url}"
concurrency = 1
retry = {{ initial = "50ms", max = "200ms" }}
"""


async def test_jumps_of_the_clock_under_load_remove_nothing_unpassed_and_stop_nothing(
    tmp_path: Path, amqp_url: str, unique: str
) -> None:
    mvet = MvetScene(MvetSetting(seed=7, lines=20))
    clock = Clock(tmp_path / "clock")
    receiver = Receiver(free_port())
    async with mvet.server, Publisher(amqp_url, [unique]) as radial:
        daemon = DaemonProcess(
            tmp_path,
            configuration(amqp_url, unique, receiver, mvet),
            journal='retention = "1d"',
            program=(clock_jump.__file__, str(clock.file)),
        )
        hook = f"{daemon.public}/webhooks/radial/order-backorder"
        began, before = monotonic(), mvet.server.requests["list"]
        async with running(daemon):
            load = Load(radial, hook, [unique], pause=0.5)
            async with load.going():
                async with receiver:
                    await until(lambda: len(receiver.ids) > 50)
                await until(lambda: Stand(daemon).behind > 50)
                await clock.jump(FORWARD)
                await until(lambda: Stand(daemon).removed > 0, what="what both passed is removed")
                Stand(daemon).check()
                await rounds_go_on(mvet)
                await clock.jump(BACK)
                await rounds_go_on(mvet)
                answered = len(load.answered)
                await until(lambda: len(load.answered) > answered + 20)
                Stand(daemon).check()
            rounds, seconds = mvet.server.requests["list"] - before, monotonic() - began
            assert rounds <= seconds / INTERVAL + 4, "asked more often than configured"
            async with receiver:
                await until(partial(polled_lines_are_told, tmp_path / "events.jsonl", mvet))
                await daemon.sinks_have_passed(Stand(daemon).head)
            assert await daemon.stop() == 0
            assert await radial.unsettled() == 0
    check_told(tmp_path / "events.jsonl", load, mvet, receiver)
    assert '"bug"' not in daemon.log.read_text()


class Stand:
    """Where the journal stands, read beside the running daemon; `unpassed` is counted."""

    def __init__(self, daemon: DaemonProcess) -> None:
        address = f"file:{daemon.journal}?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True)) as journal:
            self.held, self.head, self.passed, self.unpassed = journal.execute(
                "WITH passed AS (SELECT min(seq) AS seq FROM cursors)"
                " SELECT count(*), coalesce(max(events.seq), 0), passed.seq,"
                " coalesce(sum(events.seq > passed.seq), 0) FROM events, passed"
            ).fetchone()

    @property
    def behind(self) -> int:
        return int(self.head - self.passed)

    @property
    def removed(self) -> int:
        return int(self.head - self.held)

    def check(self) -> None:
        assert self.unpassed == self.behind, "an event is gone that a sink had not passed"


async def rounds_go_on(mvet: MvetScene) -> None:
    before = mvet.server.requests["list"]
    mvet.world.step()
    await until(lambda: mvet.server.requests["list"] > before + 5, what="polling goes on")


async def polled_lines_are_told(archive: Path, mvet: MvetScene) -> bool:
    return standing(polled(archive)) == truth(mvet, PrivacySettings())


def polled(archive: Path) -> Fold:
    folded = Fold()
    for line in archive.read_bytes().splitlines():
        event = msgspec.json.decode(line, type=Event)
        if event.source.startswith("/mvet/"):
            folded.add(event)
    return folded


def check_told(archive: Path, load: Load, mvet: MvetScene, receiver: Receiver) -> None:
    """Both sinks have everything, once, in the same order."""
    events = [json.loads(line) for line in archive.read_text().splitlines()]
    facts = Counter(fact(event) for event in events if event["source"].startswith("/radial/"))
    assert facts == Counter(load.expected)
    wrong = difference(standing(polled(archive)), truth(mvet, PrivacySettings()))
    assert not wrong, wrong
    assert first_appearances(receiver.ids) == [event["id"] for event in events]
