"""Pruning the SQLite journal: small steps, each within a transaction of the writer.

What has to stay is left standing: events that are parked, and the last ones of open lines that are
watched. There may be many thousands of those at the front of the log, so a step *looks at* a number
of events, not only at those that it removes, and says where the next one goes on.
"""

import sqlite3
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from consumer.journal.statements import statements

SQL = statements("sqlite.sql")
_VACUUM_PAGES = 128
_WORTH_VACUUMING = 4  # a quarter of the file is free; with less, new events take the room

Place = tuple[int, int]
"""Where an event stands in the order of pruning: when it was recorded, and its sequence number."""

FRONT: Place = (-1, -1)


class Prune(Struct, frozen=True):
    """The arguments of one step of `Journal.prune`; `before` in microseconds.

    It looks at `step` events behind the place `after`.
    """

    before: int
    sinks: Sequence[str]
    step: int
    after: Place = FRONT


class Pruned(Struct, frozen=True):
    """What one step removed, and where it came to; `more`: another step may find more."""

    events: int
    after: Place
    more: bool


def prune(connection: sqlite3.Connection, calls: Sequence[Prune]) -> Sequence[Pruned]:
    """One step of `Journal.prune` for each call."""
    return [_prune(connection, call) for call in calls]


def _prune(connection: sqlite3.Connection, call: Prune) -> Pruned:
    page = _page(connection, call)
    seqs = [seq for _, seq, may_go in page if may_go]
    if seqs:
        found = msgspec.json.encode(seqs).decode()
        connection.execute(SQL["delete_events"], {"seqs": found})
        connection.execute(SQL["mark_pruned"], {"seq": max(seqs)})
    limits = {"before": call.before, "step": call.step}
    connection.execute(SQL["raise_floors"], limits)
    ended = connection.execute(SQL["forget_ended"], limits)
    gave_back = _give_back(connection)
    return Pruned(
        events=len(seqs),
        after=max(((recorded, seq) for recorded, seq, _ in page), default=call.after),
        more=gave_back or call.step in (len(page), ended.rowcount),
    )


def _page(connection: sqlite3.Connection, call: Prune) -> Sequence[tuple[int, int, int]]:
    """The events to look at: when recorded, sequence number, and 1 where it may go, else 0."""
    (passed,) = connection.execute(SQL["head"]).fetchone()
    if call.sinks:
        sinks = msgspec.json.encode(call.sinks).decode()
        (passed,) = connection.execute(SQL["passed"], {"sinks": sinks}).fetchone()
    recorded, seq = call.after
    limits = {"before": call.before, "passed": passed, "step": call.step}
    after = {"after_recorded": recorded, "after_seq": seq}
    (found,) = connection.execute(SQL["prunable"], limits | after).fetchone()
    return msgspec.json.decode(found, type=list[tuple[int, int, int]])


def _give_back(connection: sqlite3.Connection) -> bool:
    """Make the file smaller by a step where much of it is free; whether there was a need to."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    if free < _VACUUM_PAGES or free * _WORTH_VACUUMING < pages:
        return False
    for _ in range(_VACUUM_PAGES):  # of a larger number sqlite3 would run the first step only
        connection.execute("PRAGMA incremental_vacuum(1)")
    return True
