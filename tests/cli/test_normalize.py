import json
from pathlib import Path
from typing import Any

import pytest

from program import RADIAL, Call, Edit


def test_events_are_printed_one_json_object_a_line(program: Call) -> None:
    files = sorted(RADIAL.glob("*.xml"))
    done = program("normalize", "--source", "radial", *files)
    assert done.status == 0
    assert done.err == ""
    events = [json.loads(line) for line in done.out.splitlines()]
    assert len(events) == len(files) == 8
    assert {event["specversion"] for event in events} == {"1.0"}
    assert {event["source"] for event in events} == {"/radial/TMS_US"}
    assert {event["type"] for event in events} == {
        "backorder.opened",
        "backorder.presell",
        "backorder.delayed",
        "backorder.allocation_cancelled",
    }


def test_the_same_fact_has_the_same_id_whatever_it_came_from(program: Call, sample: Path) -> None:
    as_list = RADIAL / "OrderBackorderList-Backorder.xml"
    done = program("normalize", "--source", "radial", "-", as_list, stdin=sample.read_bytes())
    first, second = [json.loads(line)["id"] for line in done.out.splitlines()]
    assert first == second


def test_the_valid_events_of_a_list_are_printed_and_the_others_told(
    call: Call, sample: Path, tmp_path: Path
) -> None:
    declaration, _, event = sample.read_text().partition("\n")
    bad = event.replace('webLineId="1"', 'webLineId="one"')
    file = tmp_path / "list.xml"
    file.write_text(
        f'{declaration}\n<OrderBackorderList xmlns="http://api.gsicommerce.com/schema/checkout/1.0">'
        f"\n{event}{bad}</OrderBackorderList>"
    )
    done = call("normalize", "--source", "radial", file)
    assert done.status == 1
    assert len(done.out.splitlines()) == 1
    assert done.err
    before = file.read_text().rpartition("isBundleParent")[0]
    line_of_the_bad_one = before.count("\n") + 1
    for problem in done.err.splitlines():
        assert problem.startswith(f"{file}:{line_of_the_bad_one}: ")
        assert "webLineId" in problem


def test_drift_goes_with_the_event(call: Call, edited: Edit) -> None:
    drifted = edited(("<OrderItemKind>", "<GiftWrap>yes</GiftWrap><OrderItemKind>"))
    done = call("normalize", "--source", "radial", drifted)
    assert done.status == 0
    assert json.loads(done.out)["drift"] == "OrderItem/GiftWrap"


def test_what_is_no_back_order_is_refused(call: Call, tmp_path: Path) -> None:
    (tmp_path / "other.xml").write_text("<OrderShipped/>")
    assert call("normalize", "--source", "radial", tmp_path / "other.xml") == (
        1,
        "",
        f"{tmp_path}/other.xml:1: root element OrderShipped is not a Radial back-order message\n",
    )


def test_a_file_that_cannot_be_read(call: Call, sample: Path, tmp_path: Path) -> None:
    done = call("normalize", "--source", "radial", tmp_path / "absent.xml", sample)
    assert done.status == 2
    assert len(done.out.splitlines()) == 1
    assert done.err == f"error: {tmp_path}/absent.xml: No such file or directory\n"


def test_a_schema_set_that_cannot_be_used(call: Call, sample: Path, tmp_path: Path) -> None:
    done = call("normalize", "--source", "radial", "--schemas", tmp_path, sample)
    assert (done.status, done.out) == (2, "")


def test_the_source_must_be_a_known_one(call: Call, sample: Path) -> None:
    assert call("normalize", sample).status == 2
    done = call("normalize", "--source", "radail", sample)
    assert done.status == 2
    assert "'radial'" in done.err


# --- polled upstreams ------------------------------------------------------------------------

DATA = RADIAL.parent
INQUIRY = DATA / "mvet" / "mvet-boinquiry-0002789.json"
CINX = DATA / "cinx"
GUID = "076bd4bb-d6d9-5096-96f2-ec105d0562b1"


def events_in(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_an_inquiry_of_mvet(call: Call) -> None:
    done = call("normalize", "--source", "mvet", INQUIRY)
    assert (done.status, done.err) == (0, "")
    events = events_in(done.out)
    assert len(events) == 13
    assert {(event["source"], event["type"]) for event in events} == {
        ("/mvet/0002789", "backorder.opened")
    }
    assert events[0]["subject"] == "45929940/350.81827.2"
    assert len({event["id"] for event in events}) == 13
    again = call("normalize", "--source", "mvet", "--account", "0002789", INQUIRY)
    assert [event["id"] for event in events_in(again.out)] == [event["id"] for event in events]


def test_the_same_item_twice_and_two_accounts(call: Call, tmp_path: Path) -> None:
    row = json.loads(INQUIRY.read_bytes())[0]
    file = tmp_path / "inquiry.json"
    file.write_text(json.dumps([row, row, row | {"accountNumber": "7 8"}]))
    told = [
        (event["source"], event["subject"])
        for event in events_in(call("normalize", "--source", "mvet", file).out)
    ]
    assert told == [
        ("/mvet/0002789", "45929940/350.81827.2"),
        ("/mvet/0002789", "45929940/350.81827.2#2"),
        ("/mvet/7%208", "45929940/350.81827.2"),
    ]


def test_rows_of_mvet_that_are_none_of_it(call: Call, tmp_path: Path) -> None:
    row = json.loads(INQUIRY.read_bytes())[0]
    file = tmp_path / "inquiry.json"
    foreign, undated = row | {"accountNumber": "7"}, row | {"date": 20250229}
    file.write_text(json.dumps([row, foreign, undated]))
    done = call("normalize", "--source", "mvet", "--account", "0002789", file)
    assert done.status == 1
    assert len(done.out.splitlines()) == 1
    assert done.err.splitlines() == [
        f"{file}: $[1].accountNumber: a line of another account than the one asked for",
        f"{file}: 45929940/350.81827.2: date: not a date written YYYYMMDD",
    ]


@pytest.mark.parametrize("kind", ["json", "xml"])
def test_a_list_and_a_detail_of_cinx(call: Call, kind: str) -> None:
    listed, detail = CINX / f"cinx-back-orders-list.{kind}", CINX / f"cinx-back-order-detail.{kind}"
    done = call("normalize", "--source", "cinx", listed, detail)
    assert (done.status, done.err) == (0, "")
    first, second = events_in(done.out)
    for event in (first, second):
        assert (event["source"], event["subject"]) == ("/cinx/cinx", GUID)
        assert event["type"] == "backorder.opened"
    assert first["data"]["line"]["unit_price"] is None
    assert second["data"]["line"]["unit_price"] == "270.05"
    named = call("normalize", "--source", "cinx", "--account", "WTS Mechanical", listed)
    [event] = events_in(named.out)
    assert event["source"] == "/cinx/WTS%20Mechanical"
    assert event["data"]["order"]["account"] == "WTS Mechanical"


def test_a_detail_that_says_it_is_over(call: Call, tmp_path: Path) -> None:
    text = (CINX / "cinx-back-order-detail.json").read_text()
    file = tmp_path / "detail.json"
    file.write_text(text.replace('"cleared": ""', '"cleared": "2019-06-12"'))
    [event] = events_in(call("normalize", "--source", "cinx", file).out)
    assert event["type"] == "backorder.cleared"
    assert event["data"]["dates"]["cleared"] == "2019-06-12"


@pytest.mark.parametrize(
    ("source", "content", "reason"),
    [
        ("mvet", "{}", "not a JSON array"),
        ("mvet", "[", "not JSON: it is cut short"),
        ("cinx", '{"response": {"status_code": 401}}', "the envelope says status 401"),
        ("cinx", '{"response": {}}', "no list of rows in the answer"),
        ("cinx", "<cinx_api>", "not well-formed XML (line 1)"),
    ],
)
def test_an_answer_that_is_none(
    call: Call, tmp_path: Path, source: str, content: str, reason: str
) -> None:
    file = tmp_path / "answer"
    file.write_text(content)
    assert call("normalize", "--source", source, file) == (1, "", f"{file}: {reason}\n")
