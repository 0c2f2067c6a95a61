"""Messages that nobody foresaw: made from the schemas, then bent and torn.

Whatever comes, a message ends as events that keep our own contract, as quarantine, or both; nothing
in our own code fails on it, and no reason quotes what a person wrote.
"""

import json
from functools import cache

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from consumer.model import Entry
from consumer.schema_documents import event_schema
from consumer.settings import PrivacySettings
from consumer.testing.builders import message
from consumer.understanding import entry_within
from consumer.validation import Schemas
from extent import extent
from mutation import bent, torn
from radial_messages import SAMPLES
from schema_made import made

ROOTS = ("OrderBackorder", "OrderBackorderList")
CANARY = "kanari3"
PERSONAL = {
    "FirstName",
    "LastName",
    "EmailAddress",
    "Phone",
    "Line1",
    "City",
    "PostalCode",
}
_EXAMPLES = extent(100, long=4_000)

seeds = st.integers(0, 2**48)
roots = st.sampled_from(ROOTS)
samples = st.sampled_from([sample.read_bytes() for sample in SAMPLES])


@cache
def schemas(*, strict: bool) -> Schemas:
    return Schemas.load(strict=strict)


@cache
def contract() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(event_schema())


def understood(body: bytes, *, strict: bool = False) -> Entry:
    """What becomes of a message; a bug of ours fails the test instead of being put up with."""

    def bug(error: Exception) -> None:
        raise AssertionError("our own code stumbled over it") from error

    entry = entry_within(
        message(body=body),
        schemas(strict=strict),
        privacy=PrivacySettings(),
        most=32 << 20,
        on_bug=bug,
    )
    for event in entry.events:
        encoded = event.encode()
        assert b"\n" not in encoded  # a line of a file is an event
        contract().validate(json.loads(encoded))
    return entry


def canaries(body: bytes) -> bytes:
    """The document with a word of ours wherever a person's data stands."""
    root = etree.fromstring(body)
    for element in root.iter():
        if etree.QName(element).localname in PERSONAL:
            element.text = CANARY
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


@settings(deadline=None, max_examples=_EXAMPLES)
@given(seed=seeds)
def test_what_the_schemas_allow_is_taken_whole(seed: int) -> None:
    body = made("OrderBackorder", seed)
    entry = understood(body, strict=True)
    assert entry.refusals == ()
    assert len(entry.events) == max(1, body.count(b"<OrderItem "))


@settings(deadline=None, max_examples=_EXAMPLES)
@given(root=roots, seed=seeds, damage=seeds, strict=st.booleans())
def test_what_is_bent_is_understood_or_refused(
    root: str, seed: int, damage: int, *, strict: bool
) -> None:
    body = bent(canaries(made(root, seed)), damage)
    entry = understood(body, strict=strict)
    assert entry.events or entry.refusals or entry.kind != "backorder"
    for refusal in entry.refusals:
        assert refusal.body
        assert refusal.problems
        assert not any(CANARY in str(problem) for problem in refusal.problems)


@settings(deadline=None, max_examples=2 * _EXAMPLES)
@given(body=samples, damage=seeds)
def test_what_is_torn_is_understood_or_refused(body: bytes, damage: int) -> None:
    entry = understood(torn(canaries(body), damage))
    assert entry.events or entry.refusals or entry.kind != "backorder"
    for refusal in entry.refusals:
        assert not any(CANARY in str(problem) for problem in refusal.problems)


@settings(deadline=None, max_examples=_EXAMPLES)
@given(body=st.binary(max_size=2_000))
def test_what_is_no_document_is_refused(body: bytes) -> None:
    entry = understood(body)
    assert entry.events == ()
    assert entry.refusals


@pytest.mark.parametrize("root", ROOTS)
def test_the_same_message_is_the_same_fact(root: str) -> None:
    for seed in range(20):
        body = made(root, seed)
        first, again = understood(body), understood(body)
        assert [event.id for event in first.events] == [event.id for event in again.events]
        assert [refusal.id for refusal in first.refusals] == [r.id for r in again.refusals]
