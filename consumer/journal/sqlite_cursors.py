"""How far sinks are in the SQLite journal, and what they refused: what its writer does to both.

As in `sqlite_writes`, every function but `park` takes the arguments of all requests of its kind
that wait, and gives a result for each.
"""

import sqlite3
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import Struct

from consumer.journal import moments
from consumer.journal.statements import statements

SQL = statements("sqlite.sql")


class Advance(Struct, frozen=True):
    """The arguments of one `Journal.advance`."""

    sink: str
    seq: int
    refused: Mapping[int, str]


def enroll(
    connection: sqlite3.Connection, calls: Sequence[Mapping[str, bool]]
) -> Sequence[Mapping[str, int]]:
    """`Journal.enroll`."""
    (head,) = connection.execute(SQL["head"]).fetchone()
    results = []
    for sinks in calls:
        connection.executemany(
            SQL["enroll"],
            [
                {"sink": sink, "from_oldest": from_oldest, "head": head}
                for sink, from_oldest in sinks.items()
            ],
        )
        rows = {sink: connection.execute(SQL["cursor"], {"sink": sink}) for sink in sinks}
        results.append({sink: row.fetchone()[0] for sink, row in rows.items()})
    return results


def advance(connection: sqlite3.Connection, calls: Sequence[Advance]) -> Sequence[None]:
    """`Journal.advance`."""
    now = moments.now()
    for steps in _rounds(calls):
        values = {"steps": msgspec.json.encode(steps).decode()}
        connection.execute(SQL["extend_replay"], values)
        connection.execute(SQL["advance"], values)
    for call in calls:
        park(connection, call.sink, call.refused, now)
    return [None] * len(calls)


def _rounds(calls: Sequence[Advance]) -> Sequence[Mapping[str, int]]:
    """Steps of different sinks together, those of one sink one after the other."""
    rounds: list[dict[str, int]] = []
    for call in calls:
        if not rounds or call.sink in rounds[-1]:
            rounds.append({})
        rounds[-1][call.sink] = call.seq
    return rounds


def park(
    connection: sqlite3.Connection,
    sink: str,
    refused: Mapping[int, str],
    now: int,
    statement: str = SQL["park"],
) -> None:
    """Remember what a sink refused, sequence number to reason."""
    if refused:
        rows = [
            {"sink": sink, "seq": seq, "reason": reason, "now": now}
            for seq, reason in refused.items()
        ]
        connection.executemany(statement, rows)
