"""Small builders of the program's values, for tests: valid, distinct, all made up.

Each takes the fields that matter to a test by keyword and fills in the others.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from consumer.event import Data, Event, Line, Order, Quantity, timestamp
from consumer.model import Entry, Message, Problem, Record, Refusal

MOMENT = datetime(2016, 7, 13, 13, 47, 54, tzinfo=UTC)


def message(**overrides: Any) -> Message:
    """A message as Radial's queue would deliver it; `overrides` are fields of `Message`."""
    fields: dict[str, Any] = {
        "body": b"<OrderBackorder/>",
        "source": "radial-queue",
        "system": "radial",
        "received": MOMENT,
        "origin": "q.Order.BackOrder.TMS_US.2-0",
    }
    return Message(**(fields | overrides))


def data(n: int = 1, **overrides: Any) -> Data:
    """What happened to line 1 of order `n`; `overrides` are fields of `Data`."""
    fields: dict[str, Any] = {
        "order": Order(number=f"{n:012d}", account="TMS_US", currency="USD"),
        "line": Line(number="1", item=f"73-{n:08d}", description="Product Description"),
        "quantity": Quantity(backordered="1"),
        "delay": "backorder",
    }
    return Data(**(fields | overrides))


def event(n: int = 1, **overrides: Any) -> Event:
    """An event about line 1 of order `n`; the same `n` and overrides give the same event.

    `overrides` are fields of `Event`; the id follows from the others unless it is given.
    """
    fields: dict[str, Any] = {
        "source": "/radial/TMS_US",
        "type": "backorder.opened",
        "subject": f"{n:012d}/1",
        "time": timestamp(MOMENT),
        "data": data(n),
    }
    own_id = overrides.pop("id", None)
    built = Event.of(**(fields | overrides))
    return msgspec.structs.replace(built, id=own_id) if own_id else built


def refusal(body: bytes = b"<nonsense", *reasons: str) -> Refusal:
    """A refused payload with a problem for each reason."""
    problems = tuple(Problem(reason=reason, line=1) for reason in reasons or ("not XML",))
    return Refusal(body=body, problems=problems)


def entry(*events: Event, refusals: Sequence[Refusal] = (), **overrides: Any) -> Entry:
    """What became of one message; `overrides` are fields of `Entry`, such as `message`."""
    fields: dict[str, Any] = {
        "message": message(),
        "events": events,
        "refusals": tuple(refusals),
    }
    return Entry(**(fields | overrides))


def record(seq: int, event: Event | None = None, *, origin: str = "radial-queue") -> Record:
    """An event as the journal holds it; without one, the event about order `seq`."""
    event = event or _event(seq)
    return Record(
        seq=seq,
        recorded=MOMENT,
        origin=origin,
        id=event.id,
        source=event.source,
        type=event.type,
        subject=event.subject,
        body=event.encode(),
    )


_event = event  # `record` has an argument of that name
