"""Both readers of `xml` give the same answer, to the order of keys, whatever the tree."""

import threading
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from consumer.model import Problem
from consumer.normalisation import xml, xml_python
from consumer.normalisation.xml import NAMESPACE
from consumer.validation.parsing import parse
from extent import extent

XSI = "http://www.w3.org/2001/XMLSchema-instance"
PREFIXES = {"o": "urn:other", "p": NAMESPACE, "xsi": XSI}  # and none
ROOT = "".join(f' xmlns:{prefix}="{name}"' for prefix, name in PREFIXES.items())
PARSERS: dict[str, Callable[[bytes], Any]] = {
    "ours": parse,
    "plain": etree.fromstring,
    "CDATA kept": lambda body: etree.fromstring(body, etree.XMLParser(strip_cdata=False)),
    "mending": lambda body: etree.fromstring(body, etree.XMLParser(recover=True)),
}
_EXAMPLES = extent(150, long=5_000)

locals_ = st.sampled_from(["A", "B", "id", "schemaLocation", "\u00e9t\u00e9", "Long" * 60])
prefixes = st.sampled_from(["", *PREFIXES])
spaces = st.sampled_from(["", " ", "\n\t", "\u00a0", "\u2003", "\u0085", "\u3000 ", "\ufeff"])
words = st.sampled_from(["x", "1 2", "\u00fc", "\U0001f600", "!", "~", "\u007f"])
texts = st.lists(spaces | words, max_size=4).map("".join)


# --- parsed ----------------------------------------------------------------------------------


pieces = st.one_of(
    texts,
    spaces,
    texts.map("<![CDATA[{}]]>".format),
    st.sampled_from(["<!-- c -->", "<?p i?>", "&amp;", "&lt;", "&#160;", "&#x2003;", "&#10;"]),
)


def named(prefix: str, local: str) -> str:
    return f"{prefix}:{local}" if prefix else local


def written(name: str, said: dict[str, str], inner: list[str], namespace: str | None) -> str:
    attributes = "".join(f" {key}={quoteattr(value)}" for key, value in said.items())
    if namespace is not None and ":" not in name:
        attributes += f' xmlns="{namespace}"'
    return f"<{name}{attributes}>{''.join(inner)}</{name}>"


names = st.builds(named, prefixes, locals_)
attributes = st.dictionaries(names, texts, max_size=4)
namespaces = st.sampled_from([None, None, "", NAMESPACE, "urn:other"])
elements = st.recursive(
    st.builds(written, names, attributes, st.lists(pieces, max_size=3), namespaces),
    lambda inner: st.builds(
        written, names, attributes, st.lists(pieces | inner, max_size=6), namespaces
    ),
    max_leaves=12,
)


def both(element: Any) -> tuple[str, str]:
    assert xml.COMPILED, "the compiled reader is not there: run `make compiled`"
    return repr(xml.read(element)), repr(xml_python.read(element))


@pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)
@settings(deadline=None, max_examples=_EXAMPLES)
@given(inner=st.lists(pieces | elements, max_size=4))
def test_of_what_is_parsed(parser: Callable[[bytes], Any], inner: list[str]) -> None:
    body = f"<Root{ROOT}>{''.join(inner)}</Root>".encode()
    try:
        root = parser(body)
    except etree.XMLSyntaxError:  # one attribute by two prefixes
        return
    if isinstance(root, Problem):
        return
    for element in root.iter(etree.Element):
        compiled, plain = both(element)
        assert compiled == plain


# --- built -----------------------------------------------------------------------------------


tags = st.builds(
    lambda namespace, local: f"{{{namespace}}}{local}" if namespace else local,
    st.sampled_from(["", NAMESPACE, "urn:other", XSI]),
    locals_,
)
steps = st.one_of(
    st.tuples(st.sampled_from(["into", "text", "tail", "cdata", "comment", "pi", "entity"]), texts),
    st.tuples(st.just("child"), tags),
    st.tuples(st.just("set"), st.tuples(tags, texts)),
    st.tuples(st.sampled_from(["out", "drop", "move", "clear"]), st.none()),
)


_cdata: Any = etree.CDATA  # the stubs give it no types
_MADE: dict[str, Callable[[], Any]] = {
    "comment": lambda: etree.Comment("c"),
    "pi": lambda: etree.PI("p", "i"),
    "entity": lambda: etree.Entity("e"),
}


def take(root: Any, at: Any, step: str, what: Any) -> Any:  # noqa: C901 - a table of one-liners
    """One step of building a tree; where the next one is taken."""
    match step:
        case "child":
            return etree.SubElement(at, what)
        case "set":
            at.set(*what)
        case "text":
            at.text = what
        case "cdata":
            at.text = _cdata(what)
        case "tail" if at is not root:
            at.tail = what
        case "comment" | "pi" | "entity":
            made = _MADE[step]()
            made.tail = what
            at.append(made)
        case "into" if len(at) and isinstance(at[-1].tag, str):
            return at[-1]
        case "out" if at is not root:
            return at.getparent()
        case "drop" if len(at):
            at.remove(at[0])
        case "move" if len(at):
            root.append(at[0])
        case "clear":
            at.clear(keep_tail=True)
    return at


@settings(deadline=None, max_examples=2 * _EXAMPLES)
@given(tag=tags, script=st.lists(steps, max_size=40))
def test_of_what_is_built_and_changed(tag: str, script: list[tuple[str, Any]]) -> None:
    at = root = etree.Element(tag)
    for step, what in script:
        at = take(root, at, step, what)
        compiled, plain = both(root)
        assert compiled == plain


# --- at once ---------------------------------------------------------------------------------


def test_by_several_threads_at_once() -> None:
    inner = "".join(f'<A{n} b="{n}"> {n} <C/>\u00a0</A{n}>' for n in range(200))
    bodies = [f"<R xmlns='{NAMESPACE}'><N{n}/>{inner}</R>".encode() for n in range(4)]
    shared = etree.fromstring(bodies[0])
    expected = [xml_python.read(etree.fromstring(body)) for body in bodies]
    right: list[bool] = []

    def reading(body: bytes, value: Any) -> None:
        right.extend(
            xml.read(etree.fromstring(body)) == value and xml.read(shared) == expected[0]
            for _ in range(50)
        )

    threads = [
        threading.Thread(target=reading, args=each) for each in zip(bodies, expected, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [True] * 200
