"""What the writer of the SQLite journal does within a transaction.

Every function here takes the arguments of *all* requests of its kind that wait, and gives a result
for each: a hundred webhooks that post one event each cost as few statements as one batch of a
hundred. None of them begins or ends a transaction; that is the writer's business.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct

from consumer.event import Event
from consumer.journal import moments
from consumer.journal.lines import line_state
from consumer.journal.statements import statements
from consumer.model import Entry, Outcome

SQL = statements("sqlite.sql")
_VACUUM_PAGES = 128
_WORTH_VACUUMING = 4  # a quarter of the file is free; with less, new events take the room


# Bytes of bodies to a statement: SQLite takes no parameter of more than a thousand million.
_SLICE = 32 << 20
_WEIGHT_BYTES = 16 << 10


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


class Advance(Struct, frozen=True):
    """The arguments of one `Journal.advance`."""

    sink: str
    seq: int
    refused: Mapping[int, str]


class Prune(Struct, frozen=True):
    """The arguments of one step of `Journal.prune`; `before` in microseconds."""

    before: int
    sinks: Sequence[str]
    step: int


class Pruned(Struct, frozen=True):
    """What one step removed; `more` says that another step may find more."""

    events: int
    more: bool


def weigh(entries: Sequence[Entry]) -> int:
    """About how many rows an append changes, 16 KiB of bodies counting as a row more.

    An event is taken to be as large as the message: what is said about an order stands in each.
    """
    rows = sum(len(entry.events) + len(entry.refusals) for entry in entries)
    size = sum(
        (len(entry.events) + len(entry.refusals)) * len(entry.message.body) for entry in entries
    )
    return rows + size // _WEIGHT_BYTES


def append(
    connection: sqlite3.Connection, calls: Sequence[Sequence[Entry]]
) -> Sequence[Sequence[Outcome]]:
    """`Journal.append`: events, states of order lines and refusals of every call."""
    now = moments.now()
    entries = [entry for call in calls for entry in call]
    held = _held(connection, entries)
    new: list[tuple[str, Event]] = []
    outcomes = []
    for entry in entries:
        # Backwards and back again: of two events with one id in an entry, the first one stays.
        fresh = {event.id: event for event in reversed(entry.events) if event.id not in held}
        held.update(fresh)
        new += ((entry.message.source, event) for event in reversed(fresh.values()))
        outcomes.append(_outcome(entry, accepted=len(fresh)))
    _insert(connection, new, now)
    connection.executemany(SQL["quarantine"], _refusals(entries, now))
    queue = iter(outcomes)
    return [[next(queue) for _ in call] for call in calls]


def _held(connection: sqlite3.Connection, entries: Sequence[Entry]) -> set[str]:
    ids = msgspec.json.encode([event.id for entry in entries for event in entry.events])
    (found,) = connection.execute(SQL["known_ids"], {"ids": ids.decode()}).fetchone()
    return set(msgspec.json.decode(found, type=list[str]))


def _outcome(entry: Entry, accepted: int) -> Outcome:
    return Outcome(
        kind=entry.kind,
        accepted=accepted,
        duplicates=len(entry.events) - accepted,
        quarantined=len(entry.refusals),
        problems=tuple(problem for refusal in entry.refusals for problem in refusal.problems),
        unreadable=entry.unreadable,
    )


def _insert(connection: sqlite3.Connection, new: Sequence[tuple[str, Event]], now: int) -> None:
    rows: list[Row] = []
    bodies: list[bytes] = []
    offset = 0
    for origin, event in new:
        body = event.encode()
        if rows and offset + len(body) > _SLICE:
            _insert_slice(connection, rows, bodies, now)
            rows, bodies, offset = [], [], 0
        rows.append(_row(origin, event, offset, len(body)))
        bodies.append(body)
        offset += len(body)
    if rows:
        _insert_slice(connection, rows, bodies, now)


def _insert_slice(
    connection: sqlite3.Connection, rows: Sequence[Row], bodies: Sequence[bytes], now: int
) -> None:
    (head,) = connection.execute(SQL["head"]).fetchone()
    values = {"head": head, "recorded": now, "rows": msgspec.json.encode(rows).decode()}
    connection.execute(SQL["insert_events"], values | {"bodies": b"".join(bodies)})
    connection.execute(SQL["update_backorders"], values)


def _row(origin: str, event: Event, offset: int, length: int) -> Row:
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
    )


def _refusals(entries: Sequence[Entry], now: int) -> Iterable[Mapping[str, object]]:
    for entry in entries:
        for refusal in entry.refusals:
            yield {
                "id": refusal.id,
                "source": entry.message.source,
                "system": entry.message.system,
                "origin": entry.message.origin,
                "now": now,
                "problems": msgspec.json.encode(refusal.problems),
                "attributes": msgspec.json.encode(entry.message.attributes),
                "body": refusal.body,
            }


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
    for call in calls:
        connection.execute(SQL["advance"], {"sink": call.sink, "seq": call.seq})
        connection.executemany(
            SQL["park"],
            [
                {"sink": call.sink, "seq": seq, "reason": reason, "now": now}
                for seq, reason in call.refused.items()
            ],
        )
    return [None] * len(calls)


def prune(connection: sqlite3.Connection, calls: Sequence[Prune]) -> Sequence[Pruned]:
    """One step of `Journal.prune` for each call."""
    return [_prune(connection, call) for call in calls]


def _prune(connection: sqlite3.Connection, call: Prune) -> Pruned:
    (passed,) = connection.execute(SQL["head"]).fetchone()
    if call.sinks:
        sinks = msgspec.json.encode(call.sinks).decode()
        (passed,) = connection.execute(SQL["passed"], {"sinks": sinks}).fetchone()
    limits = {"before": call.before, "passed": passed, "step": call.step}
    (found,) = connection.execute(SQL["prunable"], limits).fetchone()
    seqs = msgspec.json.decode(found, type=list[int])
    if seqs:
        connection.execute(SQL["delete_events"], {"seqs": found})
        connection.execute(SQL["mark_pruned"], {"seq": max(seqs)})
    ended = connection.execute(SQL["forget_ended"], {"before": call.before, "step": call.step})
    gave_back = _give_back(connection)
    more = gave_back or call.step in (len(seqs), ended.rowcount)
    return Pruned(events=len(seqs), more=more)


def _give_back(connection: sqlite3.Connection) -> bool:
    """Make the file smaller by a step where much of it is free; whether there was a need to."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    if free < _VACUUM_PAGES or free * _WORTH_VACUUMING < pages:
        return False
    for _ in range(_VACUUM_PAGES):  # of a larger number sqlite3 would run the first step only
        connection.execute("PRAGMA incremental_vacuum(1)")
    return True


def probe(connection: sqlite3.Connection, calls: Sequence[None]) -> Sequence[None]:
    """`Journal.probe`: change something, so that there is something to sync."""
    connection.execute(SQL["probe"])
    return calls
