"""The other nouns of the program: what arrives, and what is kept of it.

Message   theirs: bytes that an upstream sent, with where they came from.
Entry     what became of one message; the unit that the journal commits.
Record    an event (`consumer.event`) as the journal holds it, with its sequence number.
Scope     lines that a poller sees together (one account, one organisation); `Watch` and `Watched`
          are what a poll makes known about one, and what the journal knows of it.

Values are frozen and cannot be built invalid. Moments are aware datetimes here.
"""

from consumer.model.arrivals import (
    Entry,
    Kind,
    Message,
    Outcome,
    Problem,
    Refusal,
    Unwanted,
    utc_now,
)
from consumer.model.kept import (
    Backorder,
    Cursor,
    Parked,
    Positions,
    Quarantined,
    Record,
    Replay,
)
from consumer.model.scopes import (
    MARK,
    Known,
    Scope,
    ScopeCount,
    System,
    Watch,
    Watched,
    numbered,
)

__all__ = [
    "MARK",
    "Backorder",
    "Cursor",
    "Entry",
    "Kind",
    "Known",
    "Message",
    "Outcome",
    "Parked",
    "Positions",
    "Problem",
    "Quarantined",
    "Record",
    "Refusal",
    "Replay",
    "Scope",
    "ScopeCount",
    "System",
    "Unwanted",
    "Watch",
    "Watched",
    "numbered",
    "utc_now",
]
