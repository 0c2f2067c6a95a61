"""Taking known fields out of the plain values of an XML element (`xml.read`).

Every field that has a place in an event is *taken out* of them, and what is left at the end becomes
`extra`. So nothing can be lost by forgetting it.
"""

from typing import Any

from consumer.normalisation.xml import TEXT, Node


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
