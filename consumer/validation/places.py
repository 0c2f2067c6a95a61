"""Where something stands in a message, as a person is told."""

import re
from typing import Any

from lxml import etree

LAST_LINE = 65535  # libxml2 stores no higher line with an element
_LONGEST = 80  # characters of a name that is not ours
_STEP = re.compile(r"(?:\{[^}]*\})?([^/{}]+)")


def local(tag: str | bytes) -> str:
    """A name without its namespace, and not longer than anyone wants to read."""
    return str(tag).rpartition("}")[2][:_LONGEST]


def line_of(element: Any) -> int | None:
    """The line where an element's start tag ends; None beyond line 65,534 where it is unknown."""
    line: int | None = element.sourceline
    return line if line != LAST_LINE else None


def path_of(element: etree._Element, place: str) -> str:
    """The path to an element without namespaces, with a position where there are several.

    `place` is the path of the root of the element's document within the message.
    """
    inner = element.getroottree().getelementpath(element)
    return "/".join([place, *(() if inner == "." else _STEP.findall(inner))])
