"""What the writer of the SQLite journal does within a transaction.

Every function here takes the arguments of *all* requests of its kind that wait, and gives a result
for each: a hundred webhooks that post one event each cost as few statements as one batch of a
hundred. None of them begins or ends a transaction; that is the writer's business.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from msgspec import Struct

from consumer.event import Event
from consumer.journal import moments
from consumer.journal.lines import line_state
from consumer.journal.statements import statements
from consumer.model import Entry, Known, Outcome, Watch

SQL = statements("sqlite.sql")

# Bytes of bodies to a statement: SQLite takes no parameter of more than a thousand million.
_SLICE = 32 << 20
_WEIGHT_BYTES = 16 << 10
_POLLED_EVENT = 2 << 10  # bytes; what polls tell has no message to go by


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


def weigh(entries: Sequence[Entry]) -> int:
    """About how many rows an append changes, 16 KiB of bodies counting as a row more.

    An event is taken to be as large as the message: what is said about an order stands in each.
    """
    rows = sum(len(entry.events) + len(entry.refusals) for entry in entries)
    known = sum(len(entry.watch.lines) for entry in entries if entry.watch)
    size = sum(
        len(entry.events) * (len(entry.message.body) or _POLLED_EVENT)
        + sum(len(refusal.body) for refusal in entry.refusals)
        for entry in entries
    )
    return rows + known + size // _WEIGHT_BYTES


def append(
    connection: sqlite3.Connection, calls: Sequence[Sequence[Entry]]
) -> Sequence[Sequence[Outcome]]:
    """`Journal.append`: events, states of order lines and refusals of every call."""
    return _append(connection, calls, None)


def append_late(connection: sqlite3.Connection, entries: Sequence[Entry]) -> Sequence[Outcome]:
    """Append what should have come earlier: what was told of a line since stays its state."""
    (head,) = connection.execute(SQL["head"]).fetchone()
    (outcomes,) = _append(connection, [entries], head)
    return outcomes


def _append(
    connection: sqlite3.Connection, calls: Sequence[Sequence[Entry]], settled: int | None
) -> Sequence[Sequence[Outcome]]:
    """`settled`: states told up to this event give way to later facts only; None: to all."""
    now = moments.now()
    entries = [entry for call in calls for entry in call]
    held = _held(connection, entries)
    new: list[New] = []
    unsaid: dict[str, dict[str, Known]] = {}
    outcomes = []
    for entry in entries:
        # Backwards and back again: of two events with one id in an entry, the first one stays.
        fresh = {event.id: event for event in reversed(entry.events) if event.id not in held}
        held.update(fresh)
        new += _new(entry, reversed(fresh.values()), unsaid)
        outcomes.append(_outcome(entry, accepted=len(fresh)))
    _insert(connection, new, now, settled)
    _watch(connection, entries, unsaid)
    connection.executemany(SQL["quarantine"], _refusals(entries, now))
    queue = iter(outcomes)
    return [[next(queue) for _ in call] for call in calls]


def _new(
    entry: Entry, fresh: Iterable[Event], unsaid: dict[str, dict[str, Known]]
) -> Sequence[New]:
    """The events of an entry with what its poll knows of their lines.

    `unsaid`, by scope, takes what polls know of lines without a new event; the last one counts.
    """
    origin, watch = entry.message.source, entry.watch
    if watch is None:
        return [New(origin, event, None) for event in fresh]
    rest = dict(watch.lines)
    earlier = unsaid.setdefault(watch.source, {})
    new = []
    for event in fresh:
        known = watch.lines.get(event.subject) if event.source == watch.source else None
        if known is not None:
            rest.pop(event.subject, None)
            earlier.pop(event.subject, None)
        new.append(New(origin, event, known))
    earlier.update(rest)
    return new


def _watch(
    connection: sqlite3.Connection,
    entries: Sequence[Entry],
    unsaid: Mapping[str, Mapping[str, Known]],
) -> None:
    for source, lines in unsaid.items():
        if lines:
            encoded = msgspec.json.encode(lines).decode()
            connection.execute(SQL["watch_lines"], {"source": source, "lines": encoded})
    watches = [(entry.message.source, entry.watch) for entry in entries if entry.watch]
    _rename(connection, {watch.source: origin for origin, watch in watches})
    connection.executemany(SQL["watch_scope"], (_scope(*watch) for watch in watches))


def _rename(connection: sqlite3.Connection, origins: Mapping[str, str]) -> None:
    """Give the lines of scopes, by source, to the configured sources that poll them now."""
    for source, origin in origins.items():
        scope = connection.execute(SQL["scope"], {"source": source}).fetchone()
        if scope is not None and scope[2] != origin:
            connection.execute(SQL["rename_lines"], {"source": source, "origin": origin})


def _scope(origin: str, watch: Watch) -> Mapping[str, object]:
    held = None if watch.held is None else msgspec.json.encode(sorted(watch.held)).decode()
    return {"source": watch.source, "origin": origin, "held": held}


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


def _insert(
    connection: sqlite3.Connection, new: Sequence[New], now: int, settled: int | None
) -> None:
    rows: list[Row] = []
    bodies: list[bytes] = []
    offset = 0
    for one in new:
        body = one.event.encode()
        if rows and offset + len(body) > _SLICE:
            _insert_slice(connection, rows, bodies, now, settled)
            rows, bodies, offset = [], [], 0
        rows.append(_row(one, offset, len(body)))
        bodies.append(body)
        offset += len(body)
    if rows:
        _insert_slice(connection, rows, bodies, now, settled)


def _insert_slice(
    connection: sqlite3.Connection,
    rows: Sequence[Row],
    bodies: Sequence[bytes],
    now: int,
    settled: int | None,
) -> None:
    (head,) = connection.execute(SQL["head"]).fetchone()
    values = {"head": head, "recorded": now, "rows": msgspec.json.encode(rows).decode()}
    connection.execute(SQL["insert_events"], values | {"bodies": b"".join(bodies)})
    connection.execute(SQL["update_backorders"], values | {"settled": settled})


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


def probe(connection: sqlite3.Connection, calls: Sequence[None]) -> Sequence[None]:
    """`Journal.probe`: change something, so that there is something to sync."""
    connection.execute(SQL["probe"])
    return calls
