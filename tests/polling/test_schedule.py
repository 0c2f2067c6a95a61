"""When rounds begin."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.polling import PollOptions, Schedule
from consumer.values import Duration, PositiveDuration, parse_value

NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)  # a Monday


def schedule(**options: Any) -> Schedule:
    return Schedule(PollOptions(type="mvet", name="mvet", **options))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("passed", "expected"),
    [
        (0, 300),
        (1, 300),
        (299.9, 300),
        (300, 300),
        (300.1, 600),
        (1000, 1200),
        (86400 * 3, 86400 * 3),
        (-5, 295),  # set back by five seconds
        (-86400, 300 - 86400),  # set back by a day: not a day without rounds
    ],
)
def test_an_interval_counts_from_the_last_beginning(passed: float, expected: float) -> None:
    due = schedule().after(NOON, NOON + timedelta(seconds=passed), 0.0)
    assert (due - NOON).total_seconds() == expected


def test_jitter_is_added() -> None:
    jittery = schedule(jitter=Duration(60))
    assert jittery.after(NOON, NOON, 0.5) - NOON == timedelta(seconds=330)
    hourly = schedule(jitter=Duration(60), cron="0 * * * *")
    assert hourly.after(NOON, NOON, 0.25) - NOON == timedelta(seconds=3615)


class Unchecked(PollOptions, frozen=True, kw_only=True):
    """Options that forgot to check what they inherit, as those of a plug-in may."""

    def __post_init__(self) -> None:
        """Nothing is refused."""


@pytest.mark.parametrize("length", [1e14, 1e300, 1e-12, 5e-324])
def test_a_length_of_time_that_no_calendar_holds_ends_nothing(length: float) -> None:
    options = Unchecked(
        type="mvet", name="mvet", interval=PositiveDuration(length), jitter=Duration(length)
    )
    due = Schedule(options).after(NOON, NOON + timedelta(days=1), 0.5)
    assert NOON < due <= NOON + timedelta(days=600)


# Berlin's clock leaps from 2 to 3 on 2024-03-31, and shows 2 to 3 twice on 2024-10-27.
@pytest.mark.parametrize(
    ("cron", "zone", "now", "expected"),
    [
        ("*/15 * * * *", "UTC", "2024-05-06T12:00:00Z", "2024-05-06T12:15:00Z"),
        ("*/15 * * * *", "UTC", "2024-05-06T12:14:59.999Z", "2024-05-06T12:15:00Z"),
        ("*/20 * * * * *", "UTC", "2024-05-06T12:00:01Z", "2024-05-06T12:00:20Z"),
        ("0 6-20 * * MON-FRI", "UTC", "2024-05-10T20:30:00Z", "2024-05-13T06:00:00Z"),
        ("30 8 * * *", "Europe/Berlin", "2024-01-10T00:00:00Z", "2024-01-10T07:30:00Z"),
        ("30 8 * * *", "Europe/Berlin", "2024-07-10T00:00:00Z", "2024-07-10T06:30:00Z"),
        ("30 8 * * *", "America/New_York", "2024-07-10T00:00:00Z", "2024-07-10T12:30:00Z"),
        # leapt over: right after the leap, once
        ("30 2 * * *", "Europe/Berlin", "2024-03-31T00:00:00Z", "2024-03-31T01:00:00Z"),
        ("30 2 * * *", "Europe/Berlin", "2024-03-31T01:00:00Z", "2024-04-01T00:30:00Z"),
        # twice: the first time counts
        ("30 2 * * *", "Europe/Berlin", "2024-10-26T23:00:00Z", "2024-10-27T00:30:00Z"),
        ("30 2 * * *", "Europe/Berlin", "2024-10-27T00:30:00Z", "2024-10-28T01:30:00Z"),
        ("45 2 * * *", "Europe/Berlin", "2024-10-27T01:30:00Z", "2024-10-28T01:45:00Z"),
        # every quarter of an hour goes on through both
        ("*/15 * * * *", "Europe/Berlin", "2024-03-31T00:45:00Z", "2024-03-31T01:00:00Z"),
        ("*/15 * * * *", "Europe/Berlin", "2024-10-27T00:45:00Z", "2024-10-27T01:00:00Z"),
        ("*/15 * * * *", "Europe/Berlin", "2024-10-27T01:15:00Z", "2024-10-27T01:30:00Z"),
    ],
)
def test_cron(cron: str, zone: str, now: str, expected: str) -> None:
    due = schedule(cron=cron, timezone=zone).after(at(now), at(now), 0.0)
    assert due == at(expected)


@given(
    st.sampled_from(["", "*/7 * * * *", "5 1,2,3 * * *", "0 */2 * * SUN"]),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    st.datetimes(datetime(2024, 1, 1), datetime(2025, 1, 1)),  # noqa: DTZ001 - made aware below
    st.integers(-100_000, 100_000),
)
def test_the_next_round_is_ahead_and_the_same_moment_is_not_named_twice(
    cron: str, zone: str, moment: datetime, passed: int
) -> None:
    begun = moment.replace(tzinfo=UTC)
    now = begun + timedelta(seconds=passed)
    plan = schedule(cron=cron, timezone=zone, interval=PositiveDuration(1000))
    due = plan.after(begun, now, 0.0)
    assert now <= due <= now + timedelta(days=8)
    assert plan.after(due, due, 0.0) > due


# --- options ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"cron": "* * *"}, "cron: wrong number of fields; write minute, hour"),
        ({"cron": "* * *"}, 'or seconds before them: "30 */15 6-20 * * MON-FRI"'),
        ({"cron": "30 */15 6-20 * * MON-FRI"}, ""),
        ({"cron": "61 * * * *"}, "cron: bad minute"),
        ({"cron": "every day"}, "cron: "),
        ({"cron": "0 0 31 2 *"}, "cron: bad day-of-month"),
        ({"cron": "0 0 30 2 MON#5"}, ""),
        ({"timezone": "Mars/Olympus"}, "timezone: no time zone 'Mars/Olympus'"),
        ({"timezone": "/etc/passwd"}, "timezone: "),
        ({"timezone": "Europe"}, "timezone: "),
        ({"timezone": ""}, "timezone: "),
        ({"interval": "0s"}, "above zero"),
        ({"interval": "366d", "jitter": "366d", "timeout": "366d"}, ""),
        ({"interval": "367d"}, 'interval: 366 days ("366d") at the most'),
        ({"interval": "999999999d"}, 'interval: 366 days ("366d") at the most'),
        ({"jitter": "999999999d"}, 'jitter: 366 days ("366d") at the most'),
        ({"timeout": f"{'9' * 400}d"}, 'timeout: 366 days ("366d") at the most'),
        ({"concurrency": 33}, "concurrency"),
        ({"attempts": 0}, "attempts"),
        ({"hold": {"share": 1.5}}, "share"),
        ({"hold": {"count": -1}}, "count"),
        ({"headers": {"If-None-Match": "x"}}, "If-None-Match is set by the source itself"),
        ({"headers": {"X-Split": "a\r\nX-More: s3cret"}}, "X-Split"),
        ({"tls": {"key": "key.pem"}}, "belong together"),
    ],
)
def test_options_that_cannot_be_used_are_named(table: dict[str, Any], said: str) -> None:
    whole = {"type": "mvet", "name": "mvet"} | table
    if not said:
        msgspec.convert(whole, PollOptions, dec_hook=parse_value)
        return
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(whole, PollOptions, dec_hook=parse_value)
    assert said in str(caught.value)
    assert "s3cret" not in str(caught.value)
