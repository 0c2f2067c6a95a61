"""Durations and addresses: what is read, and what is none."""

import re

import msgspec
import pytest

from consumer.settings import JournalSettings, StopSettings, WebhooksSettings
from consumer.values import Duration, PositiveDuration, join_listen, parse_value, split_listen


@pytest.mark.parametrize("text", ["1ms", "0.5s", "10m", "100h", "30d", "0s", "0.0m", "00ms"])
def test_the_schema_and_the_reader_agree_on_what_is_above_zero(text: str) -> None:
    assert re.search(str(Duration.schema["pattern"]), text)
    above = Duration.parse(text) > 0
    assert bool(re.search(str(PositiveDuration.schema["pattern"]), text)) is above
    if above:
        assert type(PositiveDuration.parse(text)) is PositiveDuration
    else:
        with pytest.raises(ValueError, match="above zero"):
            PositiveDuration.parse(text)


def test_what_is_no_duration_is_told_as_such() -> None:
    with pytest.raises(ValueError, match="write a number with a unit"):
        PositiveDuration.parse("-5s")


@pytest.mark.parametrize(
    ("table", "key"), [(JournalSettings, "retention"), (WebhooksSettings, "timeout")]
)
def test_zero_is_refused_where_it_makes_no_sense(table: type[msgspec.Struct], key: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=f"above zero.*{key}"):
        msgspec.convert({key: "0s"}, table, dec_hook=parse_value)


def test_a_stop_may_wait_for_nothing() -> None:
    assert msgspec.convert({"grace": "0s"}, StopSettings, dec_hook=parse_value).grace == Duration(0)


@pytest.mark.parametrize(
    ("listen", "host"),
    [
        ("127.0.0.1:80", "127.0.0.1"),
        ("[::1]:80", "::1"),
        ("shop.example.:80", "shop.example."),
        (f"{'a' * 63}.example:80", f"{'a' * 63}.example"),
    ],
)
def test_an_address_to_listen_on(listen: str, host: str) -> None:
    assert split_listen(listen) == (host, 80)
    assert join_listen(host, 80) == listen


@pytest.mark.parametrize("host", ["127.0.0..1", ".example", f"{'a' * 64}.example"])
def test_a_host_that_cannot_be_looked_up_is_no_address(host: str) -> None:
    with pytest.raises(ValueError, match='write "host:port"') as caught:
        split_listen(f"{host}:80")
    assert not isinstance(caught.value, UnicodeError)
