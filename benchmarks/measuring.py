"""What something costs: processor time, wall clock time, peak memory; and how to quote it."""

import statistics
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from time import perf_counter, process_time

from msgspec import Struct

_KIB = 1024
_STATUS = Path("/proc/self/status")


class Cost(Struct, frozen=True, kw_only=True):
    """`cpu` and `wall` in seconds; `cpu` is that of all threads, the kernel's part included.

    `peak` is the most memory, in bytes, that the process ever had until then, or 0 where the
    operating system does not tell.
    """

    cpu: float
    wall: float
    peak: int


async def cost_of(work: Callable[[], Awaitable[object]]) -> Cost:
    """Do some work and tell what it cost this process."""
    began, cpu = perf_counter(), process_time()
    await work()
    return Cost(cpu=process_time() - cpu, wall=perf_counter() - began, peak=peak_memory())


def peak_memory() -> int:
    """The peak of this process's resident memory, in bytes; 0 where `/proc` does not tell it."""
    if not _STATUS.exists():
        return 0
    lines = _STATUS.read_text().splitlines()
    return next(int(line.split()[1]) * _KIB for line in lines if line.startswith("VmHWM:"))


def median(values: Iterable[float]) -> float:
    """The median, which one disturbed round does not move."""
    return statistics.median(values)
