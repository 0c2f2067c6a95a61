"""What an answer means for the event that was posted.

Only what says "this event is wrong" is final. Whatever rather says that the operator, the network
or the receiver has a problem is tried again: nothing must be parked because a password expired.
"""

from collections.abc import Mapping
from enum import Enum, auto


class Meaning(Enum):
    """What follows from an answer."""

    DELIVERED = auto()
    LATER = auto()
    REFUSED = auto()


_MEANING: Mapping[int, tuple[Meaning, str]] = {
    # a class of answers, where the status itself is not below
    2: (Meaning.DELIVERED, ""),
    3: (Meaning.LATER, "redirects, which is not followed; put the final address in url"),
    4: (Meaning.REFUSED, ""),
    5: (Meaning.LATER, "has a problem of its own"),
    # what rather the operator has to mend than the event
    401: (Meaning.LATER, "does not accept our credentials or signature; check secret and headers"),
    403: (Meaning.LATER, "does not let us in; check secret and headers"),
    404: (Meaning.LATER, "knows no such path; check url"),
    405: (Meaning.LATER, "takes no POST there; check url"),
    407: (Meaning.LATER, "sits behind a proxy that wants credentials"),
    # what passes by itself
    408: (Meaning.LATER, "gave up waiting for the request"),
    421: (Meaning.LATER, "is not responsible for that host; check url"),
    425: (Meaning.LATER, "wants the request later"),
    429: (Meaning.LATER, "wants fewer requests"),
    # the receiver wants no more webhooks (Standard Webhooks): ask again rarely
    410: (Meaning.LATER, "says that this endpoint is gone; take the sink out, or correct url"),
}


def meaning(status: int) -> tuple[Meaning, str]:
    """What a status means for the event, and what to tell the operator."""
    return _MEANING.get(status) or _MEANING.get(status // 100) or _MEANING[5]
