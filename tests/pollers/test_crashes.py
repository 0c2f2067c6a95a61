"""Pollers that are killed: what they told before and what they tell afterwards is one stream."""

import asyncio
import json
import random
import re
import secrets
import shutil
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from consumer.journal.sqlite import SqliteJournal
from consumer.settings import PrivacySettings
from consumer.testing.sinks import first_appearances
from daemon_process import DaemonProcess, running
from folding import Fold, Saying, check_state, difference, fold_of
from poller_process import Doomed, poll_once
from poller_scenes import CinxScene, CinxSetting, MvetScene, MvetSetting
from poller_stage import Scene, standing, truth
from waiting import until

# --- at each commit ----------------------------------------------------------------------------


@pytest.fixture
async def scenes() -> AsyncIterator[tuple[MvetScene, CinxScene]]:
    """Both systems, listening."""
    mvet = MvetScene(MvetSetting(seed=3, lines=10, customers=("0002789", "0000001")))
    cinx = CinxScene(CinxSetting(seed=3, lines=8))
    async with mvet.server, cinx.server:
        yield mvet, cinx


async def check(journal: SqliteJournal, *scenes: Scene) -> Fold:
    """What the journal holds is a possible story that ends with what there is."""
    folded = await fold_of(journal)
    await check_state(journal, folded)
    there = sum((truth(scene, PrivacySettings()) for scene in scenes), Counter[Saying]())
    wrong = difference(standing(folded), there)
    assert not wrong, wrong
    return folded


async def test_a_kill_at_any_commit_neither_repeats_nor_loses_an_event(
    tmp_path: Path, scenes: tuple[MvetScene, CinxScene]
) -> None:
    mvet, cinx = scenes
    [(name, token)] = cinx.world.organisations.items()
    before, whole = tmp_path / "before.db", tmp_path / "whole.db"
    doomed = Doomed(
        journal=str(before),
        mvet=mvet.server.url,
        customers=mvet.setting.customers,
        cinx=cinx.server.url,
        organisation=name,
        token=token,
        commit=0,
        after=False,
    )
    async with SqliteJournal(before) as journal:
        await poll_once(journal, doomed.sources())
    mvet.world.step()
    cinx.world.step()
    shutil.copy(before, whole)
    async with SqliteJournal(whole) as journal:
        await poll_once(journal, doomed.sources())
        undisturbed = await check(journal, mvet, cinx)
    types = {line.event.type for line in undisturbed.lines.values()}
    assert types == {"backorder.opened", "backorder.updated", "backorder.cleared"}

    async def killed(commit: int, *, after: bool) -> bool:
        """Whether the process got as far as to be killed; whatever it left is mended."""
        path = tmp_path / f"{commit}-{after}.db"
        shutil.copy(before, path)
        status = await replace(doomed, journal=str(path), commit=commit, after=after).run()
        assert status in {0, -signal.SIGKILL}
        async with SqliteJournal(path) as journal:
            await poll_once(journal, doomed.sources())
            folded = await check(journal, mvet, cinx)
        assert folded.ids == undisturbed.ids, f"killed at commit {commit}, {after=}"
        return status != 0

    commit, alive = 1, False
    while not alive:
        ends = await asyncio.gather(killed(commit, after=False), killed(commit, after=True))
        assert ends[0] == ends[1]
        commit, alive = commit + 1, not ends[0]
    assert commit > 6, "a poll with so few commits shows little"


# --- at any moment -----------------------------------------------------------------------------

KILLS = 10  # of each of two daemons

_CONFIGURATION = """
[[sources]]
type = "mvet"
name = "mvet"
base_url = "{mvet.server.url}"
customers = {customers}
interval = "50ms"
jitter = "0s"
attempts = 1

[[sources]]
type = "cinx"
name = "cinx"
base_url = "{cinx.server.url}"
username = "me@example.com"
password = "secret"
organisation = "{organisation}"
api_token = "{token}"
page_size = 5
interval = "50ms"
jitter = "0s"
attempts = 1

[[sinks]]
type = "file"
name = "archive"
path = "events.jsonl"
"""

# All that does not silence a poller for minutes (401), and those that only take time.
_MVET_FAULTS = ("status.429", "status.500", "cut", "not_json", "reordered", "broken_row", "foreign")
_CINX_FAULTS = (
    *("status.429", "status.500", "cut", "not_json", "reordered", "broken_row", "empty"),
    *("short", "duplicate", "shift", "total", "envelope.500", "envelope.429"),
)


class Unrest:
    """Worlds that go on while they are asked, and answers that are spoilt; until `calm`."""

    def __init__(self, seed: int, *scenes: MvetScene | CinxScene) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - repeatable on purpose, no secret
        self.requests = 0
        self.scenes = scenes
        self._calm = False
        for scene, faults in zip(scenes, (_MVET_FAULTS, _CINX_FAULTS), strict=True):
            for fault in faults:
                scene.server.faults.set(fault, 0.02)
            scene.server.on_request = self._on_request

    async def _on_request(self) -> None:
        self.requests += 1
        if not self._calm and self.chance.random() < 0.1:
            for scene in self.scenes:
                scene.world.step()

    def calm(self) -> None:
        self._calm = True
        for scene in self.scenes:
            scene.server.faults.calm()


@asynccontextmanager
async def unrest(directory: Path, seed: int) -> AsyncIterator[tuple[DaemonProcess, Unrest]]:
    """A daemon that polls two restless systems, not started yet."""
    mvet = MvetScene(MvetSetting(seed=seed, lines=20, customers=("0002789", "0000001")))
    cinx = CinxScene(CinxSetting(seed=seed, lines=20, page_size=5))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(mvet.server)
        await stack.enter_async_context(cinx.server)
        [(name, token)] = cinx.world.organisations.items()
        text = _CONFIGURATION.format(
            mvet=mvet,
            customers=json.dumps(mvet.setting.customers),
            cinx=cinx,
            organisation=name,
            token=token,
        )
        yield DaemonProcess(directory, text), Unrest(seed, mvet, cinx)


async def complete_looks(daemon: DaemonProcess) -> int:
    """How many complete looks every scope has had since the daemon started."""
    text = await daemon.metrics()
    counts = {
        name: float(count)
        for name, count in re.findall(
            r'^backorder_polls_total\{outcome="complete",source="(\w+)"\} (\S+)$',
            text,
            re.MULTILINE,
        )
    }
    return int(min(counts.get("mvet", 0) / 2, counts.get("cinx", 0)))


async def killed_again_and_again(daemon: DaemonProcess, restless: Unrest) -> None:
    """Start the daemon and kill it, each time somewhere in its work."""
    for _ in range(KILLS):
        enough = restless.requests + restless.chance.randrange(1, 120)

        def well_under_way(enough: int = enough) -> bool:
            return restless.requests >= enough or daemon.ended

        daemon.start()
        await until(well_under_way)
        await asyncio.sleep(restless.chance.uniform(0, 0.02))
        assert not daemon.ended, daemon.log.read_text()
        await daemon.kill()


async def live_and_die(directory: Path) -> None:
    """Kills while everything is in unrest; what is told after them has to be what there is."""
    seed = secrets.randbelow(1_000_000)
    print(f"seed {seed}")  # noqa: T201 - shown where the test fails
    directory.mkdir()
    async with unrest(directory, seed) as (daemon, restless):
        await killed_again_and_again(daemon, restless)
        restless.calm()
        async with running(daemon):

            async def settled() -> bool:
                return await complete_looks(daemon) >= 3

            await until(settled, what="three complete looks at every scope")
            head = (await daemon.events())[-1]["seq"]
            await daemon.sinks_have_passed(head)
            assert await daemon.stop() == 0
        async with SqliteJournal(daemon.journal, readonly=True) as journal:
            await check(journal, *restless.scenes)
            told = [record.id for record in await journal.read(0, limit=1_000_000)]
    lines = (directory / "events.jsonl").read_text().splitlines()
    assert first_appearances([json.loads(line)["id"] for line in lines]) == told


async def test_kills_at_any_moment_neither_repeat_nor_lose_an_event(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as both:
        for name in ("one", "two"):
            both.create_task(live_and_die(tmp_path / name))
