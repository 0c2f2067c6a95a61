"""An answer in XML becomes the values that it has in JSON."""

from typing import Any

import pytest

from consumer.errors import Refused
from consumer.normalisation.cinx_xml import document


@pytest.mark.parametrize(
    ("inner", "value"),
    [
        ("<a/>", {"a": None}),
        ("<a> \n </a>", {"a": None}),
        ("<a> as is </a>", {"a": " as is "}),
        ("<a><![CDATA[<b>]]> &amp;<!-- c --><?p i?></a>", {"a": "<b> &"}),
        ("<a><b>1</b><c/></a>", {"a": {"b": "1", "c": None}}),
        ("<a>1</a><b/><a>2</a><a>3</a>", {"a": ["1", "2", "3"], "b": None}),
        ("<a><b/><b/></a><a>1</a>", {"a": [{"b": [None, None]}, "1"]}),
        ("<updates><update>1</update></updates>", {"updates": ["1"]}),
        ("<taxes><tax>1</tax></taxes>", {"taxes": ["1"]}),
        ("<deliveries><delivery/></deliveries>", {"deliveries": [None]}),
        ("<apps><row><b>1</b></row></apps>", {"apps": [{"b": "1"}]}),
        ("<apps><b>1</b></apps>", {"apps": {"b": "1"}}),
        ("<n:a xmlns:n='urn:n' n:type='x' nil='y'>1</n:a>", {"a": "1"}),
        ("<rows/>", {"rows": []}),
        ("<rows><row/></rows>", {"rows": [None]}),
        ("<rows><row><a>1</a></row></rows>", {"rows": [{"a": "1"}]}),
        ("<rows><back-order><a>1</a></back-order></rows>", {"rows": [{"a": "1"}]}),
        ("<rows><x><a>1</a></x><x><a>2</a></x></rows>", {"rows": [{"a": "1"}, {"a": "2"}]}),
        ("<rows><a>1</a><b>2</b></rows>", {"rows": [{"a": "1", "b": "2"}]}),
        ("<rows><a>1</a></rows><rows><a>2</a></rows>", {"rows": [{"a": "1"}, {"a": "2"}]}),
        ("<x><rows>1</rows></x>", {"x": {"rows": "1"}}),
    ],
)
def test_what_elements_become(inner: str, value: Any) -> None:
    assert document(f"<cinx_api>{inner}</cinx_api>".encode()) == value
    assert document(f"<r:other xmlns:r='urn:r'>{inner}</r:other>".encode()) == value


def test_other_encodings() -> None:
    assert document("<?xml version='1.0' encoding='iso-8859-1'?><a><b>é</b></a>".encode("latin-1"))


def test_entities_are_refused_before_anything_is_parsed() -> None:
    with pytest.raises(Refused, match=r"^XML with a document type declaration$"):
        document(b"<!DOCTYPE a [" + BOMB + b"]><a b='&b;'>")


SECRET = "dfed7d88"
BOMB = b"<!ENTITY a 'ha'><!ENTITY b '" + b"&a;" * 50 + b"'>"


@pytest.mark.parametrize(
    "body",
    [
        b"<!DOCTYPE a><a/>",
        b"<?xml version='1.0'?><!-- c --><!DOCTYPE a [" + BOMB + b"]><a>&b;</a>",
        b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>",
        b"<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><a>&e;</a>",
        "<!DOCTYPE a><a/>".encode("utf-16-le"),
        "<?xml version='1.0' encoding='cp037'?><!DOCTYPE a><a/>".encode("cp037"),
        f"<a><b>{SECRET}</a>".encode(),
        f"<a>&{SECRET};</a>".encode(),
        f"<{SECRET}".encode(),
        b"",
    ],
)
def test_what_is_refused_and_nothing_is_quoted(body: bytes) -> None:
    with pytest.raises(Refused) as refused:
        document(body)
    assert SECRET not in refused.value.reason
