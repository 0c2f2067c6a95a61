"""MVET's and CINX's side of the demonstration: worlds that change while they are polled."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import quote

from msgspec import Struct

from consumer.model import Backorder
from consumer.normalisation.polled import POLLED
from consumer.simulators.cinx_world import CinxWorld
from consumer.simulators.mvet_world import MvetWorld
from consumer.simulators.polled_world import Rates
from consumer.snapshot import natural

# Of some hundred lines to an account one or two change in a step.
RATES = Rates(opened=0.002, updated=0.004, cleared=0.002)
_SECONDS_BETWEEN_STEPS = 1.0


class Open(NamedTuple):
    """An open order line, as a world and the journal both know it."""

    source: str
    key: str
    quantity: str | None


class Upstream(Struct):
    """One simulated upstream that is polled: what it shows, and how time goes by for it."""

    source: str
    truth: Callable[[], Iterator[Open]]
    step: Callable[[], object]

    async def live(self, stop: asyncio.Event) -> None:
        """Change now and then, until `stop`."""
        while not stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_SECONDS_BETWEEN_STEPS):
                    await stop.wait()
            self.step()

    @property
    def lines(self) -> "Counter[Open]":
        """What is on backorder there now."""
        return Counter(self.truth())


def mvet(world: MvetWorld) -> Upstream:
    """MVET as the source `mvet` polls it."""

    def truth() -> Iterator[Open]:
        for customer in world.customers:
            content = json.dumps(world.lines(customer), default=dict).encode()
            rows, _ = POLLED["mvet"].rows(content, customer)
            for row in rows:
                data = POLLED["mvet"].line(row.content, account=customer)
                yield Open(f"/mvet/{customer}", row.key, data.quantity.backordered)

    return Upstream("mvet", truth, world.step)


def cinx(world: CinxWorld) -> Upstream:
    """CINX as the source `cinx` polls it."""

    def truth() -> Iterator[Open]:
        for name, token in world.organisations.items():
            account = quote(name, safe="")
            for row in world.rows(token):
                content = json.dumps(row, default=dict).encode()
                data = POLLED["cinx"].line(content, account=account)
                guid = str(row["cinx_guid"])
                yield Open(f"/cinx/{account}", guid, data.quantity.backordered)

    return Upstream("cinx", truth, world.step)


def as_open(line: Backorder) -> Open:
    """What the journal knows of a line, as a world would."""
    return Open(line.source, natural(line.subject), line.quantity)
