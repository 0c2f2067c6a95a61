"""What details said outlives a detail that cannot be had, and nothing changes by that alone."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import to_builtins

from cinx_rows import DETAIL, GUID, ROW, Json, as_json, details, rows
from consumer.event import Data, Event, timestamp
from consumer.normalisation.cinx_fields import FIELDS
from consumer.normalisation.polled import POLLED
from consumer.privacy import protect
from consumer.settings import PrivacySettings
from consumer.values import Secret

C = POLLED["cinx"]


def told(row: Json, detail: Json | None = None, before: Data | None = None) -> Data:
    encoded = None if detail is None else as_json(detail)
    data = C.line(as_json(row), account="cinx", detail=encoded)
    return data if before is None else C.carry(data, before)


def kept(data: Data, parties: Any) -> Data:
    event = Event.of(
        source="/cinx/cinx",
        type="backorder.opened",
        subject=GUID,
        time=timestamp(datetime(2026, 2, 3, tzinfo=UTC)),
        data=data,
    )
    return protect(event, PrivacySettings(parties=parties, key=Secret("k" * 32))).data


@settings(deadline=None)
@given(row=rows, detail=details)
def test_the_same_row_without_a_detail_tells_the_same(row: Json, detail: Json) -> None:
    before = told(row, detail)
    assert told(row, before=before) == before


@pytest.mark.parametrize("parties", ["full", "hashed", "none"])
@settings(deadline=None)
@given(row=rows, detail=details)
def test_and_so_it_does_whatever_is_kept_of_the_parties(
    parties: str, row: Json, detail: Json
) -> None:
    before = kept(told(row, detail), parties)
    assert C.carry(kept(told(row), parties), before) == before


@settings(deadline=None)
@given(row=rows, detail=details, other=rows)
def test_what_the_row_says_now_is_told(row: Json, detail: Json, other: Json) -> None:
    now, then = to_builtins(told(other)), to_builtins(told(row))
    after = to_builtins(told(other, before=told(row, detail)))
    for field in FIELDS:
        here = _at(now, field.part, field.name)
        if here is not None and here != _at(then, field.part, field.name):
            assert _at(after, field.part, field.name) == here
    for name, value in now["extra"].items():
        if then["extra"].get(name) != value:
            assert after["extra"][name] == value


@settings(deadline=None)
@given(row=rows, other=rows)
def test_nothing_is_carried_over_from_a_row(row: Json, other: Json) -> None:
    row, other = ({k: v for k, v in each.items() if "field" not in k} for each in (row, other))
    assert told(other, before=told(row)) == told(other)


@settings(deadline=None)
@given(row=rows, detail=details, others=st.lists(rows, min_size=1, max_size=3))
def test_what_only_the_detail_tells_stays(row: Json, detail: Json, others: list[Json]) -> None:
    before = data = told(row, detail)
    for other in others:
        data = told(other, before=data)
    assert data.extra["procurement_status"] == "BACKORDERED"
    for field in FIELDS:
        if field.row is None:
            path = field.part, field.name
            assert _at(to_builtins(data), *path) == _at(to_builtins(before), *path)


def test_the_published_row_changes() -> None:
    before = told(ROW, DETAIL)
    moved = ROW | {"date_expected_delivery": "2019-07-01", "quantity_shipped": 1}
    after = told(moved, before=before)
    assert after.dates.expected_delivery == "2019-07-01"
    assert after.quantity.shipped == "1"
    assert after.line == before.line
    assert after.parties == before.parties
    assert after.extra == before.extra


def test_the_row_said_otherwise_and_now_says_something_new() -> None:
    before = told(ROW, DETAIL)
    after = told(ROW | {"project_name": "HPH HQ"}, before=before)
    assert after.parties.project
    assert (after.parties.project.name, after.parties.project.extra) == ("HPH HQ", {})


def test_what_only_a_row_tells_ends_with_it() -> None:
    before = told(ROW | {"work_order_id": "W1", "update_count": 2}, DETAIL)
    assert before.extra["work_order_id"] == "W1"
    assert before.extra["list_row"] == {"update_count": "2"}
    after = told(ROW, before=before)
    assert after == told(ROW, DETAIL)


def _at(data: Any, part: str, name: str) -> Any:
    holder = data if part == "data" else data.get(part) or data["parties"].get(part) or {}
    return holder.get(name)
