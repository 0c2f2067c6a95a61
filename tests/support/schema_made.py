"""Documents made from the schemas: what the shipped set allows, not what Radial happens to send.

The walk takes every turn that the schema leaves open by a generator of random numbers, so that a
seed is a document.
"""

import random
from decimal import Decimal
from functools import cache
from typing import Any

from lxml import etree
from xmlschema import XMLSchema10

from consumer.validation import catalogue

_MOST = 3  # of what may be repeated without a bound
_DEEPEST = 30
_LETTERS = "abcXYZ 019.-_&<>'\"\u00e4\u6f22\U0001f4e6\u202e\u0085"
_MOMENTS = (
    "2016-07-13T13:47:54Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999Z",
    "2024-02-29T24:00:00+14:00",
    "2016-07-13T13:47:54.1-05:30",
    "1999-12-31T23:59:59",
    "2016-07-13T13:47:54.123456789012Z",
)
_VALUES = {
    "boolean": ("true", "0"),
    "dateTime": _MOMENTS,
    "date": ("2016-07-13", "2024-02-29Z", "0001-01-01", "9999-12-31-14:00"),
    "NMTOKEN": ("N.1-x",),
    "anyURI": ("http://example.com/a?b=c",),
}


@cache
def _model() -> XMLSchema10:
    return catalogue.load(None)[1]


def made(root: str, seed: int) -> bytes:
    """A document with this root element (a name without its namespace) that the schemas allow."""
    pick = random.Random(seed)  # noqa: S311 - repeatable on purpose
    declared = next(e for e in _model().elements.values() if e.local_name == root)
    document = _Making(pick).element(declared, 0)
    return etree.tostring(document, encoding="UTF-8", xml_declaration=True)


class _Making:
    def __init__(self, pick: random.Random) -> None:
        self._pick = pick
        self._identifiers = 0

    def element(self, declared: Any, depth: int) -> Any:
        no_prefix: Any = None
        made_element = etree.Element(declared.name, nsmap={no_prefix: declared.target_namespace})
        for name, attribute in declared.attributes.items():
            if name is not None and (attribute.use == "required" or self._pick.random() < 0.5):
                made_element.set(name, attribute.fixed or self._value(attribute.type))
        if declared.type.has_simple_content() or declared.type.is_simple():
            content = declared.type
            made_element.text = self._value(content.content if content.is_complex() else content)
        elif declared.type.is_complex():
            for child in self._group(declared.type.content, depth):
                made_element.append(child)
        return made_element

    def _group(self, group: Any, depth: int) -> list[Any]:
        children: list[Any] = []
        for _ in range(self._times(group, depth)):
            particles = [each for each in group if hasattr(each, "model") or hasattr(each, "type")]
            if group.model == "choice" and particles:
                particles = [self._pick.choice(particles)]
            if group.model == "all":
                self._pick.shuffle(particles)
            for particle in particles:
                children += self._particle(particle, depth)
        return children

    def _particle(self, particle: Any, depth: int) -> list[Any]:
        if hasattr(particle, "model"):
            return self._group(particle, depth)
        if particle.name is None:  # xs:any: nothing has to stand there
            return []
        return [self.element(particle, depth + 1) for _ in range(self._times(particle, depth))]

    def _times(self, particle: Any, depth: int) -> int:
        least, most = particle.min_occurs, particle.max_occurs
        if depth > _DEEPEST:
            return int(least)
        most = least + _MOST if most is None else min(most, least + _MOST)
        return self._pick.randint(least, most)

    def _value(self, simple: Any) -> str:
        if simple.enumeration:
            return str(self._pick.choice(simple.enumeration))
        kind = simple.primitive_type.local_name if simple.primitive_type else "string"
        derived = {simple.local_name, *(base.local_name for base in _bases(simple))}
        if "ID" in derived:
            self._identifiers += 1
            return f"id{self._identifiers}"
        if kind == "decimal":
            return self._number(simple, whole="integer" in derived)
        kind = "NMTOKEN" if "NMTOKEN" in derived else kind
        return self._pick.choice(_VALUES[kind]) if kind in _VALUES else self._text(simple)

    def _number(self, simple: Any, *, whole: bool) -> str:
        if whole:
            return str(self._pick.randint(1, 999))
        least = simple.min_value if simple.min_value is not None else Decimal(-10_000)
        return str(Decimal(least) + Decimal(self._pick.randint(0, 99_900)) / 100)

    def _text(self, simple: Any) -> str:
        least, most = simple.min_length or 0, simple.max_length or 60
        length = self._pick.choice((least, most, self._pick.randint(least, most)))
        text = "".join(self._pick.choice(_LETTERS) for _ in range(length))
        if simple.white_space == "collapse":  # the length counts after that
            text = text.replace(" ", "x")
        return text


def _bases(simple: Any) -> list[Any]:
    bases = []
    while (simple := simple.base_type) is not None:
        bases.append(simple)
    return bases
