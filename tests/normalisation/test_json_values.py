import pytest

from consumer.errors import Refused
from consumer.normalisation import json_values
from consumer.normalisation.json_values import day, known, node, number, text

NUMBERS = [
    ("0", "0"),
    ("1.50", "1.50"),
    ("-3", "-3"),
    ("007", "007"),
    ("+5", "5"),
    (".5", "0.5"),
    ("5.", "5"),
    ("1e3", "1000"),
    ("1.5E-3", "0.0015"),
    ("9" * 40, "9" * 40),
    ("9" * 41, None),
    ("1e40", None),
    ("1e999999", None),
    ("0e9999", None),
    ("1e-9999", None),
    ("1" * 10_000, None),
    ("1,5", None),
    ("1_000", None),
    ("٣", None),
    ("NaN", None),
    ("Infinity", None),
    ("0x10", None),
    ("1\n", None),
    ("", None),
]


@pytest.mark.parametrize(("written", "read"), NUMBERS)
def test_numbers_are_decimal_strings_without_an_exponent(written: str, read: str | None) -> None:
    assert json_values.decimal(written) == read


@pytest.mark.parametrize(
    ("value", "read"),
    [(None, None), ("", None), ("  ", None), (12, "12"), (" 12 ", "12"), (0, "0")],
)
def test_a_number_may_be_a_text_or_missing(value: object, read: str | None) -> None:
    assert number(value, "quantity") == read


@pytest.mark.parametrize("value", [True, 10**40, "two", [], {}, "1e99"])
def test_what_is_no_number_is_refused_without_being_quoted(value: object) -> None:
    with pytest.raises(Refused) as refused:
        number(value, "quantity")
    assert refused.value.reason.startswith("quantity: ")
    assert str(value) not in refused.value.reason


@pytest.mark.parametrize(
    ("value", "read"),
    [(None, None), ("", None), (" \n", None), (" as  it is ", " as  it is "), (670, "670")],
)
def test_a_text_stands_as_it_came(value: object, read: str | None) -> None:
    assert text(value, "upc") == read


@pytest.mark.parametrize("value", [True, [], {}, 10**40])
def test_what_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(Refused, match="upc: "):
        text(value, "upc")


def test_a_date_is_one_of_the_calendar() -> None:
    assert day("2024-02-29", "need_by") == "2024-02-29"
    assert day(" ", "need_by") is None
    assert day(None, "need_by") is None


@pytest.mark.parametrize(
    "value",
    ["2023-02-29", "0000-00-00", "2024-2-9", "20240209", "2024-02-09T00:00", 20240209, True, "٢"],
)
def test_no_date_of_the_calendar_is_refused(value: object) -> None:
    with pytest.raises(Refused, match="need_by: not a date written YYYY-MM-DD"):
        day(value, "need_by")


def test_what_is_not_known_is_left_out_and_numbers_become_texts() -> None:
    said = node(
        b'{"a": null, "b": "", "c": [], "d": {"e": {}, "f": " "}, "g": [1, null, [2.50, ""]],'
        b' "h": false, "i": 0, "j": {"k": 1e2}, "l": "as is "}'
    )
    assert known(said) == {
        "g": ["1", ["2.50"]],
        "h": False,
        "i": "0",
        "j": {"k": "100"},
        "l": "as is ",
    }


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not JSON: it is cut short"),
        (b'{"secret": "x', "not JSON: it is cut short"),
        (b'{"secret" "x"}', "not JSON (byte 10)"),
        (b"[1]", "not a JSON object"),
        (b'{"a": "\xff"}', "not JSON: bytes that are no UTF-8"),
        (b'{"a": 1e999999}', "a number of too many digits"),
        (b'{"a": ' + b"9" * 5000 + b"}", "a number of too many digits"),
        (b'{"a": ' + b"[" * 100_000, "JSON that is nested too deep"),
    ],
)
def test_what_cannot_be_read_is_refused_in_our_own_words(content: bytes, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        node(content)
    assert refused.value.reason == reason


def test_an_event_holds_no_bottomless_field() -> None:
    with pytest.raises(Refused, match="nested more than 32 deep"):
        known(node(b'{"a": ' + b"[" * 40 + b"1" + b"]" * 40 + b"}"))
