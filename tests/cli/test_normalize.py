import json
from pathlib import Path

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
