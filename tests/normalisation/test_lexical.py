import pytest

from consumer.normalisation import lexical


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("188.00", "188.00"),
        ("0", "0"),
        ("-3", "-3"),
        ("+5", "5"),
        ("+.5", "0.5"),
        ("-.50", "-0.50"),
        ("7.", "7"),
        ("007.10", "007.10"),
        ("", None),
        (".", None),
        ("-", None),
        ("1e3", None),
        ("1,000", None),
        ("NaN", None),
        ("12\n", None),
        ("٣", None),
    ],
)
def test_decimals(text: str, expected: str | None) -> None:
    assert lexical.decimal(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2016-07-13T13:47:54Z", ("2016-07-13T13:47:54Z", True)),
        ("2016-07-13T13:47:54+00:00", ("2016-07-13T13:47:54Z", True)),
        ("2016-07-13T13:47:54-00:00", ("2016-07-13T13:47:54Z", True)),
        ("2016-07-13T13:47:54.5Z", ("2016-07-13T13:47:54.500000Z", True)),
        ("0999-07-13T13:47:54Z", ("0999-07-13T13:47:54Z", True)),
        # said more than the moment in UTC tells
        ("2016-07-13T13:47:54", ("2016-07-13T13:47:54Z", False)),
        ("2016-07-13T23:47:54-04:00", ("2016-07-14T03:47:54Z", False)),
        ("2016-07-13T13:47:54.1234569Z", ("2016-07-13T13:47:54.123456Z", False)),
        # cannot be told at all
        ("2016-07-13T24:00:00Z", (None, False)),
        ("12016-07-13T13:47:54Z", (None, False)),
        ("-0044-03-15T12:00:00Z", (None, False)),
        ("0000-01-01T00:00:00Z", (None, False)),
        ("2015-02-29T00:00:00Z", (None, False)),
        ("2016-07-13T13:47:60Z", (None, False)),
        ("0001-01-01T00:00:00+14:00", (None, False)),
        ("9999-12-31T23:59:59-14:00", (None, False)),
        ("2016-07-13", (None, False)),
        ("soon", (None, False)),
    ],
)
def test_moments(text: str, expected: tuple[str | None, bool]) -> None:
    assert lexical.moment(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2016-07-20", ("2016-07-20", True)),
        ("2016-07-20Z", ("2016-07-20", False)),
        ("2016-07-20-05:00", ("2016-07-20", False)),
        ("2015-02-29", (None, False)),
        ("12016-07-20", (None, False)),
        ("2016-07-20T00:00:00Z", (None, False)),
    ],
)
def test_days(text: str, expected: tuple[str | None, bool]) -> None:
    assert lexical.day(text) == expected
