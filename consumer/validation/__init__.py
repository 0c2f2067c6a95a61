"""The verdict on a message from Radial: which events are accepted, and what is wrong with others.

An *event* is a root `OrderBackorder`, each `OrderBackorder` within an `OrderBackorderList`, or such
a list that carries the attributes and content of one event itself. Each is validated by itself, so
that none spoils another:

1. libxml2 finds that it satisfies the schemas: accepted.
2. It would, were it not for elements or attributes that the schemas do not know: accepted as well,
   with their names as *drift*; refused if the schemas are strict.
3. Anything else is refused with every reason.

Work is bounded whatever arrives: a list of more than 10,000 elements is refused whole, an event of
more than 100,000 elements and attributes is refused unseen (an order has 999 lines at the most),
one with more than 100 different unknown names is no drift but another kind of message, and of one
list 1,000 refused events are explained one by one; the others are refused together.

Nothing here knows where a message came from, and nothing waits: `Schemas.examine` may be called
from any thread, by several at once. It takes up to seconds for a message of few kilobytes that is
wrong in many places; `Schemas.glance` is for callers that cannot afford that.

    parsing      bytes to an element tree
    catalogue    a schema set, compiled for both engines
    vocabulary   what the schemas know, and what a message holds beside it
    events       a list taken apart
    places       lines and paths
    reasons      the engines' errors in our words
    verdict      all of these applied to one event
"""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from lxml import etree
from msgspec import Struct
from msgspec.structs import replace

from consumer.model import Kind, Problem, Refusal
from consumer.validation import catalogue
from consumer.validation import events as of_list
from consumer.validation.catalogue import EVENT, NAMESPACE
from consumer.validation.events import LIST, document, misnamed
from consumer.validation.parsing import parse
from consumer.validation.places import line_of, local
from consumer.validation.verdict import Accepted, Judge

__all__ = ["NAMESPACE", "Accepted", "Examination", "Schemas"]

_TEST = f"{{{NAMESPACE}}}test"
_LARGE = 16 << 10  # bytes of a message from which its events may hold very many errors
_MOST_EXPLAINED = 1_000  # refused events of one list


class Examination(Struct, frozen=True):
    """What a message is, and what became of each of its events.

    `root` is the local name of the root element, empty if the message is no XML; `size` is that of
    the message in bytes.
    """

    kind: Kind
    root: str
    accepted: tuple[Accepted, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    size: int = 0

    @property
    def unreadable(self) -> bool:
        """Whether the message could not even be parsed as XML."""
        return not self.root


class Schemas:
    """A compiled schema set. `load` makes one, which takes a quarter of a second."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    @classmethod
    def load(cls, directory: Path | None = None, *, strict: bool = False) -> "Schemas":
        """Compile the set in `directory`, or the shipped one.

        Raises SchemasUnusable, which names file and line, where it cannot be read or compiled.
        """
        gate, model = catalogue.load(directory)
        return cls(Judge(gate, model, strict=strict))

    def examine(self, body: bytes) -> Examination:
        """What `body` holds. Raises nothing for bad input.

        The lines of a refusal's problems are those of `body`. Its bytes are `body`, or one event of
        a list as a document of its own, which can be examined again.
        """
        return replace(self._examine(body), size=len(body))

    def _examine(self, body: bytes) -> Examination:
        root = parse(body)
        if isinstance(root, Problem):
            return _refused(body, "", root)
        name = local(root.tag)
        if root.tag in self._ROOTS:
            return self._ROOTS[root.tag](self, body, root)
        if name in (local(EVENT), local(LIST)):
            return _refused(body, name, misnamed(root, f"/{name}"))
        return Examination("other", name)

    def glance(self, body: bytes) -> Examination | None:
        """What `examine` says of `body`, if that is quickly known; None if it takes `examine`.

        Known is what becomes of events that satisfy the schemas, with nothing beside them. Their
        elements lack the white space between elements; `examine` keeps it.
        """
        root = parse(body, blanks=False)
        if isinstance(root, Problem):
            return None
        large = len(body) > _LARGE
        if root.tag == EVENT:
            if not self._judge.glance(root, large=large):
                return None
            return Examination("backorder", local(EVENT), (Accepted(root),), size=len(body))
        if root.tag != LIST or of_list.too_long(root):
            return None
        accepted = self._glance_list(root, large=large)
        return Examination("backorder", local(LIST), accepted, size=len(body)) if accepted else None

    def _glance_list(self, root: etree._Element, *, large: bool) -> tuple[Accepted, ...]:
        """The events of a list if all are good and stand alone in it; none if not."""
        events = of_list.events_of(root)
        if not events:
            root.tag = EVENT  # the list may itself be the event, and is judged as one
            good = self._judge.glance(root, large=large)
            root.tag = LIST
            return (Accepted(root),) if good else ()
        if not of_list.plain(root):
            return ()
        accepted = []
        declared = of_list.prefixes(root)
        for event in events:
            if self._judge.glance(event, large=large):
                accepted.append(Accepted(event))
                continue
            # where it stands, an identifier of it may be one of another event's as well
            alone = of_list.detached(event, declared)
            if not self._judge.glance(alone, large=large):
                return ()
            accepted.append(Accepted(alone))
        return tuple(accepted)

    def _event(self, body: bytes, root: etree._Element) -> Examination:
        verdict = self._judge.judge(root, f"/{local(EVENT)}", large=len(body) > _LARGE)
        if isinstance(verdict, Accepted):
            return Examination("backorder", local(EVENT), (verdict,))
        return _refused(body, local(EVENT), *verdict)

    def _test(self, body: bytes, root: etree._Element) -> Examination:
        if not self._judge.vocabulary.declares(_TEST):
            return Examination("test", local(_TEST))
        verdict = self._judge.judge(root, f"/{local(_TEST)}", large=len(body) > _LARGE)
        refusals = () if isinstance(verdict, Accepted) else (Refusal(body=body, problems=verdict),)
        return Examination("test", local(_TEST), refusals=refusals)

    def _list(self, body: bytes, root: etree._Element) -> Examination:
        if problems := of_list.too_long(root):
            return _refused(body, local(LIST), *problems)
        if events := of_list.events_of(root):
            return self._several(body, root, events)
        place = f"/{local(LIST)}"
        if not len(root):
            reason = "the list holds no event"
            return _refused(
                body, local(LIST), Problem(reason=reason, line=line_of(root), path=place)
            )
        root.tag = EVENT  # the list itself is the event, and is judged as one
        verdict = self._judge.judge(root, place, large=len(body) > _LARGE)
        root.tag = LIST
        if isinstance(verdict, Accepted):
            return Examination("backorder", local(LIST), (verdict,))
        return _refused(body, local(LIST), *verdict)

    def _several(
        self, body: bytes, root: etree._Element, events: list[etree._Element]
    ) -> Examination:
        """Every event by itself. What is wrong outside of them refuses the whole message as well:
        the events that are accepted are known to be duplicates should it be tried again.
        """
        strict = self._judge.strict
        drift, outside = of_list.beside(root, self._judge.vocabulary, strict=strict)
        around = of_list.around(root)
        if not outside and around is not None:
            outside = of_list.repeated(around, times=len(events))
        if outside:
            around = None  # it is kept with the whole message, and may hold anything
        accepted: list[Accepted] = []
        refusals: list[Refusal] = []
        unexplained: list[etree._Element] = []
        declared = of_list.prefixes(root)
        for position, standing in enumerate(events, 1):
            event = of_list.detached(standing, declared)
            place = of_list.place_of(position, among=len(events))
            explain = len(refusals) < _MOST_EXPLAINED
            verdict = self._one_of_several(event, place, large=len(body) > _LARGE, explain=explain)
            if isinstance(verdict, Accepted):
                names = tuple(sorted({*verdict.drift, *drift}))
                accepted.append(Accepted(verdict.element, names, around))
            elif explain:
                refusals.append(Refusal(body=document(event), problems=verdict))
            else:
                unexplained.append(event)
        if unexplained:
            refusals.append(_refused_together(unexplained))
        if outside:
            refusals.append(Refusal(body=body, problems=outside))
        return Examination("backorder", local(LIST), tuple(accepted), tuple(refusals))

    def _one_of_several(
        self, event: etree._Element, place: str, *, large: bool, explain: bool
    ) -> Accepted | tuple[Problem, ...]:
        if event.tag != EVENT:
            return (misnamed(event, place),)
        return self._judge.judge(event, place, large=large, explain=explain)

    _ROOTS: ClassVar[dict[str, Callable[["Schemas", bytes, etree._Element], Examination]]] = {
        EVENT: _event,
        LIST: _list,
        _TEST: _test,
    }


def _refused(body: bytes, root: str, *problems: Problem) -> Examination:
    return Examination("backorder", root, refusals=(Refusal(body=body, problems=problems),))


def _refused_together(events: list[etree._Element]) -> Refusal:
    reason = (
        f"{len(events)} more events of the list do not satisfy the schemas; only the first"
        f" {_MOST_EXPLAINED} are explained. Try these again to have them explained"
    )
    return Refusal(body=of_list.together(events), problems=(Problem(reason=reason),))
