"""Random worlds, random faults: the stream is the world, and no line ends while it is there."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from consumer.errors import JournalUnavailable
from consumer.event import Event
from consumer.snapshot import natural
from consumer.testing.journal import MemoryJournal
from surveying import MVET, Bench, Row, mvet, page

World = tuple[tuple[int, int], ...]  # order and quantity of each row; several rows may be the same


class Step(NamedTuple):
    """What becomes of the world (None: nothing), and what goes wrong in the poll of it."""

    world: World | None
    seed: int
    fault: str
    failing: int
    restart: bool


FAULTS = (
    *("", ""),  # none
    *("empty", "empty"),
    "cut",
    "broken off",
    "broken row",
    "lost commit",
    "kept commit",
)
worlds = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3)), max_size=9).map(tuple)
steps = st.builds(
    Step,
    world=st.one_of(st.none(), st.none(), worlds),
    seed=st.integers(0, 99),
    fault=st.sampled_from(FAULTS),
    failing=st.integers(1, 4),
    restart=st.booleans(),
)


def rows(world: World, seed: int) -> list[Row]:
    """The world as an answer, in an order of its own."""
    shown = [mvet(order, "a", quantity) for order, quantity in world]
    random.Random(seed).shuffle(shown)  # noqa: S311 - no secret
    return shown


async def open_rows(bench: Bench) -> Counter[tuple[int, int]]:
    return Counter(
        (int(natural(subject).partition("/")[0]), int(data.quantity.backordered or 0))
        for subject, data in (await bench.open_lines()).items()
    )


class Poller:
    """Looks at a world through faults, one fault a look.

    The world lies (it is not empty, and looks so) only where the answer before showed every line
    that is held: two answers in a row that show nothing are believed, whatever one of them is. What
    became of the survey that saw that answer makes no difference.
    """

    def __init__(self) -> None:
        self.bench = Bench(MemoryJournal())
        self._left = 0
        self._world: World = ()
        self._shown: Counter[str] = Counter()  # rows of each key in the answer before

    async def look(self, step: Step) -> None:
        if step.restart:
            self.bench.restart()
        self._world = self._world if step.world is None else step.world
        shown, broken = rows(self._world, step.seed), None
        self._left = step.failing
        self.bench.before_commit = self._fail if step.fault == "lost commit" else self._pass
        self.bench.after_commit = self._fail if step.fault == "kept commit" else self._pass
        if step.fault == "empty" and await self._may_lie():
            shown = []
        elif step.fault == "cut":
            shown, broken = shown[: step.failing], "cut short"
        elif step.fault == "broken row":
            shown[step.seed % 3 : step.seed % 3 + 1] = [mvet(item="")]
        self._shown = Counter(f"{row['orderNumber']}/a" for row in shown if row["itemNumber"])
        if step.fault == "broken off":
            async with self.bench.survey() as survey:
                await survey.see(page(shown))
            return
        before = len(await self.bench.events())
        with suppress(JournalUnavailable):
            tally = await self.bench.poll(shown, broken=broken)
            told = (await self.bench.events())[before:]
            self._check(shown, [event for event in told if event.type.endswith("cleared")])
            assert not (tally.incomplete and tally.cleared)
            assert _said(shown) <= await open_rows(self.bench)

    async def _may_lie(self) -> bool:
        known = await self.bench.journal.watched(MVET.source)
        held = {natural(subject) for subject in known.held}
        open_lines = Counter(natural(each) for each, line in known.lines.items() if not line.ended)
        return all(self._shown[key] >= open_lines[key] for key in held)

    def _check(self, shown: Sequence[Row], ended: Sequence[Event]) -> None:
        """Nothing ended that is in the world, though it was not shown."""
        if not shown:
            there = {f"{order}/a" for order, _ in self._world}
            assert there.isdisjoint(natural(event.subject) for event in ended)

    async def _fail(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise JournalUnavailable("disk full")

    async def _pass(self) -> None:
        """Commits go through."""


def _said(shown: Sequence[Row]) -> Counter[tuple[int, int]]:
    return Counter(
        (row["orderNumber"], row["backorderedQuantity"]) for row in shown if row["itemNumber"]
    )


def lying(between: str) -> Sequence[Step]:
    """Two lies, and an answer between them that is true; of that survey nothing comes."""
    there = Step(((1, 1), (2, 1)), 0, "", 0, restart=False)
    more = ((1, 1), (2, 1), (3, 1))
    lie = there._replace(world=None, fault="empty")
    return (there, lie, there._replace(world=more, fault=between, failing=1), lie)


@settings(max_examples=300, deadline=None)
@example(steps=lying("broken off"), last=(), seed=0)
@example(steps=lying("lost commit"), last=(), seed=0)
@given(steps=st.lists(steps, min_size=1, max_size=8), last=worlds, seed=st.integers(0, 99))
def test_the_stream_is_the_world_after_the_faults_stop(
    steps: Sequence[Step], last: World, seed: int
) -> None:
    async def live() -> None:
        poller = Poller()
        for step in steps:
            await poller.look(step)
        for again in range(2):  # the second time, what was held is believed
            await poller.look(Step(last, seed + again, "", 0, restart=False))
        assert await open_rows(poller.bench) == Counter(last)
        commits = poller.bench.commits
        await poller.look(Step(last, seed, "", 0, restart=True))
        assert poller.bench.commits == commits

    with capture_logs():
        asyncio.run(live())


@settings(max_examples=100, deadline=None)
@given(first=worlds, second=worlds, orders=st.tuples(st.integers(0, 99), st.integers(0, 99)))
def test_the_order_of_the_answers_changes_nothing(
    first: World, second: World, orders: tuple[int, int]
) -> None:
    async def told(seeds: tuple[int, int]) -> Sequence[tuple[str, str, str | None]]:
        bench = Bench(MemoryJournal())
        for world, seed in zip((first, second), seeds, strict=True):
            await bench.poll(rows(world, seed))
        return sorted(
            (event.type, event.id, event.data.quantity.backordered)
            for event in await bench.events()
        )

    with capture_logs():
        assert asyncio.run(told((0, 0))) == asyncio.run(told(orders))
