"""What payloads may make the program print."""

from consumer.cli.payloads import located
from consumer.model import Problem


def test_a_place_is_shown_as_far_as_it_is_known() -> None:
    assert located("a.xml", Problem(reason="bad")) == "a.xml: bad"
    assert located("a.xml", Problem(reason="bad", line=3)) == "a.xml:3: bad"
    assert located("a.xml", Problem(reason="bad", line=3, path="/a/b")) == "a.xml:3: /a/b: bad"


def test_keys_of_a_payload_cannot_steer_a_terminal() -> None:
    problem = Problem(reason="\x9bno number", path="$[0].\x1b]0;owned\x07")
    assert located("a.json", problem) == "a.json: $[0].?]0;owned?: ?no number"
