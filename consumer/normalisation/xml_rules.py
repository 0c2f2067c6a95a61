"""What both readers of `xml` go by: names, and what several values under one name become."""

from typing import Any

NAMESPACE = "http://api.gsicommerce.com/schema/checkout/1.0"
TEXT = "#text"

_XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
HINTS = frozenset({f"{_XSI}schemaLocation", f"{_XSI}noNamespaceSchemaLocation"})
"""Attributes that say nothing about the order."""

Node = dict[str, Any]
Element = Any  # lxml's; the stubs of etree._Element know neither slices nor comments as children

_OURS = f"{{{NAMESPACE}}}"
_OURS_LENGTH = len(_OURS)


def name_of(tag: str) -> str:
    """The name of an element as `xml` says; `tag` is lxml's."""
    if tag.startswith(_OURS):
        return tag[_OURS_LENGTH:]
    return tag if tag[0] == "{" else f"{{}}{tag}"


def add(node: Node, name: str, value: Any) -> None:
    """Puts a value into the node; what is there under that name already stays, in a list."""
    if name not in node:
        node[name] = value
    elif isinstance(present := node[name], list):
        present.append(value)
    else:
        node[name] = [present, value]
