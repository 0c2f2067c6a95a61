"""A list taken apart into its events, and what stands beside them.

Each event becomes the root of a document of its own. Identifiers (xs:ID) must be unique within a
document, and two events about the same shop are no mistake.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from lxml import etree

from consumer.model import Problem
from consumer.validation import reasons
from consumer.validation.catalogue import EVENT, NAMESPACE
from consumer.validation.places import LAST_LINE, line_of, local, path_of
from consumer.validation.vocabulary import Unknown, Vocabulary

LIST = f"{{{NAMESPACE}}}OrderBackorderList"
_MOST_AROUND = 64 << 20  # bytes
_MOST_PREFIXES = 100
_MOST_CHILDREN = 10_000  # a real event takes over 1 kB, so that 10 MiB hold fewer

Prefixes = Mapping[str | None, str]
"""Namespaces by prefix; that without one is None's."""


def events_of(root: etree._Element) -> list[etree._Element]:
    """The events in a list, also those in a wrong namespace: they must not pass for drift."""
    return [child for child in root if local(child.tag) == local(EVENT)]


def place_of(position: int, among: int) -> str:
    """The path of an event in a list; `position` counts from 1."""
    return f"/{local(LIST)}/{local(EVENT)}" + (f"[{position}]" if among > 1 else "")


def prefixes(root: etree._Element) -> Prefixes:
    """What a list declares for its events. None of very many: they would be looked for in each."""
    declared = root.nsmap
    return declared if len(declared) <= _MOST_PREFIXES else {}


def detached(event: etree._Element, declared: Prefixes) -> etree._Element:
    """The event as the root of a new document; the old one loses its content.

    Copied: moving elements to another document takes time with the square of their number. A copy
    brings along what its names use of the prefixes that the list has `declared`, and not what its
    values do (`xsi:type`).
    """
    alone = deepcopy(event)
    if missed := _missed(alone, declared):
        alone = _declaring(alone, missed)
    event.clear()
    return alone


def _missed(alone: etree._Element, declared: Prefixes) -> Prefixes:
    """The prefixes that a value may stand for, of those that the copy has not brought along."""
    there = alone.nsmap
    lost = {prefix: name for prefix, name in declared.items() if prefix not in there}
    text = document(alone) if lost else b""
    return {
        prefix: name
        for prefix, name in lost.items()
        if prefix is None or f"{prefix}:".encode() in text
    }


def _declaring(element: etree._Element, missed: Prefixes) -> etree._Element:
    """The same element with these prefixes declared; that is only possible when it is made.

    libxml2 now and then lets an attribute pass whose prefix nobody declared, as a name with a colon
    in it. No such name can be made: the element is then left as it is, and told as drift.
    """
    all_: Any = {**element.nsmap, **missed}  # the stubs know no default namespace here
    again = etree.Element(element.tag, nsmap=all_)
    try:
        again.attrib.update(element.attrib)
    except ValueError:
        return element
    again.text = element.text
    line: Any = min(line_of(element) or LAST_LINE, LAST_LINE)  # nor that a line may be set
    again.sourceline = line
    again.extend(map(deepcopy, element))  # moved, they would take long
    return again


def too_long(root: etree._Element) -> tuple[Problem, ...]:
    """What is wrong with a list of too many events, or of anything else: that is counted only."""
    if len(root) <= _MOST_CHILDREN:
        return ()
    reason = f"the list holds more than {_MOST_CHILDREN} events or other elements"
    return (Problem(reason=reason, line=line_of(root), path=f"/{local(LIST)}"),)


def plain(root: etree._Element) -> bool:
    """Whether a list holds complete events and nothing else whatever."""
    texts = [root.text, *(child.tail for child in root)]
    return (
        not root.attrib
        and all(child.tag == EVENT for child in root)
        and not any(text and text.strip() for text in texts)
    )


def around(root: etree._Element) -> etree._Element | None:
    """The list without its events, or None where that says nothing."""
    others = [child for child in root if local(child.tag) != local(EVENT)]
    if not others and not root.attrib:
        return None
    frame = etree.Element(root.tag)
    frame.attrib.update(root.attrib)
    frame.extend(map(deepcopy, others))  # moved, they would take long
    return frame


def repeated(frame: etree._Element, *, times: int) -> tuple[Problem, ...]:
    """What is wrong with keeping what stands beside the events with each of them."""
    if len(document(frame)) * times <= _MOST_AROUND:
        return ()
    reason = (
        f"what the list holds beside its {times} events is too much to be repeated with each of"
        f" them: more than {_MOST_AROUND >> 20} MiB in all"
    )
    return (Problem(reason=reason, path=f"/{local(LIST)}"),)


def document(element: etree._Element) -> bytes:
    """An element as a document of its own; the same element always gives the same bytes."""
    return etree.tostring(element, encoding="UTF-8", xml_declaration=True, with_tail=False)


def together(events: list[etree._Element]) -> bytes:
    """Several detached events as one list again."""
    no_prefix: Any = None
    root = etree.Element(LIST, nsmap={no_prefix: NAMESPACE})
    root.extend(events)
    return document(root)


def misnamed(element: etree._Element, place: str) -> Problem:
    """An element with the name of ours and another namespace."""
    name = etree.QName(element)
    found = f"namespace {name.namespace[:100]!r}" if name.namespace else "no namespace"
    reason = f"{name.localname} is in {found}, expected {NAMESPACE}"
    return Problem(reason=reason, line=line_of(element), path=place)


def beside(
    root: etree._Element, vocabulary: Vocabulary, *, strict: bool
) -> tuple[frozenset[str], tuple[Problem, ...]]:
    """What a list holds beside its events: names that are drift, and what is wrong.

    The content of an event beside complete events belongs to none of them.
    """
    place = f"/{local(LIST)}"
    known = vocabulary.children(EVENT)
    others = [child for child in root if local(child.tag) != local(EVENT)]
    unknown = [Unknown(root, child=child) for child in others if child.tag not in known]
    unknown.extend(
        Unknown(root, attribute=str(name))
        for name in root.attrib
        if name not in vocabulary.attributes(EVENT)
    )
    problems = list(_lost(root, [child for child in others if child.tag in known], place))
    names = frozenset(each.name for each in unknown)
    if strict or len(names) > reasons.MOST:
        problems.extend(reasons.unknown(unknown, place, strict=True))
        names = frozenset()
    return names, reasons.listed(problems)


def _lost(root: etree._Element, content: list[etree._Element], place: str) -> Iterator[Problem]:
    for child in content[: reasons.MOST]:
        reason = "a list holds either complete events or the content of one, not both"
        path = path_of(child, place)
        yield Problem(reason=reason, line=line_of(child), path=path)
    texts = [root.text, *(child.tail for child in root)]
    if any(text and text.strip() for text in texts):
        reason = "text is not allowed here, only elements are"
        yield Problem(reason=reason, line=line_of(root), path=place)
