"""Damage: a document as somebody broken, careless or hostile would send it."""

import random
from collections.abc import Callable
from typing import Any

from lxml import etree

_HOSTILE = (
    "",
    " ",
    "0",
    "-1",
    "1e999999",
    "NaN",
    "9" * 400,
    "0.0000000000000000000000000001",
    "2016-02-30T25:61:61Z",
    "-0001-01-01T00:00:00Z",
    "x" * 5_000,
    "\u202e\u2028\u0085",
    "%s%n{0}${jndi}",
    "../../etc/passwd",
    "'; DROP TABLE events; --",
    "<![CDATA[",
    '\n{"event": "forged"}',
)
_TOKENS = (
    b"<",
    b">",
    b"&",
    b"]]>",
    b"<!--",
    b"<![CDATA[",
    b"<?xml version='1.0'?>",
    b"<!DOCTYPE x [<!ENTITY a 'b'>]>",
    b"&#0;",
    b"&#x110000;",
    b"&amp;",
    b"\0",
    b"\xff\xfe",
    b"\xc0\xaf",
    b"xmlns=''",
    b" xmlns:a='urn:a'",
    b" xml:space='preserve'",
    b" xsi:nil='true'",
    b"</OrderBackorder>",
    b"<OrderBackorderList>",
)

Tree = etree._Element


def _drop(element: Tree, _pick: random.Random) -> None:
    if (parent := element.getparent()) is not None:
        parent.remove(element)


def _double(element: Tree, _pick: random.Random) -> None:
    if element.getparent() is not None:
        element.addnext(etree.fromstring(etree.tostring(element, with_tail=False)))


def _nest(element: Tree, _pick: random.Random) -> None:
    element.append(etree.fromstring(etree.tostring(element, with_tail=False)))


def _rename(element: Tree, pick: random.Random) -> None:
    element.tag = pick.choice(("{urn:other}Other", "Bare", f"{{{_namespace(element)}}}New"))


def _say(element: Tree, pick: random.Random) -> None:
    element.text = _legal(pick.choice(_HOSTILE))


def _say_after(element: Tree, pick: random.Random) -> None:
    element.tail = _legal(pick.choice(_HOSTILE))


def _attribute(element: Tree, pick: random.Random) -> None:
    names = [*map(str, element.attrib), "novel", "{urn:other}novel", "id"]
    element.set(pick.choice(names), _legal(pick.choice(_HOSTILE)))


def _without_attribute(element: Tree, pick: random.Random) -> None:
    if element.attrib:
        del element.attrib[pick.choice(list(element.attrib))]


def _namespace(element: Tree) -> str:
    return etree.QName(element).namespace or "urn:none"


def _legal(text: str) -> str:
    return "".join(each for each in text if each >= " " or each in "\n\t")


_TREE: tuple[Callable[[Tree, random.Random], None], ...] = (
    _drop,
    _double,
    _nest,
    _rename,
    _say,
    _say_after,
    _attribute,
    _without_attribute,
)


def bent(body: bytes, seed: int) -> bytes:
    """The document with a few things in its tree changed; it stays well-formed."""
    pick = random.Random(seed)  # noqa: S311 - repeatable on purpose
    root = etree.fromstring(body)
    for _ in range(pick.randint(1, 4)):
        pick.choice(_TREE)(pick.choice(list(root.iter())), pick)
    written: Any = etree.tostring(root, encoding=pick.choice(("UTF-8", "UTF-16", "ISO-8859-1")))
    return bytes(written)


def torn(body: bytes, seed: int) -> bytes:
    """The document with a few of its bytes changed; hardly anything stays well-formed."""
    pick = random.Random(seed)  # noqa: S311 - repeatable on purpose
    damaged = bytearray(body)
    for _ in range(pick.randint(1, 6)):
        at = pick.randrange(len(damaged) + 1)
        until = min(len(damaged), at + pick.choice((0, 1, 2, 20, 400)))
        put = pick.choice((b"", pick.choice(_TOKENS), bytes([pick.randrange(256)])))
        damaged[at:until] = put
    return bytes(damaged)
