"""XML Schema's ways to write numbers and moments, as an event writes them.

A reader answers None where an event cannot hold what the text says (24:00:00, the year 12016, a
text that a user's own schema admits). The second value of the moments tells whether the first says
all that the text said; where it does not (no zone given, another zone than UTC, a seventh digit of
a second), the caller keeps the text as well.

Sources: XML Schema 1.0 part 2, sections 3.2.3 (decimal), 3.2.7 (dateTime), 3.2.9 (date).
"""

import re
from datetime import date, datetime

from consumer.event import Decimal, Moment, timestamp

_decimal = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?", re.ASCII).fullmatch
_plain_decimal = re.compile(r"-?\d+(\.\d+)?", re.ASCII).fullmatch
_date_time = re.compile(
    r"(\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)?", re.ASCII
).fullmatch
_date = re.compile(r"(\d{4}-\d\d-\d\d)(Z|[+-]\d\d:\d\d)?", re.ASCII).fullmatch
_UTC_ZONES = frozenset({"Z", "+00:00", "-00:00"})
_MICROSECONDS = len(".000000")


def decimal(text: str) -> Decimal | None:
    """The number without `+`, with a digit on both sides of the point; zeros stay as they are."""
    if _plain_decimal(text):
        return text
    match = _decimal(text)
    if match is None:
        return None
    sign, whole, fraction = match.groups()
    if not whole and not fraction:
        return None
    number = f"{whole or '0'}.{fraction}" if fraction else whole
    return f"-{number}" if sign == "-" else number


def moment(text: str) -> tuple[Moment | None, bool]:
    """The moment in UTC, and whether that says it all. Without a zone the text is read as UTC."""
    match = _date_time(text)
    if match is None:
        return None, False
    seconds, fraction, zone = match.groups()
    try:
        if fraction is None and zone in _UTC_ZONES:  # nearly always: nothing to be worked out
            datetime.fromisoformat(seconds)
            return f"{seconds}Z", True
        fraction = fraction or ""
        there = datetime.fromisoformat(f"{seconds}{fraction[:_MICROSECONDS]}{zone or 'Z'}")
        here = timestamp(there)
    except (ValueError, OverflowError):  # 30 February; a moment before the year 1 in UTC
        return None, False
    return here, zone in _UTC_ZONES and len(fraction) <= _MICROSECONDS


def day(text: str) -> tuple[Moment | None, bool]:
    """The date, and whether that says it all. A zone does not move it."""
    match = _date(text)
    if match is None:
        return None, False
    try:
        date.fromisoformat(match[1])
    except ValueError:  # 30 February
        return None, False
    return match[1], match[2] is None
