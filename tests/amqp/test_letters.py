"""A letter's frames are the bytes that the driver would write."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pamqp.frame
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from consumer.amqp.letters import Envelopes, Letter

MOST = 1000


def by_the_driver(letter: Letter, number: int, *, exchange: str, mandatory: bool) -> bytes:
    properties = Basic.Properties(
        content_type=letter.content_type,
        headers=dict(letter.headers) or None,
        delivery_mode=2,
        message_id=letter.id,
        timestamp=letter.timestamp,
        message_type=letter.type,
        app_id="backorder-consumer",
    )
    body = letter.body
    frames: list[pamqp.frame.FrameTypes] = [
        Basic.Publish(exchange=exchange, routing_key=letter.routing_key, mandatory=mandatory),
        ContentHeader(body_size=len(body), properties=properties),
        *(ContentBody(body[at : at + MOST]) for at in range(0, len(body), MOST)),
    ]
    return b"".join(pamqp.frame.marshal(frame, number) for frame in frames)


SHORT = st.text(max_size=60)
LETTERS = st.builds(
    Letter,
    id=SHORT,
    routing_key=SHORT,
    type=SHORT,
    content_type=SHORT,
    timestamp=st.datetimes(
        min_value=datetime(1971, 1, 1),  # noqa: DTZ001 - the strategy adds the zone
        timezones=st.timezones() | st.just(timezone(timedelta(hours=-7))),
    ),
    headers=st.dictionaries(SHORT, st.text() | st.booleans(), max_size=3),
    body=st.binary(max_size=40) | st.integers(0, 3 * MOST + 1).map(bytes),
)


@given(
    letters=st.lists(LETTERS, max_size=4),
    number=st.integers(1, 65_535),
    exchange=st.sampled_from(["", "backorders", "amq.topic"]),
    mandatory=st.booleans(),
)
def test_the_bytes_are_those_of_the_driver(
    letters: list[Letter], number: int, exchange: str, *, mandatory: bool
) -> None:
    """Also the second time, when constant parts are at hand."""
    envelopes = Envelopes(number, exchange, mandatory=mandatory, most=MOST)
    for each in letters * 2:
        expected = by_the_driver(each, number, exchange=exchange, mandatory=mandatory)
        assert b"".join(envelopes.pieces(each)) == expected


def letter(**fields: Any) -> Letter:
    usual = Letter("7", "k", "t", "text/xml", datetime(2016, 7, 13, tzinfo=UTC), {}, b"<x/>")
    return usual._replace(**fields)


@pytest.mark.parametrize("size", [0, 1, MOST - 1, MOST, MOST + 1, 2 * MOST, 2 * MOST + 1])
def test_a_body_is_split_where_a_frame_ends(size: int) -> None:
    sent = letter(body=b"x" * size)
    written = b"".join(Envelopes(3, "e", mandatory=True, most=MOST).pieces(sent))
    assert written == by_the_driver(sent, 3, exchange="e", mandatory=True)


@pytest.mark.parametrize("most", [0, -8])
def test_without_a_longest_frame_a_body_is_in_one(most: int) -> None:
    sent = letter(body=b"x" * MOST)
    written = b"".join(Envelopes(3, "e", mandatory=True, most=most).pieces(sent))
    assert written == by_the_driver(sent, 3, exchange="e", mandatory=True)


@pytest.mark.parametrize("field", ["id", "type", "content_type", "routing_key"])
def test_a_text_that_is_too_long_is_not_written(field: str) -> None:
    """Cut or with a wrong length it would end the connection."""
    sent = letter(**{field: "x" * 256})
    with pytest.raises((TypeError, ValueError, OverflowError)):
        b"".join(Envelopes(3, "e", mandatory=True, most=MOST).pieces(sent))
