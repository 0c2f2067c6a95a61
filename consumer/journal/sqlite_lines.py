"""What the reader of the SQLite journal asks about order lines, and about the scopes they are in.

As in `sqlite_reads`, every function takes a connection that only reads. `watched` begins and ends a
transaction of its own, so that what it tells fits together; `told` asks in parts; the others are
one statement each.
"""

import sqlite3
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from consumer.journal.moments import from_micros, maybe_from_micros
from consumer.journal.sqlite_reads import snapshot
from consumer.journal.statements import statements
from consumer.model import Backorder, Known, ScopeCount, Watched

SQL = statements("sqlite.sql")
_TOLD_LINES = 256  # of one statement: their events together stay far below SQLite's limits

# The columns of `watched`. Column by column is for 50,000 lines half the work of row by row.
_SUBJECTS = msgspec.json.Decoder(list[str])
_DIGESTS = msgspec.json.Decoder(list[bytes])
_REVISIONS = msgspec.json.Decoder(list[int])
_VIEWS = _SUBJECTS
_ENDED = msgspec.json.Decoder(list[bool], strict=False)  # SQLite says 0 and 1


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
        ended=maybe_from_micros(row["ended"]),
        seq=row["seq"],
    )


def watched(connection: sqlite3.Connection, source: str) -> Watched:
    """`Journal.watched`."""
    with snapshot(connection):
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
