"""An XML element as plain values, and taking known fields out of them.

`read` turns an element into plain values; then every field that has a place in an event is *taken
out* of them, and what is left at the end becomes `extra`. So nothing can be lost by forgetting it.

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


def as_node(value: Any) -> Node:
    """A value of `read` as a dict."""
    if isinstance(value, dict):
        return value
    return {} if value is None else {TEXT: value}


def take_text(node: Node, name: str) -> str | None:
    """Takes the text under a name out of the node; of several, the first.

    What stands beside the text (attributes, further occurrences) stays in the node, and so does a
    text in several pieces.
    """
    value = node.pop(name, None)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict):
        text = _own_text(value)
        if value:
            node[name] = value
        return text
    first, *rest = value
    if not isinstance(first, dict):
        text = first
    else:
        text = _own_text(first)
        if first:
            rest.insert(0, first)
    _leave(node, name, rest)
    return text


def _own_text(node: Node) -> str | None:
    """Takes the text of an element that says more out of it, unless that is in several pieces."""
    if isinstance(node.get(TEXT), list):
        return None
    text: str | None = node.pop(TEXT, None)
    return text


def take_nodes(node: Node, name: str) -> list[Node]:
    """Takes all that stands under a name out of the node, as dicts."""
    if name not in node:
        return []
    value = node.pop(name)
    return [as_node(each) for each in value] if isinstance(value, list) else [as_node(value)]


def take_node(node: Node, name: str) -> Node:
    """Takes the first of what stands under a name out of the node, as a dict; the others stay."""
    value = node.pop(name, None)
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        value, *rest = value
        _leave(node, name, rest)
    return as_node(value)


def put_back(node: Node, name: str, *rest: Node) -> None:
    """Returns what is left of parts that were taken out of a node; nothing where nothing is.

    Lists are made anew, so that a shallow copy of another node may be given.
    """
    if not any(rest):
        return
    left = [each for each in rest if each]
    if len(left) == 1 and name not in node:
        node[name] = left[0]
    else:
        present = node.get(name, [])
        _leave(node, name, [*(present if isinstance(present, list) else (present,)), *left])


def _leave(node: Node, name: str, rest: list[Any]) -> None:
    if rest:
        node[name] = rest if len(rest) > 1 else rest[0]
