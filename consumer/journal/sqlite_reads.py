"""What the reader of the SQLite journal asks, and how rows become values again.

Every function takes a connection that only reads. `positions` and `orders` begin and end a
transaction of their own, so that what they tell fits together; the others are one statement each.
What is asked of order lines stands in `sqlite_lines`.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

import msgspec

from consumer.errors import Refused
from consumer.journal.moments import from_micros, maybe_from_micros
from consumer.journal.orders import unknown_sink
from consumer.journal.statements import statements
from consumer.model import (
    Cursor,
    Parked,
    Positions,
    Problem,
    Quarantined,
    Record,
    Replay,
)
from consumer.repair import Orders

SQL = statements("sqlite.sql")
_Columns = tuple[int, int, str, str, str, str, str]
_ROWS = msgspec.json.Decoder(list[tuple[int, _Columns]])
_PROBLEMS = msgspec.json.Decoder(tuple[Problem, ...])


def read(
    connection: sqlite3.Connection, after: int, limit: int, max_bytes: int, origin: str | None
) -> Sequence[Record]:
    """`Journal.read`."""
    limits = {"after": after, "limit": limit, "max_bytes": max_bytes, "origin": origin}
    statement = SQL["read"] if origin is None else SQL["read_origin"]
    columns, bodies = connection.execute(statement, limits).fetchone()
    return sorted(_records(columns, bodies), key=lambda record: record.seq)


def _records(rows: str, bodies: bytes) -> Iterator[Record]:
    at = 0
    for size, columns in _ROWS.decode(rows):
        yield _record(columns, bodies[at : at + size])
        at += size


def _record(columns: _Columns, body: bytes) -> Record:
    seq, recorded, origin, id, source, type, subject = columns
    return Record(
        seq=seq,
        recorded=from_micros(recorded),
        origin=origin,
        id=id,
        source=source,
        type=type,
        subject=subject,
        body=body,
    )


def positions(connection: sqlite3.Connection) -> Positions:
    """`Journal.positions`."""
    with snapshot(connection):
        head, oldest, quarantined, pruned, name = connection.execute(SQL["ends"]).fetchone()
        rows = connection.execute(SQL["cursors"], {"head": head, "pruned": pruned}).fetchall()
    return Positions(
        journal=name,
        head=head,
        oldest=oldest,
        quarantined=quarantined,
        cursors=tuple(map(_cursor, rows)),
    )


def _cursor(row: Sequence[Any]) -> Cursor:
    sink, seq, pending, oldest_pending, parked, paused, *replay = row
    return Cursor(
        sink=sink,
        seq=seq,
        pending=pending,
        oldest_pending=maybe_from_micros(oldest_pending),
        parked=parked,
        paused=maybe_from_micros(paused),
        replay=None if replay[0] is None else replay_of(*replay),
    )


def replay_of(first: int, last: int, done: int, origin: str | None, requested: int) -> Replay:
    """A replay from the columns that tell it."""
    return Replay(start=first, end=last, done=done, source=origin, requested=from_micros(requested))


def quarantined(
    connection: sqlite3.Connection, prefix: str, limit: int, after: int, *, bodies: bool
) -> Sequence[Quarantined]:
    """`Journal.quarantined`."""
    page = {"prefix": prefix, "limit": limit, "after": after, "bodies": bodies}
    statement = SQL["quarantined_like"] if prefix else SQL["quarantined"]
    rows = connection.execute(statement, page).fetchall()
    found = [
        Quarantined(
            position=position,
            id=id,
            source=source,
            system=system,
            origin=origin,
            first_seen=from_micros(first_seen),
            last_seen=from_micros(last_seen),
            times=times,
            problems=_PROBLEMS.decode(problems),
            attributes=msgspec.json.decode(attributes, type=dict[str, str]),
            size=size,
            body=body,
        )
        for (
            position,
            id,
            source,
            system,
            origin,
            first_seen,
            last_seen,
            times,
            problems,
            attributes,
            size,
            body,
        ) in rows
    ]
    return sorted(found, key=attrgetter("position"))


def parked(
    connection: sqlite3.Connection,
    sink: str | None,
    limit: int,
    after: tuple[int, str],
    *,
    bodies: bool,
) -> Sequence[Parked]:
    """`Journal.parked`."""
    behind = {"after_seq": after[0], "after_sink": after[1]}
    page = {"sink": sink, "limit": limit, "bodies": bodies}
    statement = SQL["parked"] if sink is None else SQL["parked_of"]
    return [_parked(*row) for row in connection.execute(statement, page | behind).fetchall()]


def _parked(sink: str, seq: int, reason: str, moment: int, retrying: int, *event: Any) -> Parked:
    *columns, body = event
    return Parked(
        sink=sink,
        seq=seq,
        reason=reason,
        parked=from_micros(moment),
        record=None if columns[0] is None else _record((seq, *columns), body),
        retrying=bool(retrying),
    )


def orders(connection: sqlite3.Connection, sink: str) -> Orders:
    """`RepairableJournal.orders`."""
    with snapshot(connection):
        row = connection.execute(SQL["orders"], {"sink": sink}).fetchone()
        replay = connection.execute(SQL["replay"], {"sink": sink}).fetchone()
        if row is None:
            raise no_such_sink(connection, sink)
    paused, retrying = row
    return Orders(
        paused=maybe_from_micros(paused), replay=replay and replay_of(*replay), retrying=retrying
    )


def retrying(
    connection: sqlite3.Connection, sink: str, limit: int, max_bytes: int
) -> Sequence[Parked]:
    """`RepairableJournal.retrying`."""
    if connection.execute(SQL["cursor"], {"sink": sink}).fetchone() is None:
        raise no_such_sink(connection, sink)
    limits = {"sink": sink, "limit": limit, "max_bytes": max_bytes}
    rows = connection.execute(SQL["retrying"], limits).fetchall()
    return sorted((_parked(*row) for row in rows), key=attrgetter("seq"))


def since(connection: sqlite3.Connection, moment: int) -> int | None:
    """The first event recorded since a moment in microseconds; None: there is none."""
    seq: int | None = connection.execute(SQL["since"], {"since": moment}).fetchone()[0]
    return seq


def no_such_sink(connection: sqlite3.Connection, sink: str) -> Refused:
    """For a sink without a cursor."""
    (names,) = connection.execute(SQL["sinks"]).fetchone()
    return unknown_sink(sink, msgspec.json.decode(names, type=list[str]))


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Have several statements see the journal as it is at one moment."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.rollback()
