"""Sinks: transport only. Here is what several of them need."""

from collections.abc import Mapping, Sequence

import msgspec

from consumer.model import Record


def through(done: Sequence[Record], refused: Mapping[int, str]) -> int:
    """What an `Unavailable` may count as delivered: of `done`, those before the first refused one.

    The dispatcher moves its cursor past what is counted. A refusal that is not told yet, because
    only a `deliver` that returns can tell it, would be passed and lost.
    """
    for count, record in enumerate(done):
        if record.seq in refused:
            return count
    return len(done)


class _Traced(msgspec.Struct):
    traceparent: str | None = None


_traced = msgspec.json.Decoder(_Traced)


def traceparent(record: Record) -> str | None:
    """The trace context that came with the message an event is from; most have none."""
    # Looking for the name first spares decoding all others.
    return _traced.decode(record.body).traceparent if b'"traceparent"' in record.body else None
