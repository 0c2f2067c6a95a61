"""What the reader of the SQLite journal asks, and how rows become values again.

Every function takes a connection that only reads. `positions`, `orders` and `watched` begin and end
a transaction of their own, so that what they tell fits together; `told` asks in parts; the others
are one statement each.
"""

import sqlite3
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from operator import attrgetter
from typing import Any

import msgspec

from consumer.errors import Refused
from consumer.journal.moments import from_micros
from consumer.journal.orders import unknown_sink
from consumer.journal.statements import statements
from consumer.model import (
    Backorder,
    Cursor,
    Known,
    Parked,
    Positions,
    Problem,
    Quarantined,
    Record,
    Replay,
    ScopeCount,
    Watched,
)
from consumer.repair import Orders

SQL = statements("sqlite.sql")
_Columns = tuple[int, int, str, str, str, str, str]
_TOLD_LINES = 256  # of one statement: their events together stay far below SQLite's limits


# The columns of `watched`. Column by column is for 50,000 lines half the work of row by row.
_SUBJECTS = msgspec.json.Decoder(list[str])
_DIGESTS = msgspec.json.Decoder(list[bytes])
_REVISIONS = msgspec.json.Decoder(list[int])
_VIEWS = _SUBJECTS
_ENDED = msgspec.json.Decoder(list[bool], strict=False)  # SQLite says 0 and 1


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
    with _snapshot(connection):
        head, oldest, quarantined, pruned = connection.execute(SQL["ends"]).fetchone()
        rows = connection.execute(SQL["cursors"], {"head": head, "pruned": pruned}).fetchall()
    return Positions(
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
        oldest_pending=_moment(oldest_pending),
        parked=parked,
        paused=_moment(paused),
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
            problems=msgspec.json.decode(problems, type=tuple[Problem, ...]),
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
    connection: sqlite3.Connection, sink: str | None, limit: int, after: tuple[int, str]
) -> Sequence[Parked]:
    """`Journal.parked`."""
    page = {"sink": sink, "limit": limit, "after_seq": after[0], "after_sink": after[1]}
    statement = SQL["parked"] if sink is None else SQL["parked_of"]
    return [_parked(*row) for row in connection.execute(statement, page).fetchall()]


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
    with _snapshot(connection):
        row = connection.execute(SQL["orders"], {"sink": sink}).fetchone()
        replay = connection.execute(SQL["replay"], {"sink": sink}).fetchone()
        if row is None:
            raise no_such_sink(connection, sink)
    paused, retrying = row
    return Orders(paused=_moment(paused), replay=replay and replay_of(*replay), retrying=retrying)


def retrying(connection: sqlite3.Connection, sink: str, limit: int) -> Sequence[Parked]:
    """`RepairableJournal.retrying`."""
    if connection.execute(SQL["cursor"], {"sink": sink}).fetchone() is None:
        raise no_such_sink(connection, sink)
    rows = connection.execute(SQL["retrying"], {"sink": sink, "limit": limit}).fetchall()
    return [_parked(*row) for row in rows]


def since(connection: sqlite3.Connection, moment: int) -> int | None:
    """The first event recorded since a moment in microseconds; None: there is none."""
    seq: int | None = connection.execute(SQL["since"], {"since": moment}).fetchone()[0]
    return seq


def no_such_sink(connection: sqlite3.Connection, sink: str) -> Refused:
    """For a sink without a cursor."""
    (names,) = connection.execute(SQL["sinks"]).fetchone()
    return unknown_sink(sink, msgspec.json.decode(names, type=list[str]))


def backorders(
    connection: sqlite3.Connection, *, origin: str | None, with_ended: bool, limit: int
) -> Sequence[Backorder]:
    """`Journal.backorders`."""
    wanted = {"origin": origin, "with_ended": with_ended, "limit": limit}
    everywhere = origin is None and not with_ended
    statement = SQL["open_backorders"] if everywhere else SQL["backorders"]
    cursor = connection.execute(statement, wanted)
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


def watched(connection: sqlite3.Connection, source: str) -> Watched:
    """`Journal.watched`."""
    with _snapshot(connection):
        columns = connection.execute(SQL["watched"], {"source": source}).fetchone()
        scope = connection.execute(SQL["scope"], {"source": source}).fetchone()
    subjects, digests, revisions, views, ended = columns
    known = map(
        Known,
        _DIGESTS.decode(digests),
        _REVISIONS.decode(revisions),
        map(sys.intern, _VIEWS.decode(views)),  # they are all the same few
        _ENDED.decode(ended),
    )
    held, floor, origin = scope or ("[]", 0, None)
    return Watched(
        lines=dict(zip(_SUBJECTS.decode(subjects), known, strict=True)),
        held=msgspec.json.decode(held, type=frozenset[str]),
        floor=floor,
        origin=origin,
    )


def told(
    connection: sqlite3.Connection, source: str, subjects: Sequence[str]
) -> Mapping[str, bytes]:
    """`Journal.told`."""
    found: dict[str, bytes] = {}
    for part in range(0, len(subjects), _TOLD_LINES):
        wanted = msgspec.json.encode(subjects[part : part + _TOLD_LINES]).decode()
        values = {"source": source, "subjects": wanted}
        sizes, bodies = connection.execute(SQL["told"], values).fetchone()
        at = 0
        for subject, size in msgspec.json.decode(sizes, type=list[tuple[str, int]]):
            found[subject] = bodies[at : at + size]
            at += size
    return found


def scopes(connection: sqlite3.Connection) -> Sequence[ScopeCount]:
    """`Journal.scopes`."""
    rows = connection.execute(SQL["scopes"]).fetchall()
    return [
        ScopeCount(source=source, origin=origin, view=view, open=count)
        for source, origin, view, count in rows
    ]


@contextmanager
def _snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.rollback()


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
