"""A load that comes at an even pace, and a place where what came of it is timed.

Rules
1. Every message has a moment at which it is due, on a schedule that was made before and does not
   slip: every 10 ms those of these 10 ms. A publisher that is held up sends what is due as soon as
   it can, and its messages keep their moments: nobody's standstill is left out of the count.
2. The publisher costs little, since it shares the machine with what it loads: its frames are made
   beforehand, and it asks for no confirms. What got lost is missing at the end.
"""

import asyncio
from array import array
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import perf_counter

import pamqp.frame
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from benchmarks.numbered import place
from benchmarks.stage import Stage
from consumer.amqp import Link, Subscription

TICK = 0.01

_PERSISTENT = 2
_PREFETCH = 2000
_MOST_BYTES = 16 << 20


class Load:
    """Messages for a queue, `rate` a second. Got from `load`; `run` it once.

    `sent` counts; `late` is the most that a tick was behind its moment, in seconds.
    """

    def __init__(self, link: Link, frames: Sequence[bytes], rate: float) -> None:
        self.sent = 0
        self.late = 0.0
        self.began = 0.0
        self._link = link
        self._frames = frames
        self._each = rate * TICK
        self._stopped = False

    def tick(self, number: int) -> int:
        """In which tick the message is due that is sent as this one; 0 is the first of both."""
        return int(number / self._each)

    def due(self, number: int) -> float:
        """The moment of that tick, by `perf_counter`."""
        return self.began + self.tick(number) * TICK

    @property
    def is_over(self) -> bool:
        """Whether everything is sent."""
        return self.sent == len(self._frames)

    def stop(self) -> None:
        """Send no more."""
        self._stopped = True

    async def run(self) -> None:
        """Send all of them, or until stopped."""
        self.began = perf_counter()
        while self.sent < len(self._frames) and not self._stopped:
            behind = perf_counter() - self.due(self.sent)
            if behind < 0:
                await asyncio.sleep(-behind)
                continue
            self.late = max(self.late, behind)
            now, end = self.tick(self.sent), self.sent
            while end < len(self._frames) and self.tick(end) == now:
                end += 1
            await self._link.write(b"".join(self._frames[self.sent : end]))
            self.sent = end


@asynccontextmanager
async def load(
    stage: Stage, queue: str, bodies: Sequence[bytes], rate: float
) -> AsyncIterator[Load]:
    """A load that is ready to run, on a connection of its own."""
    async with stage.linked() as link, link.channel() as channel:
        yield Load(link, [_frames(channel.number, queue, body) for body in bodies], rate)


async def arrivals(stage: Stage, queue: str, number: int) -> Sequence[float]:
    """When the events of `numbered(number)` arrive in a queue, by `perf_counter`; returns when all
    have.

    RuntimeError where one comes twice, or one that is none of them.
    """
    moments = array("d", bytes(8 * number))
    missing = number
    async with (
        stage.linked() as link,
        Subscription.subscribe(link, queue, prefetch=_PREFETCH) as subscription,
    ):
        while missing:
            batch = await subscription.take(_PREFETCH, _MOST_BYTES)
            now = perf_counter()
            for delivery in batch:
                which = place(delivery.body)
                if which >= number or moments[which]:
                    raise RuntimeError(f"the event of message {which} came twice, or unasked for")
                moments[which] = now
            missing -= len(batch)
            await subscription.acknowledge(batch[-1].tag)
    return moments


def _frames(channel: int, queue: str, body: bytes) -> bytes:
    """A persistent message, as it goes over the wire; it fits into one frame."""
    properties = Basic.Properties(content_type="application/xml", delivery_mode=_PERSISTENT)
    frames: Sequence[pamqp.frame.FrameTypes] = (
        Basic.Publish(routing_key=queue),
        ContentHeader(body_size=len(body), properties=properties),
        ContentBody(body),
    )
    return b"".join(pamqp.frame.marshal(frame, channel) for frame in frames)
