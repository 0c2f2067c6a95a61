"""Taking known fields out of the plain values of an XML element (`xml.read`).

Every field that has a place in an event is *taken out* of them, and what is left at the end becomes
`extra`. So nothing can be lost by forgetting it.
"""

from typing import Any, TypeVar

import msgspec
from msgspec import Struct, ValidationError, convert

from consumer.normalisation.xml import TEXT, Node


class Said(Struct, frozen=True, forbid_unknown_fields=True, rename="pascal"):
    """What an element says and no more: `first_name` is FirstName, None if absent or blank."""


T = TypeVar("T", bound=Said)


def worked_out(kind: type[T]) -> type[T]:
    """Decorates a class of what is said.

    msgspec (0.22) works a class out when it is first converted to. A thread that comes meanwhile
    finds half of it, which ends the process with SIGSEGV. So it is worked out where it is defined.
    """
    msgspec.json.Decoder(kind)
    return kind


def as_node(value: Any) -> Node:
    """A value of `read` as a dict."""
    if isinstance(value, dict):
        return value
    return {} if value is None else {TEXT: value}


def as_nodes(value: Any) -> list[Node]:
    """A value of `read` as one dict for each time that it was said."""
    return [as_node(each) for each in value] if isinstance(value, list) else [as_node(value)]


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
    text: str | list[str] | None = node.pop(TEXT, None)
    if isinstance(text, list):
        node[TEXT] = text  # where it was: `read` puts it last
        return None
    return text


def take_fields(node: Node, kind: type[T]) -> T:
    """`take_text` for each field of a class of texts, in the order of its fields.

    Nearly always the node holds these and no more: then `msgspec.convert` does it at once, and
    nothing is left. It refuses all else, and changes nothing before it does.
    """
    try:
        said = convert(node, kind)
    except ValidationError:
        return kind(*[take_text(node, name) for name in kind.__struct_encode_fields__])
    node.clear()
    return said


def take_nodes(node: Node, name: str) -> list[Node]:
    """Takes all that stands under a name out of the node, as dicts."""
    return as_nodes(node.pop(name)) if name in node else []


def take_node(node: Node, name: str) -> Node:
    """Takes the first of what stands under a name out of the node, as a dict; the others stay."""
    value = node.pop(name, None)
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        value, *rest = value
        _leave(node, name, rest)
    return as_node(value)


def put_back(node: Node, name: str, rest: Node) -> None:
    """Returns what is left of a part that was taken out of a node; nothing where nothing is."""
    if not rest:
        return
    if name in node:
        put_all_back(node, name, [rest])
    else:
        node[name] = rest


def put_all_back(node: Node, name: str, rest: list[Node]) -> None:
    """`put_back` of several parts, or one, of each of which something is left.

    Lists are made anew, so that a shallow copy of another node may be given.
    """
    present = node.get(name, [])
    _leave(node, name, [*(present if isinstance(present, list) else (present,)), *rest])


def _leave(node: Node, name: str, rest: list[Any]) -> None:
    if rest:
        node[name] = rest if len(rest) > 1 else rest[0]
