import hashlib
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest

from consumer.event import (
    Address,
    Change,
    Data,
    Dates,
    Event,
    Line,
    Order,
    Parties,
    Party,
    Quantity,
    timestamp,
)
from consumer.event import identify as event_id
from consumer.model import Message, Problem, Refusal, utc_now
from consumer.testing.builders import data, event, record


@pytest.mark.parametrize("text", ["1,5", "1e3", "", "one", " 1", "+1", ".5", "1.", "1\n", "\u0661"])
def test_a_quantity_is_a_plain_decimal_string(text: str) -> None:
    with pytest.raises(ValueError, match="backordered is not a decimal string"):
        Quantity(backordered=text)


def test_floats_for_money_are_refused() -> None:
    with pytest.raises(ValueError, match="unit_price is not a decimal string"):
        Line(unit_price=188.0)  # type: ignore[arg-type]  # this is what must not pass
    with pytest.raises(ValueError, match="total is not a decimal string"):
        Order(total=201)  # type: ignore[arg-type]  # likewise


@pytest.mark.parametrize(
    "text",
    [
        *("2016-07-13T13:47:54", "2016-07-13T13:47:54+02:00", "13/07/2016", "2016-07-13\n"),
        *("2016-99-99", "2016-00-13", "2016-07-32", "2016-07-13T24:00:00Z", "201\uff16-07-13"),
    ],
)
def test_a_moment_is_a_date_or_a_utc_timestamp(text: str) -> None:
    with pytest.raises(ValueError, match="need_by is not a date or UTC timestamp"):
        Dates(need_by=text)


def test_timestamps_are_utc_and_naive_ones_have_no_place() -> None:
    there = datetime(2016, 7, 13, 15, 47, 54, tzinfo=timezone(timedelta(hours=2)))
    assert timestamp(there) == "2016-07-13T13:47:54Z"
    naive = datetime(2016, 7, 13)  # noqa: DTZ001 - this is what must not pass
    with pytest.raises(ValueError, match="naive"):
        timestamp(naive)
    with pytest.raises(ValueError, match="aware"):
        Message(body=b"", source="s", system="radial", received=naive)


def test_an_event_encodes_to_the_same_bytes_each_time_and_reads_back() -> None:
    one = event(1, traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    assert one.encode() == event(1, traceparent=one.traceparent).encode()
    assert msgspec.json.decode(one.encode(), type=Event) == one


@pytest.mark.parametrize("name", ["id", "source", "subject"])
def test_an_event_has_an_id_a_source_and_a_subject(name: str) -> None:
    with pytest.raises(ValueError, match="an event needs an id, a source and a subject"):
        msgspec.structs.replace(event(1), **{name: ""})


def test_an_event_has_a_time() -> None:
    with pytest.raises(ValueError, match="time is not a date or UTC timestamp"):
        msgspec.structs.replace(event(1), time=None)


def test_extension_attributes_are_absent_where_there_is_nothing_to_say() -> None:
    assert b'"drift"' not in event(1).encode()
    assert b'"traceparent"' not in event(1).encode()
    assert b'"drift":"A,B@c"' in event(1, drift=("A", "B@c")).encode()


def identify(said: Data, **changes: int) -> str:
    return event_id("/radial/TMS_US", "backorder.opened", "1/1", said, **changes)


def test_whatever_a_fact_says_is_part_of_its_id() -> None:
    base = data(1)
    others = [
        data(1, order=Order(number="2")),
        data(1, quantity=Quantity(backordered="2")),
        data(1, dates=Dates(expected_ship="2016-08-01")),
        data(1, parties=Parties(customer=Party(email="a@example.com"))),
        data(1, extra={"OrderSummary": {"dutyAmount": "0"}}),
    ]
    ids = {identify(said) for said in (base, *others)}
    assert len(ids) == 1 + len(others)
    assert identify(base, occurrence=1) not in ids


def test_neither_order_in_extra_nor_fields_that_hold_nothing_change_an_id() -> None:
    one = data(1, extra={"a": "1", "b": {"c": "2", "d": "3"}})
    other = data(1, extra={"b": {"d": "3", "c": "2"}, "a": "1"})
    assert identify(one) == identify(other)


def test_an_id_is_the_digest_of_what_is_known_so_that_new_fields_leave_it_alone() -> None:
    known = b'{"line":{"item":"7"},"order":{"number":"1"}}'
    said = b'["/radial/TMS_US","backorder.opened","1/1",0,' + known + b"]"
    little = Data(order=Order(number="1"), line=Line(item="7"), quantity=Quantity())
    assert identify(little) == hashlib.sha256(said).hexdigest()[:32]


def test_what_is_empty_is_not_part_of_an_id_and_neither_is_what_consists_of_it() -> None:
    bare = Data(order=Order(number="1"), line=Line(), quantity=Quantity())
    nobody = Parties(customer=Party(address=Address(lines=(), extra={})), store=Party())
    full = Data(
        order=Order(number="1"),
        line=Line(),
        quantity=Quantity(),
        dates=Dates(),
        parties=nobody,
        changes=(),
        extra={},
    )
    assert identify(full) == identify(bare)


@pytest.mark.parametrize(
    "said",
    [
        data(1, order=Order(number="")),
        data(1, extra={"a": {}}),
        data(1, extra={"a": None}),
        data(1, parties=Parties(customer=Party(address=Address(lines=("",))))),
        data(1, changes=(Change(field="delay"),)),
    ],
)
def test_an_empty_text_and_what_is_empty_within_upstream_fields_is_said(said: Data) -> None:
    assert identify(said) not in {identify(data(1)), identify(data(1, order=Order()))}


def test_an_id_sorts_what_is_said_by_name() -> None:
    known = (
        b'{"delay":"backorder","extra":{"a":[],"b":{}},"line":{"amount":"2","number":"7"},'
        b'"order":{"date":"2016-07-13","number":"1"},"parties":{"ship_to":{"address":'
        b'{"city":"C","lines":["1","2"]},"email":"e"}},"quantity":{"backordered":"1","shipped":"0"}}'
    )
    said = Data(
        order=Order(number="1", date="2016-07-13"),
        line=Line(number="7", amount="2"),
        quantity=Quantity(shipped="0", backordered="1"),
        delay="backorder",
        parties=Parties(ship_to=Party(email="e", address=Address(lines=("1", "2"), city="C"))),
        extra={"b": {}, "a": []},
    )
    digest = hashlib.sha256(b'["/radial/TMS_US","backorder.opened","1/1",0,' + known + b"]")
    assert identify(said) == digest.hexdigest()[:32]


def test_a_record_knows_its_system_and_account() -> None:
    one = record(1, event(1, source="/radial/TMS%2FUS"))
    assert (one.system, one.account) == ("radial", "TMS%2FUS")


def test_the_same_bytes_are_the_same_refusal() -> None:
    reasons = (Problem(reason="not XML", line=1, column=2),)
    assert Refusal(body=b"x", problems=reasons).id == Refusal(body=b"x", problems=()).id
    assert str(reasons[0]) == "1:2: not XML"


def test_utc_now_is_aware() -> None:
    assert utc_now().tzinfo is UTC


def test_a_trace_context_is_one_or_absent() -> None:
    with pytest.raises(ValueError, match="traceparent is not a trace context"):
        event(1, traceparent="00-1-2-01\r\nX-Evil: 1")
