"""An XML element as plain values: a text, a dict or None.

What an element becomes:

- without attributes and children: its text, or None where that is blank;
- otherwise a dict: attributes sorted by name, then children in document order, each under its
  name; own text, where it is not blank, under `#text` (no XML name begins with `#`): a list where
  children stand between its pieces;
- what occurs more than once under one name becomes a list, attributes first. A list never means
  anything else;
- names of the message's own namespace, and of attributes without one, stand bare; all others keep
  theirs in braces (`{urn:other}Name`, `{}Name` for an element without namespace), so that nobody
  else's `Customer` is taken for Radial's.

White space around texts (as Unicode has it) goes, and so do comments, processing instructions,
prefixes, and the two `xsi:` attributes that merely hint where a schema may be found: they say
nothing about the order, and the same fact must read the same whoever formatted it.
"""

from typing import Any

NAMESPACE = "http://api.gsicommerce.com/schema/checkout/1.0"
TEXT = "#text"

Node = dict[str, Any]
Element = Any  # lxml's; the stubs of etree._Element know neither slices nor comments as children

_OURS = f"{{{NAMESPACE}}}"
_OURS_LENGTH = len(_OURS)
_XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
_HINTS = frozenset({f"{_XSI}schemaLocation", f"{_XSI}noNamespaceSchemaLocation"})


def name_of(tag: str) -> str:
    """The name of an element as the module docstring says; `tag` is lxml's."""
    if tag.startswith(_OURS):
        return tag[_OURS_LENGTH:]
    return tag if tag[0] == "{" else f"{{}}{tag}"


class _Names(dict[Any, str | None]):
    """Names by tag, each worked out once; None for a comment or a processing instruction.

    What a sender makes up is remembered as well, but takes no more room than `_MOST` names of
    `_LONGEST` characters: then all are forgotten, and those in use are soon back.
    """

    _MOST = 1_000
    _LONGEST = 200

    def __missing__(self, tag: Any) -> str | None:
        if not isinstance(tag, str):
            return None
        name = name_of(tag)
        if len(tag) <= self._LONGEST:
            if len(self) >= self._MOST:
                self.clear()
            self[tag] = name
        return name


_names = _Names()


def read(element: Element) -> Any:
    """The element as a text, a dict or None. The hot path: one visit to each element."""
    return _read(element, element.items())


def _read(element: Element, attributes: list[tuple[str, str]]) -> Any:
    """`read`; `attributes` are the element's, which its parent had to look at already."""
    node = _of_attributes(attributes) if attributes else {}
    text = element.text
    has_text = text and not text.isspace()
    for child in element[:]:
        if (tail := child.tail) and not tail.isspace():
            has_text = True
        if (name := _names[child.tag]) is None:
            continue
        if (attributes := child.items()) or len(child):
            value = _read(child, attributes)
        else:
            value = text.strip() or None if (text := child.text) else None
        if name in node:
            add(node, name, value)
        else:
            node[name] = value
    if not has_text:
        return node or None
    texts = _texts(element)
    if node:
        node[TEXT] = texts if len(texts) > 1 else texts[0]
        return node
    return texts[0]


def _of_attributes(attributes: list[tuple[str, str]]) -> Node:
    attributes.sort()
    return {name: said.strip() or None for name, said in attributes if name not in _HINTS}


def _texts(element: Element) -> list[str]:
    """The pieces of an element's own text that its children leave; comments do not part it."""
    pieces = [element.text or ""]
    for child in element:
        if isinstance(child.tag, str):
            pieces.append(child.tail or "")
        else:
            pieces[-1] += child.tail or ""
    return [stripped for piece in pieces if (stripped := piece.strip())]


def add(node: Node, name: str, value: Any) -> None:
    """Puts a value into the node; what is there under that name already stays, in a list."""
    if name not in node:
        node[name] = value
    elif isinstance(present := node[name], list):
        present.append(value)
    else:
        node[name] = [present, value]
