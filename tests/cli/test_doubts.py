"""What `check` warns of: allowed, and hardly meant."""

from typing import Any

import pytest

from consumer.cli.doubts import doubts
from consumer.settings import Settings, SinkOptions
from consumer.sources.mvet import MvetOptions
from consumer.values import Duration, PositiveDuration, Secret

SINK = SinkOptions(type="stdout", name="screen")


def doubted(**options: Any) -> list[str]:
    given: dict[str, Any] = {"base_url": "http://127.0.0.1:1", "customers": ("0002789",)} | options
    source = MvetOptions(type="mvet", name="vets", **given)
    return list(doubts(Settings(sources=(source,), sinks=(SINK,))))


@pytest.mark.parametrize(
    ("options", "doubt"),
    [
        ({"timezone": "Europe/Berlin"}, "vets: timezone counts for cron only"),
        ({"interval": PositiveDuration(5), "jitter": Duration(60)}, "vets: jitter is longer"),
        (
            {"base_url": "http://mvet:6569", "username": "u", "password": Secret("p")},
            "vets: base_url is plain HTTP",
        ),
    ],
)
def test_what_is_hardly_meant_is_told(options: dict[str, Any], doubt: str) -> None:
    [told] = doubted(**options)
    assert told.startswith(doubt)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"cron": "*/5 * * * *", "timezone": "Europe/Berlin", "jitter": Duration(600)},
        {"base_url": "https://mvet", "username": "u", "password": Secret("p")},
        {"username": "u", "password": Secret("p")},
        {"base_url": "http://mvet:6569"},
    ],
    ids=str,
)
def test_what_makes_sense_is_not_doubted(options: dict[str, Any]) -> None:
    assert doubted(**options) == []
