"""Handlers that change something: each asks `repair.Repairs` and says what came of it.

What cannot be done as asked is 409; where that is because there is no such sink it is 404.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

from consumer.admin.answers import (
    Discarded,
    EndedReplay,
    Marked,
    Pausing,
    Rejection,
    RetriedPayloads,
)
from consumer.admin.probes import Desk
from consumer.admin.questions import Nothing, OneSink, ParkedOfSink, Payloads, ReplayRange
from consumer.admin.reading import is_sink
from consumer.errors import Refused
from consumer.model import Replay


async def pause_sink(desk: Desk, *, path: OneSink, body: Nothing) -> Pausing:  # noqa: ARG001 - nothing is in it
    """Have a sink hold still, across restarts too. Saying it twice changes nothing."""
    async with _asking_of(desk, path.sink):
        await desk.repairs.pause(path.sink)
    return Pausing(sink=path.sink, paused=True)


async def resume_sink(desk: Desk, *, path: OneSink, body: Nothing) -> Pausing:  # noqa: ARG001 - nothing is in it
    """Have a paused sink go on. Saying it twice changes nothing."""
    async with _asking_of(desk, path.sink):
        await desk.repairs.resume(path.sink)
    return Pausing(sink=path.sink, paused=False)


async def replay_sink(desk: Desk, *, path: OneSink, body: ReplayRange) -> Replay:
    """Have a sink take events again, marked as a replay, before it goes on with new ones."""
    async with _asking_of(desk, path.sink):
        return await desk.repairs.replay(path.sink, body.wanted)


async def end_replay(desk: Desk, *, path: OneSink) -> EndedReplay:
    """End a sink's replay where it is."""
    async with _asking_of(desk, path.sink):
        return EndedReplay(ended=await desk.repairs.end_replay(path.sink))


async def retry_quarantined(desk: Desk, *, body: Payloads) -> RetriedPayloads:
    """Try payloads again with the schemas and the code of now; an id that stands twice counts
    once.
    """
    results = await desk.repairs.retry_quarantined(tuple(dict.fromkeys(body.ids)))
    return RetriedPayloads(results=tuple(results))


async def discard_quarantined(desk: Desk, *, body: Payloads) -> Discarded:
    """Remove payloads for good; none where one of them is not there."""
    count = await desk.repairs.discard_quarantined(tuple(dict.fromkeys(body.ids)))
    return Discarded(discarded=count)


async def retry_parked(desk: Desk, *, body: ParkedOfSink) -> Marked:
    """Have parked events of a sink offered once more."""
    async with _asking_of(desk, body.sink):
        return Marked(marked=await desk.repairs.retry_parked(body.sink, body.seqs))


async def discard_parked(desk: Desk, *, body: ParkedOfSink) -> Discarded:
    """Take parked events of a sink out for good."""
    async with _asking_of(desk, body.sink):
        return Discarded(discarded=await desk.repairs.discard_parked(body.sink, body.seqs))


@asynccontextmanager
async def _asking_of(desk: Desk, sink: str) -> AsyncIterator[None]:
    """Tell a sink that is not there from what it cannot be asked."""
    try:
        yield
    except Refused as error:
        if await is_sink(desk.journal, sink):
            raise
        raise Rejection(HTTPStatus.NOT_FOUND, f"there is no sink {sink}") from error
