"""Bytes to a tree: what a document's first bytes prove must not let anything past the rules."""

import threading

import pytest

from consumer.model import Problem
from consumer.validation import NAMESPACE
from consumer.validation.parsing import parse

LONG = "urn:" + "n" * 247
DECLARED = '<?xml version="1.0" encoding="UTF-8"?>'
ONE_TOO_LONG = {
    "on the root": f'<a xmlns:p="{LONG}"/>',
    "on the root beside ours": f'<a xmlns="{NAMESPACE}" xmlns:p="{LONG}"/>',
    "inside": f'<a><b xmlns="{LONG}"/></a>',
    "inside, ours on the root": f'<a xmlns="{NAMESPACE}"><b xmlns:p="{LONG}"/></a>',
    "inside, hidden by another of the name": f'<p:a xmlns:p="urn:a"><b xmlns:p="{LONG}"/></p:a>',
    "beside a declaration that counts for nothing": (
        f'<a xmlns:xml="http://www.w3.org/XML/1998/namespace"><b xmlns="{LONG}"/><!-- xmlns --></a>'
    ),
}


def reason(body: bytes) -> str:
    problem = parse(body)
    assert isinstance(problem, Problem)
    return problem.reason


@pytest.mark.parametrize("document", ONE_TOO_LONG.values(), ids=ONE_TOO_LONG)
@pytest.mark.parametrize("declaration", ["", DECLARED, '<?xml version="1.0"?>', "<!-- c -->", "\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_no_namespace_is_too_long(document: str, declaration: str, encoding: str) -> None:
    declaration = declaration.replace("UTF-8", encoding.removesuffix("-sig"))
    body = (declaration + document).encode(encoding)
    assert reason(body) == "a namespace of more than 250 characters"


def test_a_long_namespace_is_not_hidden_by_an_encoding() -> None:
    inner = f'<b +AHg-mlns="{LONG}"/>'
    body = f'<?xml version="1.0" encoding="UTF-7"?><a xmlns="urn:a">{inner}</a>'.encode()
    assert reason(body) == "a namespace of more than 250 characters"


@pytest.mark.parametrize(
    "declaration", ["", DECLARED, DECLARED + "\n", "\ufeff", "\ufeff" + DECLARED]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_a_document_type_is_refused_whatever_stands_before_it(
    declaration: str, encoding: str
) -> None:
    declaration = declaration.replace("UTF-8", encoding[:6])
    body = f"{declaration} <!DOCTYPE a><a/>".encode(encoding)
    # white space before anything but a mark leaves UTF-16 without its first bytes to be known by
    assert reason(body) in {
        "a document type declaration (DOCTYPE) is not allowed",
        "this is not XML: it does not begin with a start tag",
    }


@pytest.mark.parametrize("start", ["<a", DECLARED + "<a", "\ufeff<a", DECLARED + "\n<a"])
def test_a_document_type_behind_the_root_is_no_xml(start: str) -> None:
    for rest in ("><!DOCTYPE a></a>", "/><!DOCTYPE a>"):
        assert isinstance(parse((start + rest).encode()), Problem)


def test_what_does_not_say_utf_8_is_read_as_what_it_says() -> None:
    for encoding in ("iso-8859-1", "windows-1252", "utf-16"):
        root = parse(f'<?xml version="1.0" encoding="{encoding}"?><a>\u00e9</a>'.encode(encoding))
        assert not isinstance(root, Problem)
        assert root.text == "\u00e9"


@pytest.mark.parametrize("start", ["", DECLARED, "\ufeff" + DECLARED + "\n"])
def test_white_space_between_elements_may_be_left_out(start: str) -> None:
    body = f"{start}<a>\n <b> </b> <c> x </c>\n<d>y <e/> <e/></d></a>".encode()
    kept, left_out = parse(body), parse(body, blanks=False)
    assert not isinstance(kept, Problem)
    assert not isinstance(left_out, Problem)
    assert list(kept.itertext()) == ["\n ", " ", " ", " x ", "\n", "y ", " "]
    assert list(left_out.itertext()) == [" ", " x ", "y ", " "]


@pytest.mark.parametrize(
    "body",
    [
        b"<a><b> <!-- c --></b> <b/></a>",
        b"<a><b> <?p i?></b> <b/></a>",
        DECLARED.encode() + b"<a><b> <?p i?></b> <b/></a>",
        b"<a><b><![CDATA[ ]]></b> <b/></a>",
        b"<a><b> \r\n</b> <b/></a>",
        b"<a><b> \r\nx</b> <b/></a>",
        b"<a>\r\n<b> &#13;</b>\r\n</a>",
        "<?xml version='1.0' encoding='UTF-16'?><a><b> <!-- c --></b> <b/></a>".encode("utf-16"),
    ],
)
def test_white_space_that_may_be_a_value_is_never_left_out(body: bytes) -> None:
    kept, root = parse(body), parse(body, blanks=False)
    assert not isinstance(kept, Problem)
    assert not isinstance(root, Problem)
    assert list(root.itertext()) == list(kept.itertext())
    assert len(list(root.itertext())) >= 2


def test_threads_share_a_parser() -> None:
    found: list[str] = []

    def several(name: str) -> None:
        good, bad = f"<{name}/>".encode(), f"<{name}>".encode()
        for _ in range(300):
            root = parse(good)
            assert not isinstance(root, Problem)
            found.extend((str(root.tag), reason(bad)))

    threads = [threading.Thread(target=several, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 * 300 * 2
    assert set(found) == {*"abcd", "the document ends before its last end tag"}
