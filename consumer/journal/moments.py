"""Moments as databases keep them: whole microseconds since 1970-01-01 UTC."""

import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def now() -> int:
    """The present moment."""
    return time.time_ns() // 1000


def to_micros(moment: datetime) -> int:
    """From an aware datetime, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """To an aware datetime, exactly."""
    return _EPOCH + timedelta(microseconds=micros)


def maybe_from_micros(micros: int | None) -> datetime | None:
    """The same for what may be missing."""
    return None if micros is None else from_micros(micros)


def parse_moment(moment: str) -> datetime:
    """An event's moment, a date or a UTC timestamp; a date begins at midnight UTC."""
    parsed = datetime.fromisoformat(moment)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
