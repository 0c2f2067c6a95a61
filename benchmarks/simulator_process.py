"""A simulated upstream as a process; answers `where`, `cpu` and `change`.

It is the simulator of `backorder-consumer simulate`, run as that command runs it.
"""

import asyncio
from time import process_time
from typing import Literal

from msgspec import Struct

from benchmarks.children import obey, settings_of
from consumer.simulators.cinx import CinxServer
from consumer.simulators.cinx_world import CinxWorld
from consumer.simulators.mvet import MvetServer
from consumer.simulators.mvet_world import MvetWorld

CUSTOMER = "0002789"
ORGANISATION = "Harbor Mechanical"
_SEED = 1


class SimulatorSettings(Struct, frozen=True, kw_only=True):
    """`lines` is how many back-orders there are; every `nth` of them is what `change` changes."""

    system: Literal["cinx", "mvet"]
    lines: int
    nth: int = 100


class Where(Struct, frozen=True, kw_only=True):
    """Where it listens, and with which API token CINX lets in."""

    url: str
    token: str = ""


class _Cinx:
    def __init__(self, settings: SimulatorSettings) -> None:
        self._world = CinxWorld(_SEED, (ORGANISATION,), settings.lines)
        self._nth = settings.nth
        self._changes = 0
        self.server = CinxServer(self._world)
        self.token = self._world.organisations[ORGANISATION]

    def change(self) -> int:
        """Change some rows; how many."""
        self._changes += 1
        rows = self._world.rows(self.token)[:: self._nth]
        for row in rows:
            self._world.change(row["cinx_guid"], update_count=self._changes, mfr_name="Renamed")
        return len(rows)


class _Mvet:
    token = ""

    def __init__(self, settings: SimulatorSettings) -> None:
        self.server = MvetServer(MvetWorld(_SEED, (CUSTOMER,), settings.lines))

    def change(self) -> int:
        """Nothing: what is measured is an answer that stays the same."""
        return 0


_KINDS: dict[str, type[_Cinx | _Mvet]] = {"cinx": _Cinx, "mvet": _Mvet}


async def _main(settings: SimulatorSettings) -> None:
    simulator = _KINDS[settings.system](settings)

    async def where() -> Where:
        return Where(url=simulator.server.url, token=simulator.token)

    async def cpu() -> float:
        return process_time()

    async def change() -> int:
        return simulator.change()

    async with simulator.server:
        await obey({"where": where, "cpu": cpu, "change": change})


if __name__ == "__main__":
    asyncio.run(_main(settings_of(SimulatorSettings)))
