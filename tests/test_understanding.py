"""From what the schemas found to what the journal shall hold."""

import json

import pytest

from consumer import understanding
from consumer.event import Event
from consumer.settings import PrivacySettings
from consumer.testing.builders import MOMENT, message
from consumer.understanding import entry_of, understand
from consumer.validation import Schemas
from radial_messages import DOCUMENTED, OF_2016, changed, listed


@pytest.fixture(scope="module")
def schemas() -> Schemas:
    return Schemas.load()


def events_of(schemas: Schemas, body: bytes) -> tuple[Event, ...]:
    events, refusals = understand(schemas.examine(body), received=MOMENT)
    assert refusals == ()
    return events


def test_a_fact_has_its_id_whatever_list_it_came_in(schemas: Schemas) -> None:
    (alone,) = events_of(schemas, DOCUMENTED)
    body = listed(DOCUMENTED, OF_2016, b"?><Memo>m</Memo>", attributes=b'storeId="S" batchId="7"')
    listed_one, *others = events_of(schemas, body)
    assert listed_one.id == alone.id
    for event in (listed_one, *others):
        extra = json.loads(event.encode())["data"]["extra"]
        assert extra["OrderBackorderList"] == {"storeId": "S", "batchId": "7", "Memo": "m"}


def test_the_events_of_one_message_are_bounded_together(
    schemas: Schemas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(understanding, "_most", lambda _size: 5_000)
    found = schemas.examine(listed(*[DOCUMENTED] * 4))
    events, refusals = understand(found, received=MOMENT)
    assert len(events) + len(refusals) == 4
    assert 0 < sum(len(event.encode()) for event in events) <= 5_000
    assert {refusal.problems[0].path for refusal in refusals} == {"/OrderBackorderList"}


def test_a_small_message_makes_no_immense_events(schemas: Schemas) -> None:
    lines = f"<Note>{'n' * 60_000}</Note>", "<OrderItem webLineId='1'><Pricing/></OrderItem>" * 200
    event = changed(DOCUMENTED, "</OrderBackorder>", f"{lines[0]}</OrderBackorder>")
    event = changed(event, "<OrderItem ", f"{lines[1]}<OrderItem ")
    body = listed(DOCUMENTED, *[event] * 3)
    events, refusals = understand(schemas.examine(body), received=MOMENT)
    assert len(events) == 1
    assert [refusal.problems[0].reason for refusal in refusals] == [
        "each of its lines repeats what is said of all: too much in all"
    ] * 3


def test_a_large_order_of_short_lines_is_understood(schemas: Schemas) -> None:
    lines = "".join(
        f'<OrderItem webLineId="{n}" quantity="1"><Pricing/></OrderItem>' for n in range(2, 1000)
    )
    body = changed(DOCUMENTED, "</BackorderOrderItems>", f"{lines}</BackorderOrderItems>")
    assert len(events_of(schemas, body)) == 999


def test_only_what_is_no_xml_is_unreadable(schemas: Schemas) -> None:
    broken = changed(DOCUMENTED, 'quantity="1"', 'quantity="one"')
    bodies = (b"not XML", DOCUMENTED[:500], broken, DOCUMENTED, b"<OrderShipped/>")
    entries = [
        entry_of(message(body=body), schemas.examine(body), PrivacySettings()) for body in bodies
    ]
    assert [entry.unreadable for entry in entries] == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        ("2016-07-13T13:47:54+00:00", "99999999999999-07-13T13:47:54Z", None),
        ("2016-07-13T13:47:54+00:00", "-0044-03-15T24:00:00+14:00", None),
        ("2016-07-13T13:47:54+00:00", f"2016-07-13T13:47:54.{'1' * 5_000}Z", "order.date"),
        ('quantity="1"', f'quantity="{"9" * 5_000}"', "quantity.backordered"),
        ('quantity="1"', f'quantity="+.{"0" * 5_000}1"', None),
    ],
)
def test_values_that_are_valid_and_odd_become_events(
    schemas: Schemas, old: str, new: str, kept: str | None
) -> None:
    (event,) = events_of(schemas, changed(DOCUMENTED, old, new))
    text = new.partition('"')[2].rstrip('"') or new
    data = json.loads(event.encode())["data"]
    assert text in event.encode().decode() or data["quantity"]["backordered"] == f"0{text[1:]}"
    if kept:
        group, name = kept.split(".")
        assert data[group][name]
