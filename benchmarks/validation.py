"""Validation alone: ours against the two engines that it is made of, in this very process.

Rules
1. Everybody is handed the same bytes and ends with a verdict. Ours does more on the way: `glance`
   keeps the rules on hostile input (`consumer.validation.parsing`), `entry_of` ends with events.
2. What counts is processor time of this process. Nothing here waits, so messages a second are those
   of one core that does nothing else.
3. Every message is valid, and a contender that says otherwise ends the benchmark.
4. Rounds go in turn: each contender once, then each once more. What warms up comes before.
"""

import gc
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from time import process_time

import xmlschema
from lxml import etree
from msgspec import Struct

from benchmarks import feed
from benchmarks.measuring import median
from benchmarks.report import Effort, Figure
from consumer.model import Message, utc_now
from consumer.settings import PrivacySettings
from consumer.understanding import entry_of
from consumer.validation import Schemas
from consumer.validation.catalogue import ENTRY, shipped_directory

SUITE = "validation"
LXML = "lxml, parse and validate"
PARSE = "lxml, parse alone"
GLANCE = "ours, verdict"
EVENTS = "ours, verdict and events"
XMLSCHEMA = "xmlschema"

_MOST = 5_000  # messages of a round: some two seconds for the slower ones
_WARM_UP = 100


class Contender(Struct, frozen=True):
    """`judge` is true of a valid message; `share` is the part of the messages that it gets, as a
    divisor.
    """

    judge: Callable[[bytes], object]
    share: int = 1


def contenders() -> Mapping[str, Contender]:
    """Everybody, with the shipped schemas compiled."""
    entry = str(shipped_directory() / ENTRY)
    lxml, model = etree.XMLSchema(file=entry), xmlschema.XMLSchema10(entry)
    ours, privacy, received = Schemas.load(), PrivacySettings(), utc_now()

    def events_of(body: bytes) -> object:
        message = Message(body=body, source="radial", system="radial", received=received)
        found = ours.glance(body)
        return found and entry_of(message, found, privacy).events

    return {
        LXML: Contender(lambda body: lxml.validate(etree.fromstring(body))),
        PARSE: Contender(lambda body: etree.fromstring(body) is not None),
        GLANCE: Contender(ours.glance),
        EVENTS: Contender(events_of),
        XMLSCHEMA: Contender(lambda body: model.is_valid(etree.fromstring(body)), share=10),
    }


async def measure(effort: Effort) -> Sequence[Figure]:
    """Messages a second of each contender."""
    bodies = list(feed.messages(min(effort.messages, _MOST)))
    everybody = contenders()
    for one in everybody.values():
        _seconds(one, bodies[:_WARM_UP])
    rounds: dict[str, list[float]] = {name: [] for name in everybody}
    for _ in range(effort.rounds):
        for name, one in everybody.items():
            rounds[name].append(_seconds(one, bodies))
    return [_figure(name, done) for name, done in rounds.items()]


def _seconds(one: Contender, bodies: Sequence[bytes]) -> float:
    """Processor time of a message; RuntimeError where one is found to be invalid."""
    judge, mine = one.judge, list(islice(bodies, 0, None, one.share))
    gc.collect()
    began = process_time()
    valid = sum(1 for body in mine if judge(body))
    seconds = process_time() - began
    if valid != len(mine):
        raise RuntimeError(f"{len(mine) - valid} of {len(mine)} messages were found to be invalid")
    return seconds / len(mine)


def _figure(name: str, seconds: Sequence[float]) -> Figure:
    return Figure(
        suite=SUITE,
        name=name,
        unit="messages/s",
        rounds=tuple(1 / one for one in seconds),
        beside={"own CPU, µs/message": median(seconds) * 1e6},
    )
