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

Two modules do this, and tests hold them to the same answers. `xml_compiled` walks libxml2's own
tree; it is there where a C compiler was when the program was installed. `xml_python` asks lxml,
which makes a Python object of every element on the way: several times the work. While an element is
read nobody else may change its tree; and while the compiled one reads, no other thread runs,
save where the collector of cycles calls Python code: a second for a million elements, of which the
validation lets a tenth pass.
"""

from collections.abc import Callable
from typing import Any

from consumer.normalisation import xml_python
from consumer.normalisation.xml_rules import NAMESPACE, TEXT, Element, Node, add, name_of

try:
    from consumer.normalisation import xml_compiled
except (ImportError, TypeError, ValueError):  # not built, or for an lxml of another shape
    COMPILED = False
    read: Callable[[Element], Any] = xml_python.read
else:
    COMPILED = True
    read = xml_compiled.read

__all__ = ["COMPILED", "NAMESPACE", "TEXT", "Element", "Node", "add", "name_of", "read"]
