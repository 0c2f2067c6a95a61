"""What machines ask: is it alive, may it be sent work, and its numbers."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec import Struct

from consumer.admin.answers import Text
from consumer.board import PartState
from consumer.repair import RepairableJournal, Repairs

_METRICS = "; version=0.0.4; charset=utf-8"


class Readiness(Struct, frozen=True, kw_only=True):
    """Whether the daemon may be sent work, and how each part is."""

    ready: bool
    parts: Mapping[str, PartState]


class Desk(Struct, frozen=True, kw_only=True):
    """What handlers work with; the first two are asked at each request."""

    readiness: Callable[[], Awaitable[Readiness]]
    metrics: Callable[[], Awaitable[bytes]]
    journal: RepairableJournal
    repairs: Repairs
    document: Mapping[str, Any]


async def healthz(_desk: Desk) -> Text:
    """200 while the event loop turns, whatever else is wrong."""
    return Text(b"ok\n")


async def readyz(desk: Desk) -> Readiness:
    """200 where the daemon may be sent work, else 503; with the state of every part."""
    return await desk.readiness()


async def metrics(desk: Desk) -> Text:
    """Every number of the daemon as Prometheus reads it."""
    return Text(await desk.metrics(), _METRICS)
