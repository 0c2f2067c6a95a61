"""Handlers that look: the document of the API, sinks, quarantine, parked events.

Bodies of lists stay in the journal: together they can be large, and they may hold personal data,
which is shown only where somebody asks for the very one.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast

import msgspec

from consumer.admin.answers import (
    Download,
    ParkedEvent,
    ParkPage,
    QuarantinedPayload,
    QuarantinePage,
    Rejection,
    Sinks,
    WholeParkedEvent,
    page,
)
from consumer.admin.probes import Desk
from consumer.admin.questions import OneParked, OnePayload, ParkQuery, QuarantineQuery
from consumer.event import Event
from consumer.model import Parked, Quarantined
from consumer.repair import RepairableJournal

_EVENT_FACTS = ("id", "source", "type", "subject")


async def openapi(desk: Desk) -> dict[str, Any]:
    """This document."""
    return dict(desk.document)


async def list_sinks(desk: Desk) -> Sinks:
    """Which journal this is, how far every sink is in it, and what persons want of them."""
    positions = await desk.journal.positions()
    return Sinks(
        journal=positions.journal,
        head=positions.head,
        oldest=positions.oldest,
        sinks=positions.cursors,
    )


async def list_quarantine(desk: Desk, *, query: QuarantineQuery) -> QuarantinePage:
    """Refused payloads without their bytes, oldest first."""
    found = await desk.journal.quarantined(
        query.prefix or "", limit=query.limit + 1, after=query.after, bodies=False
    )
    payloads = [_without_body(payload) for payload in found]
    kept, further = page(payloads, query.limit, lambda payload: payload.position)
    return QuarantinePage(quarantined=kept, next=further)


async def show_quarantined(desk: Desk, *, path: OnePayload) -> QuarantinedPayload:
    """One refused payload without its bytes."""
    return _without_body(await _payload(desk, path.id, body=False))


async def quarantined_body(desk: Desk, *, path: OnePayload) -> Download:
    """The bytes of a refused payload as they came; they may hold personal data."""
    payload = await _payload(desk, path.id, body=True)
    return Download(payload.body, f"{payload.id}.bin")


async def list_parked(desk: Desk, *, query: ParkQuery) -> ParkPage:
    """Events that a sink refused for good, without the events themselves, oldest first."""
    sink = query.sink or None
    found = await desk.journal.parked(sink, limit=query.limit + 1, after=query.behind, bodies=False)
    if sink and not found and not await is_sink(desk.journal, sink):
        raise Rejection(HTTPStatus.NOT_FOUND, f"there is no sink {sink}")
    events = [ParkedEvent(**_facts(parked)) for parked in found]
    kept, further = page(events, query.limit, lambda parked: f"{parked.seq},{parked.sink}")
    return ParkPage(parked=kept, next=further)


async def show_parked(desk: Desk, *, path: OneParked) -> WholeParkedEvent:
    """One parked event with the event itself; it may hold personal data."""
    found = await desk.journal.parked(path.sink, limit=1, after=(path.seq, ""))
    if not found or found[0].seq != path.seq:
        raise Rejection(HTTPStatus.NOT_FOUND, "this sink has no such event parked")
    record = found[0].record
    # As it stands in the journal, byte for byte: it is the JSON of an event already.
    event = cast("Event", msgspec.Raw(record.body)) if record else None
    return WholeParkedEvent(**_facts(found[0]), event=event)


async def is_sink(journal: RepairableJournal, name: str) -> bool:
    """Whether the journal has a cursor of that name."""
    return any(cursor.sink == name for cursor in (await journal.positions()).cursors)


async def _payload(desk: Desk, id_: str, *, body: bool) -> Quarantined:
    found = await desk.journal.quarantined(id_, limit=1, bodies=body)
    if not found or found[0].id != id_:
        raise Rejection(HTTPStatus.NOT_FOUND, "nothing with this id is in quarantine")
    return found[0]


def _without_body(payload: Quarantined) -> QuarantinedPayload:
    names = QuarantinedPayload.__struct_fields__
    return QuarantinedPayload(**{name: getattr(payload, name) for name in names})


def _facts(parked: Parked) -> Mapping[str, Any]:
    return {
        "sink": parked.sink,
        "seq": parked.seq,
        "reason": parked.reason,
        "parked": parked.parked,
        "retrying": parked.retrying,
        **{name: getattr(parked.record, name, None) for name in _EVENT_FACTS},
    }
