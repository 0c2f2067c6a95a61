"""Catching up: an hour's messages wait, and new ones keep coming.

Rules
1. The example is a retailer whose stores report 20 back-orders a second, all of them together: an
   hour without the daemon leaves 72,000. With an effort other than the usual one it is as much
   less, or more.
2. New messages come at a tenth of capacity, on a schedule that does not slip (`pace`), from the
   moment on at which the daemon is ready. Capacity is measured before, in the same run.
3. The daemon is level when no more is under way than comes in a tenth of a second: what arrived is
   compared with what was sent, every 10 ms, by what the broker says.
4. Rate and processor time are of what arrived from the moment on at which the daemon was ready.
5. A round that does not end with as many messages at the other end as were sent, no more and no
   fewer, and none waiting, is no measurement: it ends the benchmark.
"""

import asyncio
from collections.abc import Sequence
from time import perf_counter

from msgspec import Struct
from msgspec.structs import replace

from benchmarks.daemon import Daemon, daemon
from benchmarks.measuring import median
from benchmarks.numbered import numbered
from benchmarks.pace import Load, load
from benchmarks.passage import IN, OUT, all_arrived, capacity, prepared, sink, source
from benchmarks.processes import cpu_of
from benchmarks.report import Effort, Figure
from benchmarks.stage import Stage, staged

SUITE = "catch-up"

_RATE = 20
_HOUR = 3600
_USUAL = 20_000  # messages of the usual effort, for which the hour is a whole one
_SHARE = 0.1
_LEVEL = 0.1
_POLL = 0.01
_GIVE_UP = 600.0
_MOST_ROUNDS = 3


class Caught(Struct, frozen=True):
    """What a round showed: seconds until level, messages a second meanwhile, CPU s a message."""

    seconds: float
    rate: float
    own: float


async def measure(effort: Effort) -> Sequence[Figure]:
    """Seconds until the daemon is level."""
    effort = replace(effort, rounds=min(effort.rounds, _MOST_ROUNDS))
    backlog = _RATE * _HOUR * effort.messages // _USUAL
    async with staged() as stage:
        rate = _SHARE * await capacity(stage, effort)
        rounds = [await _round(stage, effort, backlog, rate) for _ in range(effort.rounds)]
    return [
        Figure(
            suite=SUITE,
            name=f"{backlog:,} messages behind",
            unit="s",
            rounds=tuple(one.seconds for one in rounds),
            beside={
                "meanwhile, messages/s": median(one.rate for one in rounds),
                "of these new, messages/s": rate,
                "own CPU, µs/message": median(one.own for one in rounds) * 1e6,
            },
        )
    ]


async def _round(stage: Stage, effort: Effort, backlog: int, rate: float) -> Caught:
    # at this rate they last for twice the time that the capacity promises
    coming = numbered(int(2 * _SHARE / (1 - _SHARE) * backlog + rate), first=backlog)
    async with (
        prepared(stage, effort.directory) as place,
        load(stage, IN, coming, rate) as sending,
    ):
        await stage.fill(IN, numbered(backlog))
        async with daemon(place, source(stage) + sink(stage)) as running:
            sent = asyncio.create_task(sending.run())
            try:
                caught = await _level(stage, running, sending, backlog, rate)
            finally:
                sending.stop()
            await sent
            await all_arrived(stage, backlog + sending.sent)
            return caught


async def _level(stage: Stage, running: Daemon, sending: Load, backlog: int, rate: float) -> Caught:
    (before,) = await stage.waiting(OUT)
    began, own = perf_counter(), cpu_of(running.pid)
    while True:
        sent = backlog + sending.sent
        (arrived,) = await stage.waiting(OUT)
        seconds = perf_counter() - began
        if sent - arrived <= rate * _LEVEL:
            own, moved = cpu_of(running.pid) - own, arrived - before
            if not moved:
                raise RuntimeError("level before the clock began: take more messages")
            return Caught(seconds, moved / seconds, own / moved)
        if sending.is_over or seconds > _GIVE_UP:
            raise RuntimeError(f"not level after {seconds:.0f} s: {arrived} of {sent} arrived")
        await asyncio.sleep(_POLL)
