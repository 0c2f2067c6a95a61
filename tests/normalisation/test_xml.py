from typing import Any

import pytest
from lxml import etree

from consumer.normalisation import xml
from consumer.normalisation.xml import NAMESPACE, read


def parsed(inner: str, attributes: str = "") -> Any:
    return read(etree.fromstring(f'<Root xmlns="{NAMESPACE}" {attributes}>{inner}</Root>'))


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("", None),
        (" \n ", None),
        ("<!-- nothing -->", None),
        ("  a text ", "a text"),
        ("a <!-- parted -->t<?by nothing?>ext", "a text"),
        ("<![CDATA[<b>]]>", "<b>"),
        ("<A><![CDATA[]]></A>", {"A": None}),
        ("<A/>", {"A": None}),
        ("<A><!-- nothing --></A>", {"A": None}),
        ("<A> 1 </A><B>2</B><A>3</A>", {"A": ["1", "3"], "B": "2"}),
        ("<A/><A/>", {"A": [None, None]}),
        ('<A id="">Brown</A>', {"A": {"id": None, "#text": "Brown"}}),
        ('<A id="7"><id>8</id></A>', {"A": {"id": ["7", "8"]}}),
        ("one<A/> <!-- - --> two <B/>", {"A": None, "B": None, "#text": ["one", "two"]}),
        ('<o:A xmlns:o="urn:o" o:b="1"/>', {"{urn:o}A": {"{urn:o}b": "1"}}),
        ('<A xmlns=""/>', {"{}A": None}),
        (f'<p:A xmlns:p="{NAMESPACE}"/>', {"A": None}),
    ],
)
def test_reading(inner: str, expected: Any) -> None:
    assert parsed(inner) == expected


def test_attributes_are_sorted_and_schema_hints_left_out() -> None:
    xsi = "http://www.w3.org/2001/XMLSchema-instance"
    hint = f'xmlns:xsi="{xsi}" xsi:schemaLocation="{NAMESPACE} x.xsd"'
    assert list(parsed("", f'b=" 2 " {hint} a="1"').items()) == [("a", "1"), ("b", "2")]
    assert parsed("text", hint) == "text"


def test_names_that_senders_make_up_take_no_more_than_bounded_room() -> None:
    names = [f"Made{number}" for number in range(1_200)]
    long = "L" * 250
    inner = "".join(f"<{name}/>" for name in (*names, long))
    assert list(parsed(inner)) == [*names, long]
    assert 0 < len(xml._names) <= 1_000
    assert not any(long in tag for tag in xml._names)
    assert parsed("<A/>") == {"A": None}
