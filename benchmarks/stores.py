"""Does a message cost more when it comes from many stores? The same messages, in 1 to 200 queues.

Rules
1. Each store has a queue, as at Radial; one daemon consumes all of them and publishes to one queue.
2. The messages of the effort are shared out evenly, and wait when the daemon starts.
3. Measured as in `passage`; numbers of queues take turns.
"""

from collections.abc import Sequence

from benchmarks.passage import Round, figure, passage
from benchmarks.report import Effort, Figure
from benchmarks.stage import staged

SUITE = "stores"
STORES = (1, 10, 50, 200)


def names(stores: int) -> Sequence[str]:
    """The queues of so many stores."""
    return [f"bench.store-{number:03d}" for number in range(stores)]


async def measure(effort: Effort) -> Sequence[Figure]:
    """Messages a second with each number of queues."""
    rounds: dict[int, list[Round]] = {stores: [] for stores in STORES}
    async with staged() as stage:
        for _ in range(effort.rounds):
            for stores, done in rounds.items():
                done.append(await passage(stage, effort, queues=names(stores)))
    return [
        figure(SUITE, f"{stores} queue{'s' if stores > 1 else ''}", done)
        for stores, done in rounds.items()
    ]
