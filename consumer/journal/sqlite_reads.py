"""What the reader of the SQLite journal asks, and how rows become values again.

Every function takes a connection that only reads. `positions` begins and ends a transaction of its
own, so that its numbers fit together; the others are one statement each.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from consumer.journal.moments import from_micros
from consumer.journal.statements import statements
from consumer.model import Backorder, Cursor, Parked, Positions, Problem, Quarantined, Record

SQL = statements("sqlite.sql")
_Columns = tuple[int, int, str, str, str, str, str]


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
    for size, columns in msgspec.json.decode(rows, type=list[tuple[int, _Columns]]):
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
    connection.execute("BEGIN")
    try:
        head, oldest, quarantined, pruned = connection.execute(SQL["ends"]).fetchone()
        rows = connection.execute(SQL["cursors"], {"head": head, "pruned": pruned}).fetchall()
    finally:
        connection.rollback()
    return Positions(
        head=head,
        oldest=oldest,
        quarantined=quarantined,
        cursors=tuple(
            Cursor(
                sink=sink,
                seq=seq,
                pending=pending,
                oldest_pending=_moment(recorded),
                parked=parked,
            )
            for sink, seq, pending, recorded, parked in rows
        ),
    )


def quarantined(connection: sqlite3.Connection, prefix: str, limit: int) -> Sequence[Quarantined]:
    """`Journal.quarantined`."""
    rows = connection.execute(SQL["quarantined"], {"prefix": prefix, "limit": limit}).fetchall()
    return [
        Quarantined(
            id=id,
            source=source,
            system=system,
            origin=origin,
            first_seen=from_micros(first_seen),
            last_seen=from_micros(last_seen),
            times=times,
            problems=msgspec.json.decode(problems, type=tuple[Problem, ...]),
            attributes=msgspec.json.decode(attributes, type=dict[str, str]),
            body=body,
        )
        for (
            id,
            source,
            system,
            origin,
            first_seen,
            last_seen,
            times,
            problems,
            attributes,
            body,
        ) in rows
    ]


def parked(connection: sqlite3.Connection, sink: str | None, limit: int) -> Sequence[Parked]:
    """`Journal.parked`."""
    rows = connection.execute(SQL["parked"], {"sink": sink, "limit": limit}).fetchall()
    return [
        Parked(
            sink=name,
            seq=seq,
            reason=reason,
            parked=from_micros(moment),
            record=None if event[0] is None else _record((seq, *event), body),
        )
        for name, seq, reason, moment, *event, body in rows
    ]


def backorders(
    connection: sqlite3.Connection, *, origin: str | None, with_ended: bool, limit: int
) -> Sequence[Backorder]:
    """`Journal.backorders`."""
    wanted = {"origin": origin, "with_ended": with_ended, "limit": limit}
    cursor = connection.execute(SQL["backorders"], wanted)
    names = [column[0] for column in cursor.description]
    return [_backorder(dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def _backorder(row: Mapping[str, Any]) -> Backorder:
    return Backorder(
        source=row["source"],
        subject=row["subject"],
        origin=row["origin"],
        type=row["type"],
        order=row["order_number"],
        line=row["line"],
        item=row["item"],
        description=row["description"],
        quantity=row["quantity"],
        delay=row["delay"],
        expected=row["expected"],
        since=from_micros(row["since"]),
        updated=from_micros(row["updated"]),
        ended=_moment(row["ended"]),
        seq=row["seq"],
    )


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
