"""An examined message as what the journal shall hold of it: the two pure steps put together.

The events of one message are bounded together: a short list with much beside its events would
otherwise make a thousand times its size of them, since each event repeats what is said of all.
An order of many short lines makes up to some ten times its size of events, 4 kB for each.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from consumer.errors import Refused
from consumer.event import Event
from consumer.model import Entry, Kind, Message, Problem, Refusal
from consumer.normalisation import normalise
from consumer.privacy import protect
from consumer.settings import PrivacySettings
from consumer.validation import Examination, Schemas
from consumer.validation.events import document

_ALWAYS = 8 << 20  # bytes of events from any message: 999 lines, the most of an order, of 8 kB
_TIMES = 32  # as large as the message, as long as that makes no more than
_MUCH = 64 << 20  # bytes of events; beyond that
_TIMES_OF_MUCH = 4  # as large as the message: a large list of short orders makes twice its size
# Hardly an event is more times as large as its message (61.8 is the most that was measured):
# `<p:a/>` becomes a name of 250 characters and more
_LARGEST = 60


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


def entry_within(
    message: Message,
    schemas: Schemas,
    *,
    privacy: PrivacySettings,
    most: int,
    on_bug: Callable[[Exception], None],
) -> Entry:
    """What becomes of a message of at most so many bytes; never raises, and runs on any thread.

    A larger one is refused unread. `on_bug` is told of what our own code stumbles over; the message
    is refused then, so that it does not come round again and again.
    """
    if len(message.body) > most:
        return refused_whole(message, f"larger than {most} bytes")
    try:
        return entry_of(message, schemas.examine(message.body), privacy)
    except Exception as error:  # noqa: BLE001 - see above
        on_bug(error)
        return refused_whole(message, stumbled(error))


def stumbled(error: Exception) -> str:
    """A reason that quotes nothing: the error's text may hold what a person wrote."""
    return f"this program failed on it ({type(error).__name__})"


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
    most = room = _most(found.size)
    for accepted in found.accepted:
        try:
            told = normalise(
                accepted.element,
                received=received,
                drift=accepted.drift,
                traceparent=traceparent,
                around=accepted.around,
                most_bytes=room,
            )
            if len(found.accepted) > 1 or _LARGEST * len(told) * found.size > room:
                room = _left(room, told, most)
        except Refused as error:
            problem = Problem(reason=error.reason, path=f"/{found.root}")
            refusals.append(Refusal(body=document(accepted.element), problems=(problem,)))
        else:
            events.extend(told)
    return tuple(events), tuple(refusals)


def _most(size: int) -> int:
    """How many bytes the events of a message of this size may be together."""
    return max(_ALWAYS, min(_TIMES * size, max(_MUCH, _TIMES_OF_MUCH * size)))


def _left(room: int, events: Sequence[Event], most: int) -> int:
    """What is left of `room`, in bytes, after these events; raises Refused where they exceed it."""
    for event in events:
        room -= len(event.encode())
        if room < 0:
            raise Refused(f"this message makes more than {most >> 20} MiB of events")
    return room
