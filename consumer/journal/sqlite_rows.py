"""New events as the statements of `sqlite_writes` take them, and as reading gives them back."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from msgspec import Struct

from consumer.event import Event
from consumer.journal.lines import line_state
from consumer.model import Known, Record


class Row(Struct, array_like=True, frozen=True):
    """One event as `insert_events` and `update_backorders` take it, field by field in this order.

    `offset` and `length` say in bytes where its body stands among the bodies.
    """

    id: str
    origin: str
    source: str
    type: str
    subject: str
    offset: int
    length: int
    order: str | None
    line: str | None
    item: str | None
    description: str | None
    quantity: str | None
    delay: str | None
    expected: str | None
    updated: int
    known: Known | None


class New(NamedTuple):
    """An event to insert: from which configured source, and what a poll knows of its line."""

    origin: str
    event: Event
    known: Known | None


def record_of(one: New, seq: int, recorded: datetime) -> Record:
    """What reading the event gives. It is encoded here, and nowhere else."""
    event = one.event
    return Record(
        seq=seq,
        recorded=recorded,
        origin=one.origin,
        id=event.id,
        source=event.source,
        type=event.type,
        subject=event.subject,
        body=event.encode(),
    )


def rows_of(new: Sequence[New], records: Sequence[Record]) -> Sequence[Row]:
    """Events as rows beside each other, as their bodies stand there."""
    rows = []
    offset = 0
    for one, record in zip(new, records, strict=True):
        length = len(record.body)
        rows.append(_row(one, offset, length))
        offset += length
    return rows


def _row(new: New, offset: int, length: int) -> Row:
    origin, event, known = new
    state = line_state(event)
    return Row(
        event.id,
        origin,
        event.source,
        event.type,
        event.subject,
        offset,
        length,
        state.order,
        state.line,
        state.item,
        state.description,
        state.quantity,
        state.delay,
        state.expected,
        state.updated,
        known,
    )
