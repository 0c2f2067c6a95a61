"""An examined message as what the journal shall hold of it: the two pure steps put together.

The events of one message are bounded together: a short list with much beside its events would
otherwise make a thousand times its size of them, since each event repeats what is said of all.
"""

from collections.abc import Sequence
from datetime import datetime

from consumer.errors import Refused
from consumer.event import Event
from consumer.model import Entry, Kind, Message, Problem, Refusal
from consumer.normalisation import normalise
from consumer.privacy import protect
from consumer.settings import PrivacySettings
from consumer.validation import Examination
from consumer.validation.events import document

_MOST_BYTES = 64 << 20


def entry_of(message: Message, found: Examination, privacy: PrivacySettings) -> Entry:
    """What becomes of a message in which the schemas found this."""
    if found.kind != "backorder":
        wanted = message.on_test if found.kind == "test" else message.on_other_type
        if wanted == "quarantine":
            reason = f"the root element is {found.root}, not OrderBackorder or OrderBackorderList"
            return refused_whole(message, reason, found.kind)
        return Entry(message=message, kind=found.kind)
    events, refusals = understand(found, received=message.received, traceparent=message.traceparent)
    return Entry(
        message=message,
        events=tuple(protect(event, privacy) for event in events),
        refusals=refusals,
        unreadable=found.unreadable,
    )


def refused_whole(message: Message, reason: str, kind: Kind = "backorder") -> Entry:
    """A message set aside as it came."""
    refusal = Refusal(body=message.body, problems=(Problem(reason=reason, path="/"),))
    return Entry(message=message, kind=kind, refusals=(refusal,))


def understand(
    found: Examination, *, received: datetime, traceparent: str | None = None
) -> tuple[tuple[Event, ...], tuple[Refusal, ...]]:
    """The events of everything accepted, and every refusal: those found, and of the accepted what
    cannot be told as events. `received` is aware.
    """
    events: list[Event] = []
    refusals = list(found.refusals)
    room = _MOST_BYTES
    for accepted in found.accepted:
        try:
            told = normalise(
                accepted.element,
                received=received,
                drift=accepted.drift,
                traceparent=traceparent,
                around=accepted.around,
            )
            room = _left(room, told)
        except Refused as error:
            problem = Problem(reason=error.reason, path=f"/{found.root}")
            refusals.append(Refusal(body=document(accepted.element), problems=(problem,)))
        else:
            events.extend(told)
    return tuple(events), tuple(refusals)


def _left(room: int, events: Sequence[Event]) -> int:
    """What is left of `room`, in bytes, after these events; raises Refused where they exceed it."""
    for event in events:
        room -= len(event.encode())
        if room < 0:
            raise Refused(f"this message makes more than {_MOST_BYTES >> 20} MiB of events")
    return room
