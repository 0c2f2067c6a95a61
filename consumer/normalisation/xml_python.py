"""`xml.read` by means of lxml's elements: the plain one of the two readers.

Names are worked out once. What a sender makes up is remembered as well, but a name has no more than
50,000 characters (libxml2's own limit), and no more than 256 stay.
"""

from functools import lru_cache
from typing import Any

from consumer.normalisation import xml_rules
from consumer.normalisation.xml_rules import HINTS, TEXT, Element, Node, add

_name_of = lru_cache(256)(xml_rules.name_of)


def read(element: Element) -> Any:
    """The element as a text, a dict or None."""
    if not isinstance(element.tag, str):
        raise TypeError("not an element of a tree")
    return _read(element, element.items())


def _read(element: Element, attributes: list[tuple[str, str]]) -> Any:
    """`read`; the attributes are the element's, at which its parent had to look already.

    Most elements hold a text and nothing else, and are the only ones of their name: those are read
    without another call.
    """
    attributes.sort()
    node: Node = {name: text.strip() or None for name, text in attributes if name not in HINTS}
    pieces = [element.text or ""]  # of its own text; comments do not part it
    for child in element[:]:
        if not isinstance(tag := child.tag, str):
            pieces[-1] += child.tail or ""
            continue
        if (attributes := child.items()) or len(child):
            value = _read(child, attributes)
        else:
            value = (child.text or "").strip() or None
        if (name := _name_of(tag)) in node:
            add(node, name, value)
        else:
            node[name] = value
        pieces.append(child.tail or "")
    texts = [stripped for piece in pieces if (stripped := piece.strip())]
    if not texts:
        return node or None
    if not node:
        return texts[0]
    node[TEXT] = texts if len(texts) > 1 else texts[0]
    return node
