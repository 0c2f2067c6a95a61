"""Whether each message is at the other end once: read back when no clock runs any more.

Rules
1. A message is known by its order's number, which stands in every form in which contenders pass it
   on: Radial's XML, the JSON that peers make of it, our events. Some orders have two messages in a
   round: of each order there have to be as many at the other end as were sent. What was lost in
   place of another of the very same order would not be seen.
2. A queue is read to its end and acknowledged. It must be empty then, and still be 0.2 s later.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Iterable

from benchmarks.passage import holding
from benchmarks.stage import Stage
from consumer.amqp import Subscription

_PREFETCH = 2000
_MOST_BYTES = 16 << 20
_GIVE_UP = 60.0
_number = re.compile(rb'(?:customerOrderId"?[=:]|"order":\{"number":)"([0-9]+)"')


def orders_of(messages: Iterable[bytes]) -> Counter[bytes]:
    """How many messages each order has; RuntimeError where one has no order."""
    found = Counter(_order(message) for message in messages)
    if b"" in found:
        raise RuntimeError(f"{found[b'']} messages have no number of an order")
    return found


async def require_each(stage: Stage, queue: str, sent: Counter[bytes]) -> None:
    """Empty a queue; RuntimeError unless it held the messages that were sent, each once."""
    held: Counter[bytes] = Counter()
    missing = sent.total()
    async with (
        stage.linked() as link,
        Subscription.subscribe(link, queue, prefetch=_PREFETCH) as subscription,
    ):
        try:
            async with asyncio.timeout(_GIVE_UP):
                while missing > 0:
                    batch = await subscription.take(_PREFETCH, _MOST_BYTES)
                    held += orders_of(delivery.body for delivery in batch)
                    await subscription.acknowledge(batch[-1].tag)
                    missing -= len(batch)
        except TimeoutError:
            raise RuntimeError(f"{queue} could not be read back in {_GIVE_UP:g} s") from None
    require_same(queue, sent, held)
    await holding(stage, {queue: 0})


def require_same(queue: str, sent: Counter[bytes], held: Counter[bytes]) -> None:
    """RuntimeError unless both are the same, with how many messages of the orders differ."""
    lost, strange = (sent - held).total(), (held - sent).total()
    if lost or strange:
        raise RuntimeError(f"{queue} lacks {lost} messages, and has {strange} twice or unasked for")


def _order(message: bytes) -> bytes:
    found = _number.search(message)
    return found[1] if found else b""
