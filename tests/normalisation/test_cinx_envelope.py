"""CINX's envelope: what it says, and everything that is none."""

import json
from typing import Any

import pytest
from hypothesis import given, settings

from cinx_rows import CINX, DETAIL, GUID, ROW, Json, as_json, as_xml, details, rows
from consumer.errors import ConsumerError, Denied, Refused, Unavailable
from consumer.normalisation.cinx_account import read_bearer, read_subs, read_template
from consumer.normalisation.cinx_envelope import Absent, read_detail, read_list
from consumer.normalisation.polled import POLLED

JSON, XML = "application/json", "application/xml"
TOKEN = "dfed7d88-adf8-5356-8029-fe061c93d0fe"


def answer(*rows: object, **response: object) -> bytes:
    return as_json({"start_time": 1411574224.8083, "response": response, "rows": list(rows)})


def xml_answer(*rows: str, response: str = "") -> bytes:
    inner = "".join(rows)
    return f"<cinx_api><response>{response}</response><rows>{inner}</rows></cinx_api>".encode()


# --- the list --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["json", "xml"])
def test_the_published_list(kind: str) -> None:
    body = (CINX / f"cinx-back-orders-list.{kind}").read_bytes()
    listing = read_list(body, f"application/{kind}")
    assert (listing.count, listing.total) == (1, None)
    assert listing.page.body == body
    [row] = json.loads(listing.page.content)
    assert row["cinx_guid"] == GUID


def test_rows_are_the_bytes_that_came() -> None:
    listing = read_list(b'{"rows": [ {"a" : 1.0} ,\n{"b":2} ]}', JSON)
    assert listing.page.content == b'[{"a" : 1.0},{"b":2}]'
    assert listing.count == 2


@pytest.mark.parametrize(
    ("response", "total"),
    [
        ({}, None),
        ({"total_count": 120}, 120),
        ({"total_count": "120"}, 120),
        ({"total_count": 2}, 2),
        ({"total_count": 1}, None),  # fewer than are here: it was not counted
        ({"total_count": 0, "record_count": 2}, None),
        ({"total_count": "many"}, None),
        ({"total_count": True}, None),
        ({"total_count": 1.5}, None),
        ({"total_count": None}, None),
    ],
)
def test_how_many_rows_there_are_in_all(response: Json, total: int | None) -> None:
    listing = read_list(answer({}, {}, **response), JSON)
    assert (listing.count, listing.total) == (2, total)


def test_nothing_on_backorder() -> None:
    for body in (answer(), answer(total_count=0), xml_answer()):
        listing = read_list(body, "")
        assert (listing.page.content, listing.count, listing.total) == (b"[]", 0, None)


@pytest.mark.parametrize("response", [None, {}, [], "", {"message": "OK"}, {"status_code": ""}])
def test_the_response_may_say_nothing(response: object) -> None:
    assert read_list(as_json({"response": response, "rows": []}), JSON).count == 0
    assert read_list(b'{"rows": []}', JSON).count == 0


@pytest.mark.parametrize("media_type", ["application/json", "text/xml", "text/html", ""])
def test_it_is_what_it_begins_with_whatever_the_media_type_says(media_type: str) -> None:
    assert read_list(answer({}), media_type).count == 1
    assert read_list(b"\xef\xbb\xbf" + answer({}), media_type).count == 1
    if "html" not in media_type:
        assert read_list(b"\xef\xbb\xbf \n" + xml_answer("<row/>"), media_type).count == 1


# --- what the envelope says against HTTP -----------------------------------------------------

STATUSES = [
    (401, Denied),
    (403, Denied),
    (429, Unavailable),
    (500, Unavailable),
    (503, Unavailable),
    (400, Refused),
    (302, Refused),
]


@pytest.mark.parametrize(("status", "error"), STATUSES)
@pytest.mark.parametrize("rows", [[], None, {}, ..., [{}], "x"])
def test_an_error_inside_of_http_200(status: int, error: type[ConsumerError], rows: Any) -> None:
    response = {"status_code": status, "message": f"no such token {TOKEN}"}
    body = {"response": response} if rows is ... else {"response": response, "rows": rows}
    said = [as_json(body), as_json(body | {"response": response | {"status_code": f" {status} "}})]
    if rows == []:
        said.append(xml_answer(response=f"<status_code>{status}</status_code>"))
    for each in said:
        for read in (read_list, read_subs, read_template, read_bearer, _detail):
            with pytest.raises(error) as raised:
                read(each, "")
            assert type(raised.value) is error
            assert str(raised.value) == f"the envelope says status {status}"


@pytest.mark.parametrize("status", ["down", 0, 99, 600, 10**30, True, [], {}, 200.0, "-200"])
def test_a_status_that_is_none(status: object) -> None:
    with pytest.raises(Refused, match="the envelope says a status that is none"):
        read_list(answer(status_code=status), JSON)


@pytest.mark.parametrize("status", [200, "200", " 200 "])
def test_a_status_that_is_all_right(status: object) -> None:
    assert read_list(answer(status_code=status), JSON).count == 0


# --- broken answers --------------------------------------------------------------------------

BROKEN = [
    b"",
    b" ",
    b"null",
    b"[]",
    b"7",
    b"{}",
    b'{"response": {}}',
    b'{"response": {}, "rows": null}',
    b'{"response": {}, "rows": {}}',
    b'{"response": {}, "rows": ""}',
    answer(ROW)[:-1],
    answer(ROW)[:-40],
    answer(ROW) + b"x",
    b'{"rows": [\xff]}',
    b'{"rows": ' + b"[" * 100_000,
    b'{"response": ' + b"[" * 100_000,
    b'{"response": {"status_code": 1e999999}, "rows": []}',
    b"upstream connect error",
    b"<",
    b"<a>",
    b"<cinx_api/>",
    b"<cinx_api><response/></cinx_api>",
    b"<cinx_api><rows>none</rows></cinx_api>",
    xml_answer(as_xml("row", ROW))[:-3],
    b"<!DOCTYPE a [<!ENTITY b 'c'>]><a><rows><row>&b;</row></rows></a>",
    b"<a><rows><row>&b;</row></rows></a>",
    "<a><rows/></a>".encode("utf-16"),
    b'<?xml version="1.0" encoding="nonsense"?><a><rows/></a>',
    b"<a>" * 300 + b"</a>" * 300,
    b"<a/>" * 500_001,
    b"<html><body>502 Bad Gateway</body></html>",
]


@pytest.mark.parametrize("body", BROKEN, ids=range(len(BROKEN)))
def test_what_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises(Refused) as refused:
        read_list(body, JSON)
    assert GUID not in refused.value.reason
    with pytest.raises(Refused):
        read_detail(body, JSON, GUID)


def test_a_web_page_is_told_as_what_it_is() -> None:
    with pytest.raises(Refused, match="a web page instead of JSON or XML"):
        read_list(b"<!doctype html><html></html>", "text/html; charset=utf-8")


# --- the detail ------------------------------------------------------------------------------


def _detail(body: bytes, media_type: str) -> bytes | Absent:
    return read_detail(body, media_type, GUID)


def test_a_back_order_that_is_not_there() -> None:
    for empty in (answer(), answer(status_code=200), xml_answer()):
        assert _detail(empty, "") is Absent.EMPTY
    for missing in (answer(status_code=404), as_json({"response": {"status_code": "404"}})):
        assert _detail(missing, JSON) is Absent.NOT_FOUND
    with pytest.raises(Refused, match="status 404"):
        read_list(answer(status_code=404), JSON)


def test_a_detail_is_the_one_that_was_asked_for() -> None:
    other = DETAIL | {"cinx_guid": "another"}
    found = _detail(answer(other, DETAIL), JSON)
    assert isinstance(found, bytes)
    assert json.loads(found) == DETAIL
    for wrong in (other, {}, None, 7):
        with pytest.raises(Refused, match="another back-order"):
            _detail(answer(wrong), JSON)


# --- XML says the same as JSON ---------------------------------------------------------------


def _told(body: bytes, detail: bytes) -> Any:
    [row], problems = POLLED["cinx"].rows(read_list(body, "").page.content, "cinx")
    assert problems == []
    found = _detail(detail, "")
    assert isinstance(found, bytes)
    return POLLED["cinx"].line(row.content, account="cinx", detail=found)


@settings(deadline=None)
@given(row=rows, detail=details)
def test_it_makes_no_difference_whether_a_row_came_as_json_or_xml(row: Json, detail: Json) -> None:
    said = _told(answer(row), answer(detail))
    assert said == _told(xml_answer(as_xml("row", row)), xml_answer(as_xml("row", detail)))


@settings(deadline=None)
@given(row=rows)
def test_the_same_row_is_the_same_bytes_however_the_xml_is_written(row: Json) -> None:
    one = xml_answer(as_xml("row", row))
    other = xml_answer(as_xml("row", dict(reversed(row.items())))).replace(b"<row>", b"<row >\n")
    assert read_list(one, "").page.content == read_list(other, "").page.content
