"""CINX's API token is masked however it is spelt."""

import json
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.normalisation.cinx_token import SHORTEST, masked
from consumer.values import Secret

PLAIN, STRANGE = "dfed7d88-adf8-5356-8029-fe061c93d0fe", "tok/en?%2F#+ &=;\"<>'\\é4711"


def spellings(token: str) -> set[str]:
    encoded = {quote(token), quote(token, safe=""), quote_plus(token)}
    lower = {form.replace("%2F", "%2f").replace("%3F", "%3f") for form in encoded}
    written = {json.dumps(token)[1:-1], json.dumps(token, ensure_ascii=False)[1:-1]}
    slashed = {form.replace("/", "\\/") for form in {token, *written}}
    tagged = {escape(token), escape(token, {'"': "&quot;", "'": "&#39;"})}
    return {token, *encoded, *lower, *written, *slashed, *tagged, quote(quote(token, safe=""))}


@pytest.mark.parametrize("token", [PLAIN, STRANGE])
def test_every_spelling(token: str) -> None:
    for form in spellings(token):
        text = f"a/sub/{form}/back-orders"
        assert masked(text, Secret(token)) == "a/sub/…/back-orders"
        assert masked(text.encode(), Secret(token)) == "a/sub/…/back-orders".encode()


@given(token=st.text(min_size=SHORTEST), around=st.tuples(st.text(), st.text()))
def test_any_token(token: str, around: tuple[str, str]) -> None:
    before, after = around
    for form in {token, json.dumps(token)[1:-1]} if token.isascii() else {token}:
        assert form not in masked(f"{before}{form}{after}", Secret(token)).replace("…", "")


def test_what_is_no_token_stays() -> None:
    text = f"sub/{PLAIN} tok/en t1"
    assert masked(text, Secret("")) == masked(text, Secret(STRANGE)) == text
    # What is short is told from other text by its place alone.
    assert masked(r"t1 sub/t1/x sub\/t1\/x", Secret("t1")) == r"t1 sub/…/x sub\/…\/x"
