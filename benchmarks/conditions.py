"""On what a run was made: machine, disk, and the versions of all that has a part in it.

What is not there, or does not tell its version, is left out.
"""

import os
import platform
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from time import perf_counter

from lxml import etree

from benchmarks.measuring import median
from consumer.normalisation import xml

SYNC = "append and fsync of 4 kB in ms"

_PACKAGES = (
    "aio-pika",
    "aiormq",
    "faststream",
    "mq-bridge-basic",
    "aiohttp",
    "uvloop",
    "msgspec",
    "lxml",
    "xmlschema",
)
_APPENDS, _APPENDED = 50, 4096
_TELLS_WITHIN = 30.0
_CPUS = Path("/proc/cpuinfo")
_ERLANG = """
File = filename:join([code:root_dir(), "releases", erlang:system_info(otp_release), "OTP_VERSION"]),
{ok, Version} = file:read_file(File), io:put_chars(Version), halt().
"""
_ASKED_ERLANG = ("erl", "-noshell", "-eval", _ERLANG)
# As its packages lay it out. To ask `rabbitmqctl` would leave an epmd running behind it.
_RABBITMQ = ("/usr/lib/rabbitmq/lib", "rabbitmq_server-")


def machine(directory: Path | None = None) -> dict[str, object]:
    """The machine; with a directory, the median time of an append that is synced there."""
    told: dict[str, object] = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }
    if directory is not None:
        told[SYNC] = round(sync_cost(directory) * 1e3, 3)
    return told


def in_a_line(machine: Mapping[str, object]) -> str:
    """The same for people."""
    return ", ".join(f"{name}: {value}" for name, value in machine.items())


def processor() -> str:
    """The model, as Linux calls it; what Python knows of it where that is not told."""
    lines = _CPUS.read_text().splitlines() if _CPUS.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor())


def sync_cost(directory: Path) -> float:
    """Seconds that an append of 4 kB and its fsync take there, the median of 50."""
    taken = []
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        for _ in range(_APPENDS):
            began = perf_counter()
            file.write(bytes(_APPENDED))
            os.fsync(file.fileno())
            taken.append(perf_counter() - began)
    return median(taken)


def versions() -> dict[str, str]:
    """Of the broker, of the libraries in C, and of the packages of ours and of the peers."""
    place, prefix = _RABBITMQ
    servers = sorted(each.name.removeprefix(prefix) for each in Path(place).glob(f"{prefix}*"))
    found = {"RabbitMQ": " and ".join(servers)} if servers else {}
    if erlang := _said(_ASKED_ERLANG):
        found["Erlang"] = erlang
    found["SQLite"] = sqlite3.sqlite_version
    found["XML reader"] = "compiled" if xml.COMPILED else "in Python"
    found["libxml2"] = ".".join(map(str, etree.LIBXML_VERSION))
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # a suite that needs it says so
    return found


@cache
def _said(command: tuple[str, ...]) -> str | None:
    """What a command prints, in one line; None where there is none, or it fails."""
    program = shutil.which(command[0])
    if program is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - of this machine
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TELLS_WITHIN,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
