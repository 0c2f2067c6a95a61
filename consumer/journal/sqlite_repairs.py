"""What a person has done to the SQLite journal, within a transaction of the writer.

As in `sqlite_writes`, every function takes the arguments of all requests of its kind that wait, and
gives a result for each. These come one by one as persons ask, so they are done one by one. What is
refused is refused before anything is changed for it: the error is that request's result, and the
others are committed as if it had not been there.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TypeVar

import msgspec
from msgspec import Struct

from consumer.errors import Refused
from consumer.journal import moments
from consumer.journal.orders import (
    not_in_quarantine,
    not_parked,
    nothing_to_replay,
    replaying_already,
    resolve,
)
from consumer.journal.retrials import retrials
from consumer.journal.sqlite_cursors import park
from consumer.journal.sqlite_reads import no_such_sink, replay_of
from consumer.journal.sqlite_tail import Appended
from consumer.journal.sqlite_writes import append_late
from consumer.journal.statements import statements
from consumer.model import Entry, Outcome, Replay
from consumer.repair import Range

SQL = statements("sqlite.sql")

C = TypeVar("C")
R = TypeVar("R")
_Verb = Callable[[sqlite3.Connection, C], R]
_ForAll = Callable[[sqlite3.Connection, Sequence[C]], Sequence[R | Refused]]


class Pause(Struct, frozen=True):
    """The arguments of one `RepairableJournal.pause`."""

    sink: str
    paused: bool


class NewReplay(Struct, frozen=True):
    """The arguments of one `RepairableJournal.replay`.

    `begin` is where the range begins, None where it does not: the reader looks for a moment, and no
    commit waits for that. What is appended meanwhile lies behind whatever it finds.
    """

    sink: str
    wanted: Range
    begin: int | None


class Choice(Struct, frozen=True):
    """Parked events of a sink; `seqs` None: all of them."""

    sink: str
    seqs: Sequence[int] | None


class Redelivered(Struct, frozen=True):
    """The arguments of one `RepairableJournal.redelivered`."""

    sink: str
    delivered: Sequence[int]
    refused: Mapping[int, str]
    replayed: Replay | None


def _one_by_one(verb: _Verb[C, R]) -> _ForAll[C, R]:
    """Do something for each of the requests that wait; refusing one leaves the others alone."""

    def result(connection: sqlite3.Connection, call: C) -> R | Refused:
        try:
            return verb(connection, call)
        except Refused as refused:
            return refused

    @wraps(verb)
    def run(connection: sqlite3.Connection, calls: Sequence[C]) -> Sequence[R | Refused]:
        return [result(connection, call) for call in calls]

    return run


# --- quarantine ------------------------------------------------------------------------------


@_one_by_one
def readmit(
    connection: sqlite3.Connection, entries: Mapping[str, Entry]
) -> Appended[Mapping[str, Outcome]]:
    """`RepairableJournal.readmit`."""
    held = _in_quarantine(connection, list(entries))
    tried = retrials({id: entry for id, entry in entries.items() if id in held})
    outcomes, records = append_late(connection, [each.rest for each in tried])
    refused = [
        {
            "whole": each.id,
            "id": refusal.id,
            "problems": msgspec.json.encode(refusal.problems),
            "body": refusal.body,
        }
        for each in tried
        for refusal in each.refusals
    ]
    connection.executemany(SQL["refuse_again"], refused)
    _leave(connection, [each.id for each in tried if not each.stays])
    whole = {each.id: each.outcome(outcome) for each, outcome in zip(tried, outcomes, strict=True)}
    return Appended(whole, records)


@_one_by_one
def discard_quarantined(connection: sqlite3.Connection, ids: Sequence[str]) -> int:
    """`RepairableJournal.discard_quarantined`."""
    held = _in_quarantine(connection, ids)
    if missing := [id for id in ids if id not in held]:
        raise not_in_quarantine(missing)
    _leave(connection, ids)
    return len(held)


def _in_quarantine(connection: sqlite3.Connection, ids: Sequence[str]) -> set[str]:
    wanted = {"ids": msgspec.json.encode(ids).decode()}
    (found,) = connection.execute(SQL["quarantined_ids"], wanted).fetchone()
    return msgspec.json.decode(found, type=set[str])


def _leave(connection: sqlite3.Connection, ids: Sequence[str]) -> None:
    connection.execute(SQL["leave_quarantine"], {"ids": msgspec.json.encode(ids).decode()})


# --- sinks -----------------------------------------------------------------------------------


@_one_by_one
def pause(connection: sqlite3.Connection, call: Pause) -> None:
    """`RepairableJournal.pause`."""
    _passed(connection, call.sink)
    if call.paused:
        connection.execute(SQL["pause"], {"sink": call.sink, "now": moments.now()})
    else:
        connection.execute(SQL["resume"], {"sink": call.sink})


@_one_by_one
def replay(connection: sqlite3.Connection, call: NewReplay) -> Replay:
    """`RepairableJournal.replay`."""
    sink, wanted = call.sink, call.wanted
    passed = _passed(connection, sink)
    if running := _replay(connection, sink):
        raise replaying_already(sink, running)
    _, oldest, *_ = connection.execute(SQL["ends"]).fetchone()
    now = moments.from_micros(moments.now())
    planned = resolve(sink, wanted, passed=passed, oldest=oldest, begin=call.begin, now=now)
    columns = _columns(sink, planned)
    held = SQL["held_between"] if planned.source is None else SQL["held_between_of"]
    if not connection.execute(held, columns).fetchone()[0]:
        raise nothing_to_replay(sink, passed, wanted.source)
    connection.execute(SQL["begin_replay"], columns)
    return planned


def _columns(sink: str, replay: Replay) -> Mapping[str, object]:
    return {
        "sink": sink,
        "first": replay.start,
        "last": replay.end,
        "done": replay.done,
        "origin": replay.source,
        "requested": moments.to_micros(replay.requested),
    }


@_one_by_one
def end_replay(connection: sqlite3.Connection, sink: str) -> Replay | None:
    """`RepairableJournal.end_replay`."""
    _passed(connection, sink)
    running = _replay(connection, sink)
    connection.execute(SQL["end_replay"], {"sink": sink})
    return running


@_one_by_one
def retry_parked(connection: sqlite3.Connection, call: Choice) -> int:
    """`RepairableJournal.retry_parked`."""
    chosen = _choose(connection, call)
    statement = SQL["retry_all_parked"] if call.seqs is None else SQL["retry_parked"]
    return connection.execute(statement, chosen).rowcount


@_one_by_one
def discard_parked(connection: sqlite3.Connection, call: Choice) -> int:
    """`RepairableJournal.discard_parked`."""
    chosen = _choose(connection, call)
    statement = SQL["unpark_all"] if call.seqs is None else SQL["unpark"]
    return connection.execute(statement, chosen).rowcount


def _choose(connection: sqlite3.Connection, call: Choice) -> Mapping[str, object]:
    """What names the events; raises `Refused` where one of them is not parked."""
    _passed(connection, call.sink)
    chosen = _chosen(call.sink, call.seqs)
    if call.seqs is not None:
        (found,) = connection.execute(SQL["parked_seqs"], chosen).fetchone()
        parked = msgspec.json.decode(found, type=set[int])
        if missing := [seq for seq in call.seqs if seq not in parked]:
            raise not_parked(call.sink, missing)
    return chosen


def _chosen(sink: str, seqs: Sequence[int] | None) -> Mapping[str, object]:
    return {"sink": sink, "seqs": msgspec.json.encode(seqs).decode()}


# --- the pump's side -------------------------------------------------------------------------


@_one_by_one
def redelivered(connection: sqlite3.Connection, call: Redelivered) -> None:
    """`RepairableJournal.redelivered`."""
    _passed(connection, call.sink)
    connection.execute(SQL["unpark"], _chosen(call.sink, call.delivered))
    if call.replayed is None:
        park(connection, call.sink, call.refused, moments.now(), SQL["park_again"])
    else:
        park(connection, call.sink, call.refused, moments.now())
        connection.execute(SQL["replayed"], _columns(call.sink, call.replayed))


def _passed(connection: sqlite3.Connection, sink: str) -> int:
    """The cursor of a sink; raises `Refused` where it has none."""
    row = connection.execute(SQL["cursor"], {"sink": sink}).fetchone()
    if row is None:
        raise no_such_sink(connection, sink)
    return int(row[0])


def _replay(connection: sqlite3.Connection, sink: str) -> Replay | None:
    row = connection.execute(SQL["replay"], {"sink": sink}).fetchone()
    return row and replay_of(*row)
