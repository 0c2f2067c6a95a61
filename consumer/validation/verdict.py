"""The verdict on one event.

The strict verdict is libxml2's. Where it is no, the event is accepted all the same if it would pass
without what the schemas do not know (*drift*), unless they are strict. xmlschema then explains what
is left, on a copy without the unknown: its search goes astray at names that it does not know.
"""

from copy import deepcopy
from typing import Any

import xmlschema
from lxml import etree
from msgspec import Struct

from consumer.model import Problem
from consumer.validation import reasons
from consumer.validation.catalogue import Gate
from consumer.validation.places import line_of
from consumer.validation.vocabulary import Unknown, Vocabulary

_MOST_NODES = 100_000
_MANY_NODES = 2_000
_MOST_NAMES = 100
_count = etree.XPath("count(descendant-or-self::*) + count(descendant-or-self::*/@*)")
_NOT_EXPLAINED = Problem(reason="does not satisfy the schemas; not explained any further")


class Accepted(Struct, frozen=True):
    """One event that may be normalised.

    `element` is named OrderBackorder, or OrderBackorderList where the list itself is the event. It
    is the root of a document of its own, or, at a glance, may stand in its list, and lacks the
    white space between elements then. Nothing else of it is left out. `drift`: names unknown to the
    schemas, such as `OrderItem/GiftWrap` or `OrderItem@giftWrap`, sorted, each once. `around`: the
    list that the event stood in, without its events; None where there was none, or nothing in it.
    """

    element: etree._Element
    drift: tuple[str, ...] = ()
    around: etree._Element | None = None


class Judge:
    """Both engines and the vocabulary of one schema set."""

    def __init__(self, gate: Gate, model: xmlschema.XMLSchema10, *, strict: bool) -> None:
        self._gate = gate
        self._model = model
        self.vocabulary = Vocabulary(model)
        self.strict = strict

    def judge(
        self, event: etree._Element, place: str, *, large: bool = False, explain: bool = True
    ) -> Accepted | tuple[Problem, ...]:
        """Accept `event`, the root of a document, or say why not.

        `place`: its path in the message. `large`: it may hold very many errors. Without `explain`
        the reasons are left out, which saves most of the time that a refusal takes.
        """
        nodes = _nodes(event) if large else 0
        if nodes > _MOST_NODES:
            reason = f"more than {_MOST_NODES} elements and attributes in one event"
            return (Problem(reason=reason, line=line_of(event), path=place),)
        large = nodes > _MANY_NODES
        if self._gate.passes(event, large=large):
            return Accepted(event)
        unknown = list(self.vocabulary.survey(event))
        if unknown and not self.strict:
            drift = self._drift(event, unknown, large=large)
            if drift is not None and len(drift) <= _MOST_NAMES:
                return Accepted(event, drift)
        if not explain:
            return (_NOT_EXPLAINED,)
        return self._reasons(event, unknown, place, large=large)

    def glance(self, event: etree._Element, *, large: bool = False) -> bool:
        """Whether `judge` would accept `event` without drift: the strict verdict, no reasons."""
        nodes = _nodes(event) if large else 0
        return nodes <= _MOST_NODES and self._gate.passes(event, large=nodes > _MANY_NODES)

    def _drift(
        self, event: etree._Element, unknown: list[Unknown], *, large: bool
    ) -> tuple[str, ...] | None:
        """The unknown names, if they are all that the gate objects to.

        At first only what no wildcard of the schemas covers is left out, then all of it, since a
        wildcard has its place as well.
        """
        for covered in sorted({each.covered for each in unknown}):
            pruned = deepcopy(event)
            self.vocabulary.prune(pruned, covered=covered)
            if self._gate.passes(pruned, large=large):
                return tuple(sorted({each.name for each in unknown if covered or not each.covered}))
        return None

    def _reasons(
        self, event: etree._Element, unknown: list[Unknown], place: str, *, large: bool
    ) -> tuple[Problem, ...]:
        uncovered = [each for each in unknown if not each.covered]
        problems = list(reasons.unknown(uncovered, place, strict=self.strict))
        if len({each.name for each in unknown}) > _MOST_NAMES:
            reason = f"more than {_MOST_NAMES} different names that the schemas do not know"
            problems.append(Problem(reason=reason, line=line_of(event), path=place))
        known = event
        if unknown:
            known = deepcopy(event)
            self.vocabulary.prune(known, covered=True)
        if complaints := self._gate.complaints(known, large=large):
            explained = list(reasons.explain(self._model, known, place))
            problems += explained
            if not any(problem.path for problem in explained):
                problems += reasons.undisputed(complaints, known, place)
        # a wildcard covers what stands in its place; if all else is well, something does not
        problems = problems or list(reasons.unknown(unknown, place, strict=self.strict))
        return reasons.listed(problems)


def _nodes(event: etree._Element) -> int:
    """The number of elements and attributes; where XPath refuses to count any further (libxml2 does
    beyond 10,000,000, which takes a document of 48 MB), that they are too many.
    """
    try:
        counted: Any = _count(event)  # a float: what an expression comes to depends on it
    except etree.XPathEvalError:
        return _MOST_NODES + 1
    return int(counted)
