"""What a person may ask of a sink, and the words in which a journal refuses it.

Shared by every journal, so that each of them refuses the same things. Nothing is stored here.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from difflib import get_close_matches

from consumer.errors import Refused
from consumer.model import Replay
from consumer.repair import Range

_NAMED = 5
"""Of what is missing, an error names so many at most."""


def unknown_sink(sink: str, known: Iterable[str]) -> Refused:
    """For a sink without a cursor; names the nearest of the sinks that are `known`."""
    close = get_close_matches(sink, list(known), n=1)
    hint = f"; is it {close[0]}?" if close else ""
    return Refused(f"no sink of this name: {sink}{hint}")


def replaying_already(sink: str, running: Replay) -> Refused:
    """For a second replay of a sink: there is one at a time."""
    return Refused(
        f"sink {sink} has a replay already, of events {running.start} to {running.end}, and the"
        f" next is {running.done + 1}; let the daemon finish it, or end it with"
        f" `sinks replay {sink} --cancel`"
    )


def nothing_to_replay(sink: str, passed: int, source: str | None) -> Refused:
    """For a range without an event that the sink has passed and the journal holds."""
    whose = f" of source {source}" if source is not None else ""
    return Refused(
        f"sink {sink} has passed events up to {passed}; nothing{whose} there to send again"
    )


def not_in_quarantine(ids: Sequence[str]) -> Refused:
    """For a choice of payloads of which these are not there."""
    return Refused(f"not in quarantine: {_few(ids)}")


def not_parked(sink: str, seqs: Sequence[int]) -> Refused:
    """For a choice of events of which the sink does not have these parked."""
    return Refused(f"not parked for sink {sink}: {_few(seqs)}")


def _few(missing: Sequence[object]) -> str:
    rest = len(missing) - _NAMED
    more = f" and {rest} more" if rest > 0 else ""
    return ", ".join(map(str, missing[:_NAMED])) + more


def resolve(
    sink: str, wanted: Range, *, passed: int, oldest: int, begin: int | None, now: datetime
) -> Replay:
    """Which events `wanted` means at this moment; raises `Refused` where that can be none.

    `passed` is the sink's cursor, `oldest` the first event that is held (0: there is none). `begin`
    is where the range begins: its `start`, or the first event recorded since its moment, None where
    there is none. What the sink has before it, it gets anyway: that is no part of a replay.
    """
    end = passed if wanted.end is None else min(wanted.end, passed)
    start = max(begin or 0, oldest)
    if begin is None or oldest == 0 or start > end:
        raise nothing_to_replay(sink, passed, wanted.source)
    return Replay(start=start, end=end, done=start - 1, source=wanted.source, requested=now)
