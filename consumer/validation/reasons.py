"""Why an event is refused, in words that a person can act on.

The verdict is libxml2's. What is wrong in particular comes from xmlschema, whose errors say which
declaration was violated; the words are ours, since xmlschema's quote the offending values, and
messages are full of personal data. Only the values of a few harmless fields are ever shown.

xmlschema stops at the first misplaced child of an element. What the element lacks altogether is
therefore worked out here, so that one look at the reasons is enough to repair a message.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any

import xmlschema
from lxml import etree
from xmlschema.validators import facets

from consumer.model import Problem
from consumer.validation.catalogue import Complaint
from consumer.validation.places import line_of, local, path_of
from consumer.validation.vocabulary import Unknown

MOST = 100  # problems of a kind that are listed for one event

_VISITED = 20_000  # elements that xmlschema looks at; 999 order lines have fewer

_SHOWN = 40  # characters of a value, or values of an enumeration, that are shown
_HARMLESS = frozenset(
    [
        *("CountryCode", "EstimatedShipDate", "From", "To", "Mode"),
        *("OrderItemKind", "ShippingDelayType", "Amount", "UnitPrice", "remainder"),
        *("webLineId", "itemId", "quantity", "isHiddenGift", "isBundleParent"),
        *("storeId", "locale", "orderDate", "timestamp", "currency", "totalAmount"),
        *("salesTaxAmount", "vatTaxAmount", "subTotalAmount", "shippingAmount"),
        *("dutyAmount", "feesAmount", "discountAmount"),
    ]
)
_TYPES = {
    "boolean": "true, false, 1 or 0",
    "date": "a date such as 2016-07-13",
    "dateTime": "a date with time such as 2016-07-13T13:47:54Z",
    "decimal": "a decimal number",
    "integer": "a whole number",
    "positiveInteger": "a whole number above zero",
    "nonNegativeInteger": "a whole number, zero or above",
    "ID": "a name: letters, digits, '.', '-' and '_', beginning with a letter",
    "NMTOKEN": "a single word",
}
_CODES = {  # of libxml2
    "SCHEMAV_CVC_DATATYPE_VALID_1_2_1": "not a value of the required type",
    "SCHEMAV_CVC_COMPLEX_TYPE_2_1": "text is not allowed here",
    "SCHEMAV_CVC_COMPLEX_TYPE_2_3": "text is not allowed here, only elements are",
}
_ATTRIBUTE = re.compile(r"attribute (?:[^\s:=]+:)?([^\s=]+)=")
_MISSING = re.compile(r"missing required attribute '(?:\{[^}]*\})?([^']+)'")


def _enumeration(facet: facets.XsdEnumerationFacets) -> str:
    values = [str(value) for value in facet.enumeration or ()]
    if len(values) > _SHOWN:
        return f"must be one of the {len(values)} values that the schemas list"
    return f"must be one of {', '.join(values)}"


def _shortest(facet: facets.XsdMinLengthFacet) -> str:
    return "must not be empty" if facet.value == 1 else f"needs {facet.value} characters or more"


_FACETS: dict[type, Callable[[Any], str]] = {
    facets.XsdEnumerationFacets: _enumeration,
    facets.XsdMinLengthFacet: _shortest,
    facets.XsdMaxLengthFacet: lambda facet: f"must not have more than {facet.value} characters",
    facets.XsdLengthFacet: lambda facet: f"must have exactly {facet.value} characters",
    facets.XsdMinInclusiveFacet: lambda facet: f"must be {facet.value} or above",
    facets.XsdMaxInclusiveFacet: lambda facet: f"must be {facet.value} or below",
    facets.XsdMinExclusiveFacet: lambda facet: f"must be above {facet.value}",
    facets.XsdMaxExclusiveFacet: lambda facet: f"must be below {facet.value}",
    facets.XsdTotalDigitsFacet: lambda facet: f"must not have more than {facet.value} digits",
    facets.XsdFractionDigitsFacet: lambda facet: (
        f"must not have more than {facet.value} decimal places"
    ),
    facets.XsdPatternFacets: lambda facet: f"must match {' and '.join(map(str, facet.regexps))}",
}
_SAYINGS = (  # what begins xmlschema's reason, and ours
    ("character data", "text is not allowed here, only elements are"),
    ("a simple content element", "must hold text only, no elements"),
    ("duplicated xs:ID", "this id stands more than once in the event"),
    ("element is not nillable", "xsi:nil is not allowed here"),
    ("xsi:nil", "xsi:nil is not used correctly"),
)


def explain(model: xmlschema.XMLSchema10, event: etree._Element, place: str) -> Iterator[Problem]:
    """Why `event`, the root of a document, does not satisfy `model`.

    `place` is the path of the event in the message that it came in. Only problems that will be
    listed are worked out; the others are counted.
    """
    visits = count(1)

    def stop_in_time(_element: object, _declaration: object) -> bool:
        if next(visits) > _VISITED:
            raise xmlschema.XMLSchemaStopValidation
        return False

    try:
        errors = list(model.iter_errors(event, validation_hook=stop_in_time))
    except Exception:  # noqa: BLE001 - some values crash it (a year of 15 digits); the verdict stands
        return
    errors.sort(key=lambda error: error.sourceline or 0)
    for error in errors[:MOST]:
        element: Any = event if error.elem is None else error.elem
        if isinstance(error, xmlschema.XMLSchemaChildrenValidationError):
            yield from _of_children(error, element, place)
        else:
            yield _of_value(error, element, place)
    if len(errors) > MOST:
        yield Problem(reason=f"{len(errors) - MOST} more problems are not listed")
    if next(visits) > _VISITED:
        yield Problem(reason=f"only the first {_VISITED} elements of the event were examined")


def unknown(found: list[Unknown], place: str, *, strict: bool) -> Iterator[Problem]:
    """What the schemas do not know; without `strict` it comes with other problems only."""
    mild = "" if strict else " (which alone would be accepted)"
    for each in found[:MOST]:
        if each.child is not None:
            reason = f"the schemas do not know this element{mild}"
            yield _problem(each.child, place, reason)
        else:
            reason = f"the schemas do not know this attribute{mild}"
            yield _problem(each.parent, place, reason, local(each.attribute or ""))
    if len(found) > MOST:
        yield Problem(reason=f"{len(found) - MOST} more unknown ones are not listed")


def undisputed(
    complaints: Iterable[Complaint], event: etree._Element, place: str
) -> Iterator[Problem]:
    """What only libxml2 objects to, which knows some lexical rules better.

    Python takes digits of any script for a number, for example. libxml2 names the element, not the
    attribute; in a very long event it names neither.
    """
    for complaint in complaints:
        violation = _CODES.get(complaint.code, f"does not satisfy the schemas ({complaint.code})")
        if (element := _found(event, complaint.path)) is not None:
            yield _problem(element, place, violation)
        else:
            yield Problem(reason=violation, line=complaint.line or None, path=place)


def _found(event: etree._Element, path: str | None) -> etree._Element | None:
    prefixes = {prefix: name for prefix, name in event.nsmap.items() if prefix}
    try:
        found: Any = event.xpath(path, namespaces=prefixes) if path else None
    except etree.XPathError:  # a prefix that is declared further inside
        return None
    return found[0] if found else None


def listed(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Problems by line, each once; those about no line in particular come last."""
    each_once = dict.fromkeys(problems)
    return tuple(sorted(each_once, key=lambda problem: problem.line or sys.maxsize))


# --- one error -------------------------------------------------------------------------------


def _of_value(
    error: xmlschema.XMLSchemaValidationError, element: etree._Element, place: str
) -> Problem:
    said = error.reason or ""
    if missing := _MISSING.match(said):
        return _problem(element, place, "this attribute is required but missing", missing[1])
    found = _ATTRIBUTE.match(said)
    name = found[1] if found else None
    reason = _reason(error, said)
    if (name or local(element.tag)) in _HARMLESS:
        value = element.get(name) if name else element.text
        reason += f", not {(value or '')[:_SHOWN]!r}"
    return _problem(element, place, reason, name)


def _reason(error: xmlschema.XMLSchemaValidationError, said: str) -> str:
    violated = error.validator
    if (in_words := _FACETS.get(type(violated))) is not None:
        return in_words(violated)
    if isinstance(error, xmlschema.XMLSchemaDecodeError):
        kind = getattr(violated, "local_name", None) or "the required type"
        return f"must be {_TYPES.get(kind, kind)}"
    said = said.rpartition("': ")[2] if said.startswith("attribute ") else said
    for beginning, ours in _SAYINGS:
        if said.startswith(beginning):
            return ours
    return "does not satisfy the schemas"


def _of_children(
    error: xmlschema.XMLSchemaChildrenValidationError, parent: etree._Element, place: str
) -> Iterator[Problem]:
    present = {child.tag for child in parent}
    lacking = [each for each in _required(error.validator) if each.isdisjoint(present)]
    for names in lacking:
        alternatives = sorted(local(name) for name in names)
        subject = alternatives[0] if len(names) == 1 else f"one of {', '.join(alternatives)}"
        yield _problem(parent, place, f"{subject} is missing")
    if error.index >= len(parent):
        if not lacking:
            yield _problem(parent, place, "the content is not complete")
        return
    child = parent[error.index]
    wanted = {each.name for each in error.expected or () if each.name is not None}
    if any(names <= wanted for names in lacking):
        return  # it stands where the missing one should
    first = parent.find(child.tag)
    yield _problem(child, place, _misplaced(child, wanted, repeated=first is not child))


def _misplaced(child: etree._Element, wanted: set[str], *, repeated: bool) -> str:
    name = local(child.tag)
    if repeated:
        return f"more than one {name}, or apart from the others"
    expected = f"; expected here: {', '.join(sorted(map(local, wanted)))}" if wanted else ""
    return f"{name} is out of place{expected}"


def _required(group: Any) -> Iterator[frozenset[str]]:
    """What the content of an element must have: one name, or one of several."""
    if group.min_occurs == 0:
        return
    if group.model == "choice":
        particles = list(group)
        if all(each.min_occurs and each.name is not None for each in particles):
            yield frozenset(each.name for each in particles)
        return
    for particle in group:
        if hasattr(particle, "model"):
            yield from _required(particle)
        elif particle.min_occurs and particle.name is not None:
            yield frozenset((particle.name,))


# --- where -----------------------------------------------------------------------------------


def _problem(
    element: etree._Element, place: str, reason: str, attribute: str | None = None
) -> Problem:
    path = path_of(element, place)
    if attribute is not None:
        path = f"{path}/@{attribute}"
    return Problem(reason=reason, line=line_of(element), path=path)
