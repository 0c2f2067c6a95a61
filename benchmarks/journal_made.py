"""A journal of so many events, made by its own `append` and kept for the next time.

A million events are of 300,000 order lines, all of them open. A third of the lines are polled, in
scopes of 5,000, and watched; the others are Radial's. Bodies are about 1.5 kB. Two sinks have
cursors: one at the head, one a tenth behind.
"""

import asyncio
import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from msgspec.structs import replace

from consumer.event import (
    Address,
    Data,
    Dates,
    Event,
    Line,
    Order,
    Parties,
    Party,
    Quantity,
    timestamp,
)
from consumer.journal.sqlite import SqliteJournal
from consumer.journal.sqlite_file import MIGRATIONS
from consumer.model import Entry, Known, Message, System, Watch, utc_now

SINKS = ("archive", "warehouse")

_LINES_SHARE = 0.3
_POLLED_ONE_IN = 3
_SCOPE = 5_000
_BATCH = 4_000
_BEHIND_SHARE = 0.1
_MAKING = ".making"

_ADDRESS = Address(
    lines=("2045 Industrial Park Road", "Building 7, Dock 3"),
    city="King Of Prussia",
    region="PA",
    postal_code="19406",
    country="US",
)
_PERSON = Party(
    id="00000001W0001",
    first_name="Ada",
    last_name="Archer",
    email="buyer@example.com",
    phone="555-0101",
    address=_ADDRESS,
)


def made(directory: Path, events: int) -> Path:
    """The journal, made now unless one of that size and of the present schema is there."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"journal-{events}.db"
    if not _fits(path, events):
        unfinished = path.with_name(path.name + _MAKING)
        _remove(unfinished)
        asyncio.run(_make(unfinished, events))
        _remove(path)
        unfinished.rename(path)
        _remove(unfinished)
    return path


def _remove(path: Path) -> None:
    for each in (path, *(Path(f"{path}{end}") for end in ("-wal", "-shm", ".lock"))):
        each.unlink(missing_ok=True)


def _fits(path: Path, events: int) -> bool:
    if not path.exists():
        return False
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        (schema,) = connection.execute("PRAGMA user_version").fetchone()
        (head,) = connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
    return (schema, head) == (len(MIGRATIONS), events)


async def _make(path: Path, events: int) -> None:
    lines = max(1, int(events * _LINES_SHARE))
    async with SqliteJournal(path) as journal:
        await journal.enroll(dict.fromkeys(SINKS, True))
        for first in range(0, events, _BATCH):
            await journal.append(list(_entries(range(first, min(first + _BATCH, events)), lines)))
        await journal.advance(SINKS[0], events, {})
        await journal.advance(SINKS[1], int(events * (1 - _BEHIND_SHARE)), {})


def _entries(numbers: Sequence[int], lines: int) -> Iterator[Entry]:
    """What became of some messages: one of Radial's each, and a poll of each scope."""
    polled: dict[str, list[Event]] = {}
    for number in numbers:
        line = number % lines
        if line % _POLLED_ONE_IN:
            yield Entry(
                message=_message("radial-queue"), events=(event(number, line),), refusals=()
            )
        else:
            polled.setdefault(_source(line), []).append(event(number, line))
    for source, lot in polled.items():
        known = {
            one.subject: Known(hashlib.sha256(one.id.encode()).digest(), 1, "all") for one in lot
        }
        watch = Watch(source=source, view="all", lines=known)
        yield Entry(message=_message("mvet"), events=tuple(lot), refusals=(), watch=watch)


def _message(source: str) -> Message:
    system: System = "radial" if source.startswith("radial") else "mvet"
    return Message(body=b"", source=source, system=system, received=utc_now(), origin=source)


def _source(line: int) -> str:
    return f"/mvet/{line // _SCOPE:07d}" if line % _POLLED_ONE_IN == 0 else "/radial/TMS_US"


def event(number: int, line: int) -> Event:
    """The `number`th event, of a line; every number has an id of its own."""
    subject = f"{line:012d}/1"
    told = Event(
        id=hashlib.sha256(b"%d" % number).hexdigest()[:32],
        source=_source(line),
        type="backorder.opened",
        subject=subject,
        time="2026-01-05T08:00:00Z",
        partitionkey=f"{_source(line)}/{subject}",
        data=_DATA,
    )
    order = replace(_DATA.order, number=f"{line:012d}")
    return replace(told, data=replace(_DATA, order=order, quantity=_quantity(number)))


def _quantity(number: int) -> Quantity:
    return Quantity(backordered=str(1 + number % 9), ordered="12", shipped="3")


_DATA = Data(
    order=Order(
        number="0",
        date=timestamp(utc_now()),
        account="TMS_US",
        purchase_order="PO-2026-000123",
        locale="en_US",
        currency="USD",
        total="201.87",
    ),
    line=Line(
        number="1",
        item="73-12345666",
        description="Pipe clamp, galvanised, two bolts, with rubber lining",
        title="Pipe clamp",
        sku="12345666",
        upc="12345666",
        color="Brown",
        size="6-M",
        unit_price="18.80",
        amount="188.00",
    ),
    quantity=Quantity(backordered="1"),
    delay="backorder",
    dates=Dates(need_by="2026-01-20", expected_ship="2026-02-01"),
    parties=Parties(customer=_PERSON, bill_to=_PERSON),
    extra={"CustomAttributes": {"OrderTotalPointsEarned": "0"}, "isHiddenGift": "false"},
)
