"""Messages as a store's queue carries them: one order, one line, 2.2 kB; each a fact of its own."""

from collections.abc import Iterator
from itertools import islice

from consumer.simulators.radial import RadialWorld, Sent

_SEED = 5


def messages(number: int, seed: int = _SEED) -> Iterator[bytes]:
    """So many messages, the same ones for the same seed."""
    return (sent.body for sent in islice(_single(RadialWorld(seed)), number))


def _single(world: RadialWorld) -> Iterator[Sent]:
    told = set()
    while True:
        sent = world.order_backorder()
        if len(sent.facts) == 1 and sent.facts not in told:
            told.add(sent.facts)
            yield sent
