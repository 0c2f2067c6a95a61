import threading
from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree

from consumer.normalisation import xml, xml_python
from consumer.normalisation.xml import NAMESPACE
from counting import kept_blocks

Read = Callable[[Any], Any]


@pytest.fixture(params=["compiled", "python"])
def read(request: pytest.FixtureRequest) -> Read:
    """Each of the two readers in its turn."""
    if request.param == "python":
        return xml_python.read
    assert xml.COMPILED, "the compiled reader is not there: run `make compiled`"
    return xml.read


def parsed(read: Read, inner: str, attributes: str = "") -> Any:
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
def test_reading(read: Read, inner: str, expected: Any) -> None:
    assert parsed(read, inner) == expected


def test_attributes_are_sorted_and_schema_hints_left_out(read: Read) -> None:
    xsi = "http://www.w3.org/2001/XMLSchema-instance"
    hint = f'xmlns:xsi="{xsi}" xsi:schemaLocation="{NAMESPACE} x.xsd"'
    assert list(parsed(read, "", f'b=" 2 " {hint} a="1"').items()) == [("a", "1"), ("b", "2")]
    assert parsed(read, "text", hint) == "text"


def test_an_element_is_read_without_what_stands_around_it(read: Read) -> None:
    whole = etree.fromstring("<r>before<a>1<b/>2</a>tail<c>3</c></r>")
    element = whole[0]
    assert read(element) == {"{}b": None, "#text": ["1", "2"]}
    whole.remove(element)
    del whole
    assert read(element) == {"{}b": None, "#text": ["1", "2"]}
    assert read(etree.fromstring("<!-- 1 --><a>x</a><!-- 2 -->")) == "x"


def test_the_tree_of_a_document_with_a_type_is_read_as_lxml_reads_it(read: Read) -> None:
    entities = '<!ENTITY f "F"><!ENTITY g "G&f;H"><!ENTITY b "<b/>">'
    default = '<!ATTLIST a d CDATA " D ">'
    text = f'<!DOCTYPE a [{entities}{default}]><a x="&g;" y="1&f;">p&b;q</a>'
    parser = etree.XMLParser(resolve_entities=False, attribute_defaults=True)
    element = etree.fromstring(text, parser)
    assert read(element) == {"d": "D", "x": "GFH", "y": "1F", "#text": "pq"}


def test_of_an_attribute_that_stands_twice_the_first_is_read(read: Read) -> None:
    text = '<a x="1" x="" xmlns:p="u" xmlns:q="u" p:z="2" q:z=""/>'
    assert read(etree.fromstring(text, etree.XMLParser(recover=True))) == {"x": "1", "{u}z": "2"}


@pytest.mark.parametrize(
    "nothing_to_read",
    [
        etree.Comment("c"),
        etree.PI("p", "i"),
        etree.Entity("e"),
        etree.fromstring("<a/>").getroottree(),
        None,
        "text",
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_elements_are_read(read: Read, nothing_to_read: Any) -> None:
    with pytest.raises((TypeError, AttributeError)):
        read(nothing_to_read)


def nested(levels: int) -> Any:
    element = root = etree.Element("a")
    for _ in range(levels - 1):
        element = etree.SubElement(element, "a")
    element.text = "deep"
    return root


def test_what_the_parser_lets_pass_is_not_too_deep(read: Read) -> None:
    value = read(nested(256))
    for _ in range(255):
        value = value["{}a"]
    assert value == "deep"


def test_what_is_built_too_deep_is_refused(read: Read) -> None:
    tree, refused = nested(6_000), []

    def reading() -> None:
        with pytest.raises(RecursionError):
            read(tree)
        refused.append(True)

    before = threading.stack_size(512 << 10)  # one that so many levels would overflow
    try:
        thread = threading.Thread(target=reading)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    assert refused
    assert read(nested(2)) == {"{}a": "deep"}


def test_much_is_read_whole(read: Read) -> None:
    root = etree.Element("a", long=" \u2003" + "v" * 1_000_000)
    root.text = "\u00a0" + "x" * 1_000_000 + "\u00a0"
    for number in range(10_000):
        etree.SubElement(root, f"b{number % 10}").tail = " \u2003 "
    value = read(root)
    assert value["long"] == "v" * 1_000_000
    assert value["#text"] == "x" * 1_000_000
    assert all(value[f"{{}}b{digit}"] == [None] * 1_000 for digit in range(10))


def test_names_that_senders_make_up_are_read_and_take_no_more_than_bounded_room(read: Read) -> None:
    def told(start: int) -> None:
        names = [f"Made{number}" for number in range(start, start + 3_000)]
        inner = "".join(f"<{name}/>" for name in (*names, "L" * 40_000))
        assert list(parsed(read, inner)) == [*names, "L" * 40_000]
        assert parsed(read, "<A/>") == {"A": None}

    told(0)
    assert kept_blocks(lambda: told(3_000)) < 1_000
