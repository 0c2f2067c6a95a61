"""MVET's published answer, field for field, and what is no answer."""

import json
from pathlib import Path
from typing import Any

import pytest

from consumer.errors import Refused
from consumer.event import Data, Line, Order, Quantity
from consumer.normalisation.polled import POLLED, subject

MVET = POLLED["mvet"]
SAMPLE = Path(__file__).parent.parent / "data" / "mvet" / "mvet-boinquiry-0002789.json"
ACCOUNT = "0002789"

# order, item, description, backordered, ordered
LINES = [
    ("45929940", "350.81827.2", "MUZZLE BASKERVILLE ULTRA SET/6", "1", "1"),
    ("45929940", "653.54034.3", "DERMOSCENT ATOP 7 HYDRA WIPES", "2", "2"),
    ("45929940", "052.02110.3", "AVENTI OMEGA 3 COMPLETE 500ml", "1", "1"),
    ("45929940", "191.26115.3", "BROMFENAC OPHTHALMIC SOLUTION", "1", "1"),
    ("45929940", "000.06061.2", 'MVET WHITE POROUS TAPE 1"', "3", "3"),
    ("45929940", "000.02034.3", "MVET SHOE COVERS XL", "1", "1"),
    ("45929940", "261.91000.2", "Vr BETTER GLOVES XL", "5", "5"),
    ("45929941", "474.76127.3", "ADAPTER PLUG YELLOW 1/4cc -", "1", "1"),
    ("45929941", "474.50102.2", "EMCARE BIOFREE FLUSH SOLUTION", "3", "3"),
    ("45929941", "370.02555.3", "ICHON STER PS-GAG 5X5ml SLEEVE", "1", "1"),
    ("45929941", "350.19998.2", "CALM CARRIER SLIDING CAT", "4", "4"),
    ("45929941", "350.50343.2", "BOWL ECON SS 16oz", "6", "6"),
    ("45929941", "377.12092.2", "KONG GOODIE BONE MED", "3", "3"),
]


def row(**fields: object) -> dict[str, Any]:
    """The first row of the published answer; a field that is `...` is left out."""
    first = json.loads(SAMPLE.read_bytes())[0] | fields
    return {name: value for name, value in first.items() if value is not ...}


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


def line(**fields: object) -> Data:
    return MVET.line(encoded(row(**fields)), account=ACCOUNT)


# --- what is told ----------------------------------------------------------------------------


def test_the_published_answer_holds_thirteen_lines() -> None:
    rows, problems = MVET.rows(SAMPLE.read_bytes(), ACCOUNT)
    assert problems == []
    assert [each.key for each in rows] == [f"{order}/{item}" for order, item, *_ in LINES]
    assert len(rows) == len(LINES) == 13


@pytest.mark.parametrize("index", range(13))
def test_every_field_of_the_published_answer(index: int) -> None:
    order, item, description, backordered, ordered = LINES[index]
    rows, _ = MVET.rows(SAMPLE.read_bytes(), ACCOUNT)
    assert MVET.line(rows[index].content, account=ACCOUNT) == Data(
        order=Order(number=order, date="2025-07-31", account="0002789"),
        line=Line(item=item, description=description),
        quantity=Quantity(backordered=backordered, ordered=ordered, shipped="0"),
        delay="backorder",
    )


def test_a_row_is_the_bytes_that_came() -> None:
    rows, _ = MVET.rows(b'[ {"orderNumber" : 1,\n"itemNumber":"i", "accountNumber":"7"} ]', "7")
    assert [*rows] == [("1/i", b'{"orderNumber" : 1,\n"itemNumber":"i", "accountNumber":"7"}')]


def test_a_byte_order_mark_says_nothing() -> None:
    assert MVET.rows(b"\xef\xbb\xbf" + encoded([row()]), ACCOUNT) == MVET.rows(
        encoded([row()]), ACCOUNT
    )


def test_fields_that_nobody_published_are_kept() -> None:
    told = line(warehouse="NORTH", eta=20250801, price=1.25, notes=None, taxable=True)
    assert told.extra == {
        "warehouse": "NORTH",
        "eta": "20250801",
        "price": "1.25",
        "taxable": True,
    }


@pytest.mark.parametrize(
    ("fields", "quantity"),
    [
        ({"backorderedQuantity": 1.5}, Quantity(backordered="1.5", ordered="1", shipped="0")),
        ({"orderedQuantity": "2"}, Quantity(backordered="1", ordered="2", shipped="0")),
        ({"shippedQuantity": None}, Quantity(backordered="1", ordered="1")),
        ({"shippedQuantity": ...}, Quantity(backordered="1", ordered="1")),
    ],
)
def test_quantities(fields: dict[str, object], quantity: Quantity) -> None:
    assert line(**fields).quantity == quantity


@pytest.mark.parametrize("date", [None, "", ..., 0, "0", "00000000"])
def test_a_date_that_is_not_known(date: object) -> None:
    assert line(date=date).order.date is None


def test_a_date_may_be_a_text() -> None:
    assert line(date="20240229").order.date == "2024-02-29"


def test_the_account_stands_as_the_row_has_it() -> None:
    told = MVET.line(encoded(row(accountNumber="0002789-0004029")), account=ACCOUNT)
    assert told.order.account == "0002789-0004029"


def test_there_is_no_detail() -> None:
    assert not MVET.over(b'{"dates": {"cleared": "2019-06-11"}}')
    assert MVET.carry(line(), line(description="other")) == line()


# --- keys ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"orderNumber": "45929940"}, "45929940/350.81827.2"),
        ({"orderNumber": "00459"}, "00459/350.81827.2"),
        ({"itemNumber": "A/B"}, "45929940/A/B"),
        ({"itemNumber": "A#2"}, "45929940/A%232"),
        ({"itemNumber": "50%23"}, "45929940/50%2523"),
        ({"orderNumber": "1/2"}, "1%2F2/350.81827.2"),
        # a ship-to is part of the key, whatever an item looks like
        ({"accountNumber": "0002789-0000001"}, "45929940/350.81827.2@0002789-0000001"),
        ({"itemNumber": "A@0002789-0000001"}, "45929940/A%400002789-0000001"),
        ({"orderNumber": "1@2"}, "1%402/350.81827.2"),
        ({"accountNumber": "0002789-#2"}, "45929940/350.81827.2@0002789-%232"),
    ],
)
def test_no_two_keys_can_be_mistaken_for_one_another(fields: dict[str, object], key: str) -> None:
    [found], problems = MVET.rows(encoded([row(**fields)]), ACCOUNT)
    assert (found.key, problems) == (key, [])


def test_a_second_row_of_one_key_is_told_apart() -> None:
    rows, _ = MVET.rows(encoded([row(), row()]), ACCOUNT)
    assert {each.key for each in rows} == {"45929940/350.81827.2"}
    assert subject(rows[0].key) == "45929940/350.81827.2"
    assert subject(rows[1].key, 2) == "45929940/350.81827.2#2"


@pytest.mark.parametrize(
    ("asked", "said", "ours"),
    [
        ("0002789", "0002789", True),
        ("0002789", "0002789-0004029", True),
        ("00%2F27", "00/27", True),
        ("0002789", "2789", False),
        ("0002789", "00027890", False),
        ("0002789", "0004027-0002789", False),
    ],
)
def test_whose_line_it_is(asked: str, said: str, ours: bool) -> None:
    rows, problems = MVET.rows(encoded([row(accountNumber=said)]), asked)
    assert bool(rows) is ours
    if not ours:
        assert [str(problem) for problem in problems] == [
            "$[0].accountNumber: a line of another account than the one asked for"
        ]


# --- what is broken --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"orderNumber": ...}, ".orderNumber"),
        ({"orderNumber": None}, ".orderNumber"),
        ({"orderNumber": " "}, ".orderNumber"),
        ({"orderNumber": 1.5}, ".orderNumber"),
        ({"orderNumber": True}, ".orderNumber"),
        ({"orderNumber": 10**40}, ".orderNumber"),
        ({"orderNumber": [1]}, ".orderNumber"),
        ({"itemNumber": ...}, ".itemNumber"),
        ({"itemNumber": ""}, ".itemNumber"),
        ({"itemNumber": 350}, ".itemNumber"),
        ({"itemNumber": "a\u0000b"}, ".itemNumber"),
        ({"itemNumber": "i" * 101}, ".itemNumber"),
        ({"accountNumber": ...}, ".accountNumber"),
        ({"accountNumber": ""}, ".accountNumber"),
        ({"accountNumber": 2789}, ".accountNumber"),
        ({"accountNumber": "0002789-\n"}, ".accountNumber"),
    ],
)
def test_a_row_without_a_key_is_a_problem_and_the_others_count(
    fields: dict[str, object], place: str
) -> None:
    rows, problems = MVET.rows(encoded([row(), row(**fields), row(itemNumber="other")]), ACCOUNT)
    assert [each.key for each in rows] == ["45929940/350.81827.2", "45929940/other"]
    [problem] = problems
    assert problem.path == f"$[1]{place}"


@pytest.mark.parametrize("element", [b"1", b"null", b'"x"', b"[]", b'{"a": "\xff"}'])
def test_an_element_that_is_no_row_is_a_problem(element: bytes) -> None:
    rows, [problem] = MVET.rows(b"[" + element + b"," + encoded(row()) + b"]", ACCOUNT)
    assert len(rows) == 1
    assert (problem.path or "").startswith("$[0]")


@pytest.mark.parametrize(
    "body", [b"", b"null", b"{}", b'{"error": "down"}', b"<html>", b"[{]", SAMPLE.read_bytes()[:-9]]
)
def test_an_answer_that_is_no_whole_array_is_refused(body: bytes) -> None:
    with pytest.raises(Refused):
        MVET.rows(body, ACCOUNT)


def test_an_empty_array_is_an_answer() -> None:
    assert MVET.rows(b" [ ] ", ACCOUNT) == ([], [])


@pytest.mark.parametrize(
    "fields",
    [
        {"date": 20250229},
        {"date": "2025-07-31"},
        {"date": 2025073},
        {"date": True},
        {"backorderedQuantity": "two"},
        {"backorderedQuantity": [1]},
        {"orderedQuantity": False},
        {"shippedQuantity": 10**40},
        {"description": ["x"]},
        {"new": 10**40},
    ],
)
def test_a_field_of_another_kind_refuses_the_row(fields: dict[str, object]) -> None:
    with pytest.raises(Refused):
        line(**fields)
