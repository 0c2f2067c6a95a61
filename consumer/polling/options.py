"""What can be configured about every polled source, and what is refused before it ever runs."""

from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from msgspec import Meta, field

from consumer.settings import Section, SourceOptions
from consumer.values import Duration, PositiveDuration, Secret, Size
from consumer.web import Tls, check_headers

# No date may lie beyond what the calendar of the machine has; and what is longer was not meant.
LONGEST_DAYS = 366
_LONGEST = LONGEST_DAYS * 86_400.0

_OURS = (
    "accept-encoding",
    "connection",
    "content-length",
    "host",
    "if-modified-since",
    "if-none-match",
    "range",
    "transfer-encoding",
)


class HoldSettings(Section, frozen=True, kw_only=True):
    """`hold`: when lines that are missing are not believed to be over.

    Where more than `count` lines, and more than `share` of them (0 to 1), are missing at once, or
    all of them are, that is held until a second complete answer agrees. `share = 1` holds nothing,
    not even where all of them are missing.
    """

    share: Annotated[float, Meta(ge=0, le=1)] = 0.5
    count: Annotated[int, Meta(ge=0)] = 20


class PollOptions(SourceOptions, frozen=True, kw_only=True):
    """What every polled source has.

    A round begins `interval` after the one before began, or where `cron` says so (five fields, or
    six with seconds first) in `timezone`, later by a random part of `jitter`. Rounds never overlap:
    what a long one misses is left out. No length of time may be above 366 days.

    `concurrency` requests are under way at once; each may take `timeout` and is tried `attempts`
    times in all. An answer above `max_body`, decompressed, is refused. `headers` are sent along,
    in place of ours where we would send one of that name, in whatever case.
    """

    interval: PositiveDuration = PositiveDuration(300)
    cron: str = ""
    timezone: str = "UTC"
    jitter: Duration = Duration(5)
    timeout: PositiveDuration = PositiveDuration(30)
    concurrency: Annotated[int, Meta(ge=1, le=32)] = 4
    attempts: Annotated[int, Meta(ge=1, le=10)] = 3
    max_body: Size = Size(8 << 20)
    headers: dict[str, Secret] = field(default_factory=dict)
    tls: Tls = Tls()
    hold: HoldSettings = HoldSettings()

    def __post_init__(self) -> None:
        for key in ("interval", "jitter", "timeout"):
            if getattr(self, key) > _LONGEST:
                raise ValueError(f'{key}: {LONGEST_DAYS} days ("{LONGEST_DAYS}d") at the most')
        zone = _zone(self.timezone)
        if self.cron:
            _check_cron(self.cron, zone)
        check_headers(self.headers, ours=_OURS, who="the source")


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # an unknown name, a path, a folder of names
        raise ValueError(
            f'timezone: no time zone {name!r} is known here; write one like "Europe/Berlin"'
        ) from None


def _check_cron(cron: str, zone: ZoneInfo) -> None:
    """ValueError, naming the key, where a cron line says nothing or no moment that ever comes."""
    try:
        next(CronSim(cron, datetime(2024, 1, 1, tzinfo=UTC).astimezone(zone)))
    except CronSimError as error:
        raise ValueError(
            f"cron: {str(error).lower()}; write minute, hour, day of month, month and day of week,"
            ' such as "*/15 6-20 * * MON-FRI", or seconds before them: "30 */15 6-20 * * MON-FRI"'
        ) from None
    except StopIteration:
        raise ValueError("cron: that moment never comes") from None
