"""Queue to queue: ours against what people would take or write instead.

Rules
1. All messages of a round wait in a queue when a contender starts. What is timed, from when to
   when, and what makes a round no measurement stands in `passage`; such a round ends the benchmark.
2. A peer has what it has delivered; ours what is in its journal.
3. With several sinks, that which is last counts, by the broker and, for those that are no queues,
   by the journal's cursors. When it is done each queue has to hold as many messages as were sent,
   no more and no fewer.
4. When the contender has ended, each message has to be in each queue at the other end once
   (`identity`).
5. Rounds go in turn: each contender once, then each once more.
"""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import msgspec

from benchmarks import feed
from benchmarks.daemon import daemon
from benchmarks.identity import orders_of, require_each
from benchmarks.passage import (
    HEAD,
    IN,
    OUT,
    Round,
    Running,
    asking,
    figure,
    prepared,
    sink,
    source,
    timed,
    waiting,
)
from benchmarks.processes import tied
from benchmarks.report import Effort, Figure
from benchmarks.stage import Stage, staged

SUITE = "queue to queue"
OURS = "ours"
FAN_OUT = "ours, four sinks"

_TARGETS = (OUT, "bench.out-2")
_ROOT = Path(__file__).parents[1]

Contender = Callable[[Stage, Path], AbstractAsyncContextManager[Running]]


# --- contenders ----------------------------------------------------------------------------------


def peer(module: str) -> Contender:
    """One of `benchmarks.peers`."""

    @asynccontextmanager
    async def run(stage: Stage, _: Path) -> AsyncIterator[Running]:
        route = msgspec.json.encode({"url": stage.url, "source": IN, "target": OUT}).decode()
        process = subprocess.Popen(  # noqa: S603, ASYNC220 - of this project, at once
            tied([sys.executable, "-m", f"benchmarks.peers.{module}", route]),
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
        )
        count = waiting(stage)

        async def arrived() -> int:
            if process.poll() is not None:
                raise RuntimeError(f"{module} ended by itself")
            return await count()

        try:
            yield Running(process.pid, arrived, arrived)
        finally:
            process.kill()
            process.wait()

    return run


@asynccontextmanager
async def ours(stage: Stage, directory: Path) -> AsyncIterator[Running]:
    """The daemon: validation, journal, one sink."""
    async with daemon(directory, source(stage) + sink(stage)) as running:
        with asking(running.journal) as ask:
            yield Running(running.pid, ask(HEAD, 0), waiting(stage))


@asynccontextmanager
async def ours_fanned_out(stage: Stage, directory: Path) -> AsyncIterator[Running]:
    """The daemon with four sinks: a file, standard output to nowhere, two queues."""
    sinks = "".join(sink(stage, queue=name) for name in _TARGETS)
    sinks += f"""
[[sinks]]
type = "file"
name = "file"
path = "{directory / "events.jsonl"}"
[[sinks]]
type = "stdout"
name = "stdout"
"""
    async with daemon(directory, source(stage) + sinks) as running:
        with asking(running.journal) as ask:
            passed = ask("SELECT min(seq) FROM cursors WHERE sink IN ('file', 'stdout')")

            async def arrived() -> int:
                return min(await passed(), *await stage.waiting(*_TARGETS))

            yield Running(running.pid, ask(HEAD, 0), arrived, _TARGETS)


CONTENDERS: Mapping[str, Contender] = {
    "aio-pika": peer("aio_pika_loop"),
    "FastStream": peer("faststream_app"),
    "aiormq, batched": peer("aiormq_batched"),
    "mq-bridge, passing": peer("mq_bridge_passing"),
    "mq-bridge, handler": peer("mq_bridge_route"),
    OURS: ours,
    FAN_OUT: ours_fanned_out,
}


# --- rounds --------------------------------------------------------------------------------------


async def measure(
    effort: Effort, contenders: Mapping[str, Contender] = CONTENDERS
) -> Sequence[Figure]:
    """Messages a second of each contender."""
    rounds: dict[str, list[Round]] = {name: [] for name in contenders}
    bodies = list(feed.messages(effort.messages))
    async with staged() as stage:
        for _ in range(effort.rounds):
            for name, contender in contenders.items():
                rounds[name].append(await _round(stage, contender, bodies, effort.directory))
    return [figure(SUITE, name, done) for name, done in rounds.items()]


async def _round(
    stage: Stage, contender: Contender, bodies: Sequence[bytes], directory: Path
) -> Round:
    async with prepared(stage, directory, targets=_TARGETS) as place:
        await stage.fill(IN, bodies)
        async with contender(stage, place) as running:
            done = await timed(stage, running, len(bodies))
        for queue in running.targets:
            await require_each(stage, queue, orders_of(bodies))
        return done
