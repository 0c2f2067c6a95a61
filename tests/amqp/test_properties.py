"""The walk over a message's properties finds what the driver's decoder finds, mended or not."""

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pamqp import encode
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from consumer.amqp.mending import readable_header
from consumer.amqp.properties import About, about

FLAGS = Basic.Properties.flags
TEXTS = st.binary(max_size=255).map(lambda text: bytes([len(text)]) + text)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=9)
TABLES = st.dictionaries(
    st.text(max_size=9),
    st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3)),
    max_size=4,
).map(lambda table: encode.field_table(dict(table)))
VALUES = {
    "shortstr": st.text(max_size=40).map(encode.short_string) | TEXTS,
    "table": TABLES | st.binary(max_size=9).map(lambda junk: struct.pack(">I", len(junk)) + junk),
    "octet": st.binary(min_size=1, max_size=1),
    "timestamp": st.binary(min_size=8, max_size=8) | st.just(struct.pack(">Q", 1_468_417_674)),
}


@st.composite
def headers(draw: st.DrawFn) -> bytes:
    """Content headers: mostly whole, with any properties, any of which may be nonsense."""
    names = draw(st.lists(st.sampled_from(list(FLAGS)), unique=True))
    flags = sum(FLAGS[name] for name in names) | draw(st.sampled_from([0, 0, 0, 1, 2]))
    properties = b"".join(
        draw(VALUES[Basic.Properties.amqp_type(name)]) for name in FLAGS if name in names
    )
    cut = draw(st.none() | st.integers(0, len(properties)))
    behind = draw(st.binary(max_size=3))
    return struct.pack(">HHQH", 60, 0, 7, flags) + properties[:cut] + behind


def told(found: About) -> str:
    """For comparing: what is no number is not equal to itself."""
    return repr((dict(found.headers), found.message_id, found.type))


def by_the_driver(payload: bytes) -> About:
    """As the driver reads a header, once what it cannot read is mended."""
    header = ContentHeader()
    header.unmarshal(readable_header(payload))
    found = header.properties
    return About(found.headers or {}, found.message_id, found.message_type)


def holds_its_table(payload: bytes) -> bool:
    """Whether no value of the table in a header is longer than the table."""
    found = by_the_driver(payload).headers
    return not found or encode.field_table(dict(found)) in payload


OVERLONG = struct.pack(">HHQHBBI", 60, 0, 7, 0xF000, 0, 0, 9) + bytes(9) + b"\1"
"""Its table reads well alone, but in its place goes on in what follows."""


@example(payload=OVERLONG, before=b"", after=b"")
@given(payload=headers(), before=st.binary(max_size=3), after=st.binary(max_size=300))
def test_the_walk_finds_what_the_driver_finds(payload: bytes, before: bytes, after: bytes) -> None:
    """Wherever in a chunk the frame is: what is behind it, even more of the like, is not read."""
    start = len(before)
    found = about(before + payload + after, start, start + len(payload))
    expected = by_the_driver(payload)
    if not holds_its_table(payload):
        found, expected = found._replace(headers={}), expected._replace(headers={})
    assert told(found) == told(expected)


@pytest.mark.parametrize("flags", [FLAGS["message_type"], FLAGS["message_id"] | 1])
def test_what_is_behind_a_frame_is_no_property_of_it(flags: int) -> None:
    header = struct.pack(">HHQH", 60, 0, 7, flags) + b"\x02"
    assert about(header + b"ab", 0, len(header)) == by_the_driver(header)


def test_a_message_with_the_usual_properties() -> None:
    properties = Basic.Properties(
        content_type="text/xml", delivery_mode=2, message_id="7", message_type="OrderBackorder"
    )
    header = ContentHeader(body_size=7, properties=properties).marshal()
    assert about(header, 0, len(header)) == About({}, "7", "OrderBackorder")
    properties.headers = {"traceparent": "00-1"}
    header = ContentHeader(body_size=7, properties=properties).marshal()
    assert about(header, 0, len(header)) == About({"traceparent": "00-1"}, "7", "OrderBackorder")
