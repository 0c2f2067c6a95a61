"""The daemon that a soak looks at: its configuration, its process, and what `/proc` says of it."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from time import monotonic

import aiohttp
from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.soak_judge import Sample
from benchmarks.soak_load import STORES
from consumer.errors import Unusable
from consumer.simulators.broker_home import free_port

CUSTOMERS = ("0002789", "0004027", "0031150")
CINX_USER = "soak@example.com"
CINX_PASSWORD = "soak-password"  # noqa: S105 - of a simulator on a loopback address
OUT = "soak.out"
LIVE = ("file", "amqp", "http")
DEAD = "dead"

_READY_WITHIN = 60.0
_STOPS_WITHIN = 40.0
_TIMEOUT = aiohttp.ClientTimeout(total=5.0)
_PAGE = os.sysconf("SC_PAGE_SIZE")

Gauges = Mapping[tuple[str, str], float]


class Where(Struct, frozen=True, kw_only=True):
    """Where everybody else is."""

    amqp: str
    mvet: str
    cinx: str
    live: str
    dead: str


class DaemonProcess:
    """`backorder-consumer run` in `directory`; events stay in its journal for `retention`."""

    def __init__(self, directory: Path, where: Where, retention: str) -> None:
        self.public = f"http://127.0.0.1:{free_port()}"
        self.admin = f"http://127.0.0.1:{free_port()}"
        self.journal = directory / "journal.db"
        self.file = directory / "out" / "events.jsonl"
        self.log = directory / "daemon.log"
        self._configuration = directory / "consumer.toml"
        self._process: subprocess.Popen[bytes] | None = None
        self.file.parent.mkdir()
        self._configuration.write_text(
            f"""# Written by `make soak`.
[journal]
url = "sqlite:{self.journal}"
retention = "{retention}"
[webhooks]
listen = "{self.public.removeprefix("http://")}"
[admin]
listen = "{self.admin.removeprefix("http://")}"
[log]
level = "info"
{_sources(where)}
{_sinks(where, self.file)}
"""
        )

    async def start(self) -> None:
        """Start it and wait until it is ready; `Unusable` with its last words where it is not."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603, ASYNC220 - this very program, at once
                [sys.executable, "-m", "consumer", "run", "-c", str(self._configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = monotonic() + _READY_WITHIN
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as client:
            while not await _ready(client, f"{self.admin}/readyz"):
                if self.ended or monotonic() > deadline:
                    raise Unusable("the daemon did not start", f"its log is {self.log}")
                await asyncio.sleep(0.05)

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._process is not None and self._process.poll() is not None

    async def stop(self) -> int:
        """Ask it to stop; its exit status."""
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            return await asyncio.to_thread(self._process.wait, _STOPS_WITHIN)
        finally:
            self.kill()

    def kill(self) -> None:
        """End it at once, where it runs."""
        if self._process is not None and not self.ended:
            self._process.kill()
            self._process.wait()

    async def complaints(self) -> Sequence[str]:
        """What `/readyz` says of parts that are not well; nothing where nobody answers."""
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT) as client,
                client.get(f"{self.admin}/readyz") as answer,
            ):
                parts = (await answer.json())["parts"]
        except (aiohttp.ClientError, TimeoutError):
            return ()
        return [f"{name}: {part['reason']}" for name, part in parts.items() if part["reason"]]

    async def sample(self, client: aiohttp.ClientSession, at: float) -> Sample | None:
        """How it is now; None where it did not say so in time."""
        try:
            async with client.get(f"{self.admin}/metrics", timeout=_TIMEOUT) as answer:
                gauges = _gauges(await answer.text())
        except (aiohttp.ClientError, TimeoutError):
            return None
        if self._process is None or self.ended:
            return None
        proc = Path(f"/proc/{self._process.pid}")
        pages = int((proc / "statm").read_text().split()[1])
        return Sample(
            at=at,
            resident=pages * _PAGE,
            descriptors=len(list((proc / "fd").iterdir())),
            threads=len(list((proc / "task").iterdir())),
            tasks=gauges["backorder_tasks", ""],
            journal=sum(
                file.stat().st_size
                for file in (self.journal, Path(f"{self.journal}-wal"))
                if file.exists()
            ),
            events=await asyncio.to_thread(_events, self.journal),
            lag=max(_lags(gauges, LIVE)),
            dead_lag=max(_lags(gauges, (DEAD,))),
        )


def _events(journal: Path) -> int:
    """How many events the journal keeps (its span says less: what is open and polled stays)."""
    with closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM events").fetchone()
    return int(count)


async def _ready(client: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with client.get(url) as answer:
            return answer.ok
    except (aiohttp.ClientError, TimeoutError):
        return False


def _gauges(text: str) -> Gauges:
    """Every metric, by name and the sink that it is about."""
    return {
        (sample.name, sample.labels.get("sink", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _lags(gauges: Gauges, sinks: Sequence[str]) -> list[float]:
    return [gauges.get(("backorder_sink_lag_events", sink), 0.0) for sink in sinks]


def _sources(where: Where) -> str:
    return f"""
[[sources]]
type = "radial-amqp"
name = "radial-queue"
urls = ["{where.amqp}"]
store_codes = {json.dumps(STORES)}

[[sources]]
type = "radial-webhook"
name = "radial-webhook"

[[sources]]
type = "mvet"
name = "mvet"
base_url = "{where.mvet}"
customers = {json.dumps(CUSTOMERS)}
interval = "2s"
jitter = "0s"

[[sources]]
type = "cinx"
name = "cinx"
base_url = "{where.cinx}"
username = "{CINX_USER}"
password = "{CINX_PASSWORD}"
interval = "2s"
jitter = "0s"
"""


def _sinks(where: Where, file: Path) -> str:
    return f"""
[[sinks]]
type = "file"
name = "file"
path = "{file}"
rotate_size = "16MiB"

[[sinks]]
type = "amqp"
name = "amqp"
url = "{where.amqp}"
queue = "{OUT}"
declare = "active"
queue_type = "classic"
retry = {{ initial = "100ms", max = "2s" }}

[[sinks]]
type = "http"
name = "http"
url = "{where.live}"
batched = true
timeout = "3s"
retry = {{ initial = "100ms", max = "2s" }}

[[sinks]]
type = "http"
name = "{DEAD}"
url = "{where.dead}"
batched = true
timeout = "3s"
filter = {{ types = ["presell"] }}
retry = {{ initial = "100ms", max = "500ms" }}
"""
