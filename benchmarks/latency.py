"""From publish to delivery: how long an event takes at 10, 50 and 90 % of what the daemon can do.

Rules
1. What it can do is measured first, in the same run: a backlog through a daemon, the median of the
   rounds. Loads are shares of that; publisher and receiver, which a backlog does without, come on
   top of it on the same machine.
2. Each load is on a daemon of its own with an empty journal: 2 s of warm-up, then 10 s that count.
3. Time runs from the moment at which a message was due on the publisher's schedule (`pace`), until
   its event is in the receiver's hands: the broker's share is in it twice.
4. A round that does not end with the event of every message, each once, and both queues empty, is
   no measurement: it ends the benchmark.
5. A round's figure is the 99th of 100 of its messages, in order of time.
"""

import asyncio
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from benchmarks.daemon import daemon
from benchmarks.measuring import median
from benchmarks.numbered import numbered
from benchmarks.pace import TICK, Load, arrivals, load
from benchmarks.passage import IN, OUT, capacity, holding, prepared, sink, source
from benchmarks.processes import cpu_of
from benchmarks.report import Effort, Figure
from benchmarks.stage import Stage, staged

SUITE = "latency"
SHARES = (0.1, 0.5, 0.9)

_WARM_UP = 2.0
_SECONDS = 10.0
_GIVE_UP = 120.0
_MOST_ROUNDS = 3
_MS = 1000.0


class Spread(Struct, frozen=True):
    """What a round showed: seconds; `rate` is that of the arrivals, in messages a second.

    `late` is the most that the publisher was behind its schedule, `own` the daemon's processor time
    for a message, its warm-up included.
    """

    p50: float
    p99: float
    worst: float
    rate: float
    late: float
    own: float


async def measure(effort: Effort) -> Sequence[Figure]:
    """The latency at each load."""
    effort = replace(effort, rounds=min(effort.rounds, _MOST_ROUNDS))
    rounds: dict[float, list[Spread]] = {share: [] for share in SHARES}
    async with staged() as stage:
        most = await capacity(stage, effort)
        for _ in range(effort.rounds):
            for share in SHARES:
                rounds[share].append(await _round(stage, effort, share * most))
    return [_figure(share, most, done) for share, done in rounds.items()]


async def _round(stage: Stage, effort: Effort, rate: float) -> Spread:
    bodies = numbered(int(rate * (_WARM_UP + _SECONDS)))
    async with (
        prepared(stage, effort.directory) as place,
        daemon(place, source(stage) + sink(stage)) as running,
        load(stage, IN, bodies, rate) as sending,
    ):
        own = cpu_of(running.pid)
        receiving = asyncio.create_task(arrivals(stage, OUT, len(bodies)))
        try:
            await sending.run()
            async with asyncio.timeout(_GIVE_UP):
                moments = await receiving
        except TimeoutError:
            raise RuntimeError(f"{_GIVE_UP:g} s after the last message not all had come") from None
        finally:
            receiving.cancel()
        await holding(stage, {IN: 0, OUT: 0})
        own = (cpu_of(running.pid) - own) / len(moments)
        return _spread(sending, moments, own)


def _spread(sending: Load, moments: Sequence[float], own: float) -> Spread:
    counted = range(_first(sending), len(moments))
    taken = sorted(moments[number] - sending.due(number) for number in counted)
    seconds = max(moments) - sending.due(counted[0])
    return Spread(
        p50=taken[len(taken) // 2],
        p99=taken[len(taken) * 99 // 100],
        worst=taken[-1],
        rate=len(taken) / seconds,
        late=sending.late,
        own=own,
    )


def _first(sending: Load) -> int:
    """The first message behind the warm-up."""
    return next(n for n in range(sending.sent) if sending.tick(n) * TICK >= _WARM_UP)


def _figure(share: float, most: float, rounds: Sequence[Spread]) -> Figure:
    return Figure(
        suite=SUITE,
        name=f"p99 at {share:.0%} of capacity",
        unit="ms",
        rounds=tuple(one.p99 * _MS for one in rounds),
        beside={
            "p50, ms": median(one.p50 for one in rounds) * _MS,
            "worst, ms": median(one.worst for one in rounds) * _MS,
            "load, messages/s": share * most,
            "achieved, messages/s": median(one.rate for one in rounds),
            "own CPU, µs/message": median(one.own for one in rounds) * 1e6,
            "publisher's worst delay, ms": median(one.late for one in rounds) * _MS,
        },
    )
