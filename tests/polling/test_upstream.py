"""What polled upstreams have in common: their addresses, HTTP Basic, and views."""

import base64

import pytest

from consumer.polling.upstream import basic, check_base_url, check_basic, view_of
from consumer.values import Secret


@pytest.mark.parametrize(
    "url",
    [
        "http://mvet:6569",
        "https://api.cinx.com/",
        "http://127.0.0.1:8080/behind/a/proxy",
        "http://[::1]:80",
    ],
)
def test_addresses_that_paths_can_be_added_to(url: str) -> None:
    check_base_url(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "base_url must be like"),
        ("mvet:6569", "base_url must be like"),
        ("ftp://mvet", "base_url must be like"),
        ("http://", "base_url must be like"),
        ("http://mvet:0", "base_url must be like"),
        ("http://mvet:banana", "base_url must be like"),
        ("http://mvet:99999", "base_url must be like"),
        ("http://[::1", "base_url must be like"),
        (f"http://{'a' * 64}.example", "base_url must be like"),
        ("http://mvet/?customer=1", "base_url must be like"),
        ("http://mvet/#here", "base_url must be like"),
        ("http://me:hunter2@mvet", "no credentials in there; set username and password"),
    ],
)
def test_others_are_refused_by_the_name_of_the_key(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as raised:
        check_base_url(url)
    assert str(raised.value).startswith("base_url")
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("username", "password", "headers", "reason"),
    [
        ("me", "", (), "username and password belong together"),
        ("", "secret", (), "username and password belong together"),
        ("m:e", "secret", (), "username: HTTP Basic allows no colon"),
        ("me", "secret", ("authorization",), "headers: Authorization is made of"),
    ],
)
def test_what_http_basic_cannot_carry(
    username: str, password: str, headers: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason) as raised:
        check_basic(username, Secret(password), headers)
    assert "secret" not in str(raised.value)


def test_what_http_basic_can_carry() -> None:
    check_basic("", Secret(""), ["Authorization"])
    check_basic("me", Secret("a:b"))
    header = basic("me", Secret("pä:ss"))
    scheme, _, pair = header.reveal().partition(" ")
    assert (scheme, base64.b64decode(pair).decode()) == ("Basic", "me:pä:ss")
    assert str(header) == "…"


def test_a_view_is_short_and_tells_every_part_from_every_other() -> None:
    views = {view_of("http://a"), view_of("http://b"), view_of("http://a", "x"), view_of("", "x")}
    assert len(views) == 4
    assert {len(view) for view in views} == {12}
    assert view_of("a", "b") == view_of("a", "b")
