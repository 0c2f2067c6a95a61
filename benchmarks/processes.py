"""What the operating system says of other processes, and does for them (Linux only)."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_SESSION, _USER, _KERNEL = 3, 11, 12  # fields behind the name, of proc(5)


def tied(command: Sequence[str], signal: str = "KILL") -> Sequence[str]:
    """The command for a child that gets this signal when its parent dies, however that dies.

    The child has the same process id, and starts a millisecond later. Where there is no `setpriv`,
    it is the command as it was.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", signal, "--", *command] if setpriv else command


def cpu_of(pid: int) -> float:
    """Seconds of processor time until now, of all threads, the kernel's part included."""
    return _cpu(_fields(Path(f"/proc/{pid}/stat")))


def cpu_of_session(session: int) -> float:
    """The same of all processes of a session that are alive."""
    seconds = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = _fields(stat)
        except OSError:
            continue  # it is gone
        if int(fields[_SESSION]) == session:
            seconds += _cpu(fields)
    return seconds


def resident(pid: int) -> int:
    """Bytes of memory that it has now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE


def _fields(stat: Path) -> list[str]:
    return stat.read_text().rpartition(")")[2].split()  # the name may hold spaces


def _cpu(fields: list[str]) -> float:
    return (int(fields[_USER]) + int(fields[_KERNEL])) / _TICK
