"""Radial's side of the demonstration: a sender for the queues, and one for the webhook."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from msgspec import Struct

from consumer.simulators.radial import Fact, Sent
from consumer.simulators.radial_feed import Feed

_SECONDS_BETWEEN_MESSAGES = 0.5


class Sender(Struct):
    """One simulated upstream: how it sends, and what it has sent so far."""

    source: str
    feed: Feed
    next: Callable[[], Sent]
    messages: int = 0
    facts: set[Fact] = set()

    async def send(self, stop: asyncio.Event) -> None:
        """A message now and then, until `stop`; what was begun is handed over."""
        while not stop.is_set():
            sent = self.next()
            self.facts |= set(sent.facts)
            self.messages += 1
            await self.feed(sent)
            with suppress(TimeoutError):
                async with asyncio.timeout(_SECONDS_BETWEEN_MESSAGES):
                    await stop.wait()
