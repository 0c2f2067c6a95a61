"""What the writer of the SQLite journal does within a transaction.

Every function here takes the arguments of *all* requests of its kind that wait, and gives a result
for each: a hundred webhooks that post one event each cost as few statements as one batch of a
hundred. None of them begins or ends a transaction; that is the writer's business.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

import msgspec

from consumer.event import Event
from consumer.journal import moments
from consumer.journal.sqlite_rows import New, record_of, rows_of
from consumer.journal.sqlite_tail import Appended
from consumer.journal.statements import statements
from consumer.model import Entry, Known, Outcome, Problem, Record, Watch

SQL = statements("sqlite.sql")

# Bytes of bodies to a statement: SQLite takes no parameter of more than a thousand million.
_SLICE = 32 << 20
_WEIGHT_BYTES = 16 << 10
_POLLED_EVENT = 2 << 10  # bytes; what polls tell has no message to go by
_NUL = r"\u0000"  # as JSON has it


def weigh(entries: Sequence[Entry]) -> int:
    """About how many rows an append changes, 16 KiB of bodies counting as a row more.

    An event is taken to be as large as the message: what is said about an order stands in each.
    """
    rows = size = 0
    for entry in entries:
        rows += len(entry.events) + len(entry.refusals)
        size += len(entry.events) * (len(entry.message.body) or _POLLED_EVENT)
        if entry.refusals:
            size += sum(len(refusal.body) for refusal in entry.refusals)
        if entry.watch:
            rows += len(entry.watch.lines)
    return rows + size // _WEIGHT_BYTES


def append(
    connection: sqlite3.Connection, calls: Sequence[Sequence[Entry]]
) -> Sequence[Appended[Sequence[Outcome]]]:
    """`Journal.append`: events, states of order lines and refusals of every call."""
    return _append(connection, calls, late=False)


def append_late(
    connection: sqlite3.Connection, entries: Sequence[Entry]
) -> Appended[Sequence[Outcome]]:
    """Append what should have come earlier: what was told of a line since stays its state."""
    (appended,) = _append(connection, [entries], late=True)
    return appended


def _append(
    connection: sqlite3.Connection, calls: Sequence[Sequence[Entry]], *, late: bool
) -> Sequence[Appended[Sequence[Outcome]]]:
    """`late`: states that were told up to now give way to later facts only, not to all."""
    now = moments.now()
    entries = [entry for call in calls for entry in call]
    held, head = _held(connection, entries)
    new: list[New] = []
    unsaid: dict[str, dict[str, Known]] = {}
    outcomes = []
    for entry in entries:
        fresh = _fresh(entry, held)
        new += _new(entry, fresh, unsaid)
        outcomes.append(_outcome(entry, accepted=len(fresh)))
    records = _insert(connection, new, head, now, settled=head if late else None)
    _watch(connection, entries, unsaid)
    connection.executemany(SQL["quarantine"], _refusals(entries, now))
    return list(_divided(calls, outcomes, records))


def _divided(
    calls: Sequence[Sequence[Entry]],
    outcomes: Iterable[Outcome],
    records: Sequence[Record] | None,
) -> Iterator[Appended[Sequence[Outcome]]]:
    """To each call what is its own; all of it is in the order of the calls."""
    queue, inserted = iter(outcomes), iter(records or ())
    for call in calls:
        own = [next(queue) for _ in call]
        accepted = sum(outcome.accepted for outcome in own)
        yield Appended(own, None if records is None else list(islice(inserted, accepted)))


def _fresh(entry: Entry, held: set[str]) -> Sequence[Event]:
    """The events of an entry that are not `held`, and are from now on; of one id the first."""
    fresh = []
    for event in entry.events:
        if event.id not in held:
            held.add(event.id)
            fresh.append(event)
    return fresh


def _new(
    entry: Entry, fresh: Sequence[Event], unsaid: dict[str, dict[str, Known]]
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


def _held(connection: sqlite3.Connection, entries: Sequence[Entry]) -> tuple[set[str], int]:
    """Which ids of these the journal holds, and its head."""
    ids = msgspec.json.encode([event.id for entry in entries for event in entry.events])
    found, head = connection.execute(SQL["known_ids"], {"ids": ids.decode()}).fetchone()
    return msgspec.json.decode(found, type=set[str]), head


def _outcome(entry: Entry, accepted: int) -> Outcome:
    return Outcome(
        kind=entry.kind,
        accepted=accepted,
        duplicates=len(entry.events) - accepted,
        quarantined=len(entry.refusals),
        problems=_problems(entry) if entry.refusals else (),
        unreadable=entry.unreadable,
    )


def _problems(entry: Entry) -> tuple[Problem, ...]:
    return tuple(problem for refusal in entry.refusals for problem in refusal.problems)


def _insert(
    connection: sqlite3.Connection,
    new: Sequence[New],
    head: int,
    now: int,
    *,
    settled: int | None,
) -> Sequence[Record] | None:
    """Insert events behind the head. Their records, as `sqlite_reads.read` would give them, or None
    where only that can tell: json_extract ends a text before a NUL character.

    `settled`: states told up to this event give way to later facts only; None: to all.
    """
    recorded = moments.from_micros(now)
    records = [record_of(one, seq, recorded) for seq, one in enumerate(new, head + 1)]
    exact = True
    for part in _statements(records):
        rows = msgspec.json.encode(rows_of(new[part], records[part])).decode()
        values = {"head": records[part.start].seq - 1, "recorded": now, "rows": rows}
        bodies = b"".join(record.body for record in records[part])
        connection.execute(SQL["insert_events"], values | {"bodies": bodies})
        connection.execute(SQL["update_backorders"], values | {"settled": settled})
        exact = exact and _NUL not in rows
    return records if exact else None


def _statements(records: Sequence[Record]) -> Iterator[slice]:
    """Which records are inserted by one statement."""
    start = size = 0
    for at, record in enumerate(records):
        size += len(record.body)
        if size > _SLICE and at > start:
            yield slice(start, at)
            start, size = at, len(record.body)
    if records:
        yield slice(start, len(records))


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
