"""Does a message cost more when the journal is large? Queue to queue on journals of many events.

Rules
1. Journals hold 1,000, 10,000, 100,000 and 1,000,000 events (`journal_made`, kept in `var/bench`);
   with an effort other than the usual one, no more than 50 events for each of its messages.
2. Each round works on a copy, which is on disk before the daemon starts. Its sink begins with what
   is new, and everything is new to the journal.
3. Measured as in `passage`, half the messages of the effort a round; sizes take turns.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.journal_made import made
from benchmarks.passage import Round, figure, passage
from benchmarks.report import Effort, Figure
from benchmarks.stage import staged

SUITE = "growth"
SIZES = (1_000, 10_000, 100_000, 1_000_000)

_MOST_A_MESSAGE = 50
_PART = 2
_KEPT = Path(__file__).parents[1] / "var/bench"


def affordable(effort: Effort) -> Sequence[int]:
    """The sizes that this effort is worth."""
    return [size for size in SIZES if size <= effort.messages * _MOST_A_MESSAGE]


@asynccontextmanager
async def copied(events: int, directory: Path) -> AsyncIterator[Path]:
    """A journal of so many events that may be changed, in a directory that goes with it."""
    place = directory / f"journal-{events}"
    original = await asyncio.to_thread(made, _KEPT, events)
    await asyncio.to_thread(_copy, original, place)
    try:
        yield place / "journal.db"
    finally:
        await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)


def _copy(original: Path, place: Path) -> None:
    place.mkdir(parents=True)
    with (place / "journal.db").open("wb") as copy, original.open("rb") as events:
        shutil.copyfileobj(events, copy, 1 << 20)
        copy.flush()
        os.fsync(copy.fileno())  # or the kernel would write while others are measured


async def measure(effort: Effort) -> Sequence[Figure]:
    """Messages a second on each journal."""
    rounds: dict[int, list[Round]] = {size: [] for size in affordable(effort)}
    number = effort.messages // _PART
    async with staged() as stage:
        for _ in range(effort.rounds):
            for size, done in rounds.items():
                async with copied(size, effort.directory) as journal:
                    done.append(await passage(stage, effort, number=number, journal=journal))
    return [figure(SUITE, f"{size:,} events before", done) for size, done in rounds.items()]
