"""Which names a schema set knows where, and what a message holds beside them.

Radial may add optional elements at any time. Such *drift* is found by walking through an event
together with the declarations that apply to it: a child whose name the parent's type does not
declare is unknown, and so is an attribute. Neither the order nor the number of known elements
matters here; that is the gate's business once the unknown ones are pruned from a copy.

An unknown element may be *covered* by a wildcard of the schema (`xs:any`). Where it stands in the
wildcard's place the gate has no objection to it, elsewhere it has.

An element of simple content never has unknown children: a value that is torn apart by an element is
a broken value, not a new optional element.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import xmlschema
from lxml import etree

from consumer.validation.places import local

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_ALWAYS = frozenset(
    f"{{{_XSI}}}{name}" for name in ("type", "nil", "schemaLocation", "noNamespaceSchemaLocation")
)


class Unknown(NamedTuple):
    """Something that the schemas do not declare: a child element, or an attribute, of `parent`."""

    parent: etree._Element
    child: etree._Element | None = None
    attribute: str | None = None
    covered: bool = False

    @property
    def name(self) -> str:
        """As the operator is told: `OrderItem/GiftWrap`, `OrderItem@giftWrap`."""
        if self.attribute is not None:
            return f"{local(self.parent.tag)}@{local(self.attribute)}"
        assert self.child is not None  # noqa: S101 - it is the one or the other
        return f"{local(self.parent.tag)}/{local(self.child.tag)}"


class _Known(NamedTuple):
    """What a type declares."""

    children: dict[str, Any]
    wildcards: tuple[Any, ...]
    attributes: frozenset[str]
    any_attribute: Any
    structured: bool


class Vocabulary:
    """The names of one schema set."""

    def __init__(self, model: xmlschema.XMLSchema10) -> None:
        self._elements = model.maps.elements
        self._types: dict[int, _Known] = {}

    def declares(self, tag: str) -> bool:
        """Whether an element of this name may be the root of a message."""
        return tag in self._elements

    def children(self, tag: str) -> frozenset[str]:
        """The names of the children that a root element may have."""
        return frozenset(self._known(self._elements[tag].type).children)

    def attributes(self, tag: str) -> frozenset[str]:
        """The names of the attributes that a root element may have."""
        return self._known(self._elements[tag].type).attributes | _ALWAYS

    def survey(self, event: etree._Element) -> Iterator[Unknown]:
        """Everything unknown in `event`, outermost first; what is inside of it is not looked at."""
        pending = [(event, self._elements[event.tag].type)]
        while pending:
            element, type_ = pending.pop()
            known = self._known(type_)
            yield from _unknown_attributes(element, known)
            if not known.structured:
                continue
            for child in element:
                declared = known.children.get(child.tag)
                if declared is not None:
                    pending.append((child, declared.type))
                else:
                    covered = any(each.is_matching(child.tag) for each in known.wildcards)
                    yield Unknown(element, child=child, covered=covered)

    def prune(self, event: etree._Element, *, covered: bool) -> None:
        """Take what is unknown out of `event`; with `covered` also what a wildcard covers."""
        attributes: dict[etree._Element, set[str]] = {}
        parents: dict[etree._Element, None] = {}
        for each in [each for each in self.survey(event) if covered or not each.covered]:
            if each.child is not None:
                parents[each.parent] = None
                _remove(each.parent, each.child)
            if each.attribute is not None:
                attributes.setdefault(each.parent, set()).add(each.attribute)
        for element, names in attributes.items():
            _drop_attributes(element, names)
        for parent in parents:
            if not len(parent) and not (parent.text or "").strip():
                parent.text = None  # an empty content type allows no white space either

    def _known(self, type_: Any) -> _Known:
        known = self._types.get(id(type_))
        if known is None:
            known = self._types[id(type_)] = _read_type(type_)
        return known


def _read_type(type_: Any) -> _Known:
    attributes = getattr(type_, "attributes", None) or {}
    named = frozenset(name for name in attributes if name is not None)
    wildcard = attributes.get(None)
    if type_.is_simple() or type_.has_simple_content():
        return _Known({}, (), named, wildcard, structured=False)
    children: dict[str, Any] = {}
    wildcards = []
    for particle in type_.content.iter_elements():
        if particle.name is None:
            wildcards.append(particle)
            continue
        children[particle.name] = particle
        children.update((each.name, each) for each in particle.iter_substitutes())
    return _Known(children, tuple(wildcards), named, wildcard, structured=True)


def _unknown_attributes(element: etree._Element, known: _Known) -> Iterator[Unknown]:
    for name in element.attrib:
        if name not in known.attributes and name not in _ALWAYS:
            covered = known.any_attribute is not None and known.any_attribute.is_matching(name)
            yield Unknown(element, attribute=str(name), covered=covered)


def _remove(parent: etree._Element, child: etree._Element) -> None:
    """Remove a child but not the text after it, which may be a mistake in its own right."""
    tail = child.tail
    previous = child.getprevious()
    child.clear()  # removing all it holds takes time with the square of that
    parent.remove(child)
    if tail and tail.strip():
        if previous is None:
            parent.text = tail
        else:
            previous.tail = tail


def _drop_attributes(element: etree._Element, names: set[str]) -> None:
    """Neither removed nor read one by one, which takes time with the square of their number."""
    kept = [(name, element.attrib[name]) for name in element.attrib if name not in names]
    element.attrib.clear()
    element.attrib.update(kept)
