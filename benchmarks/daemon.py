"""`backorder-consumer run` as a process that is measured."""

import asyncio
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from time import perf_counter

from msgspec import Struct

from benchmarks.last_words import end_of, last_words
from benchmarks.processes import tied
from consumer.simulators.broker_home import free_port

_ROOT = Path(__file__).parents[1]
_READY_WITHIN = 60.0
_STOPS_WITHIN = 60.0
_PAUSE = 0.005


class Daemon(Struct, frozen=True, kw_only=True):
    """A running daemon. `public` is the URL of its listener for webhooks, without a slash.

    `start` is what it took from its first moment until it was ready, in seconds.
    """

    pid: int
    public: str
    journal: Path
    start: float


@asynccontextmanager
async def daemon(
    directory: Path, parts: str, *, journal: Path | None = None
) -> AsyncIterator[Daemon]:
    """Run the daemon in `directory`, made for it, with a configuration of these sources and sinks.

    All else is as it comes, durability above all. Its log is `daemon.log`, warnings only, and where
    it crashes what each thread was at. `journal` is a file that there is already. RuntimeError
    where it does not get ready, or does not stop cleanly, with the end of its log; one that comes
    up meanwhile is told with the daemon's `last_words`.
    """
    await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
    journal = journal or directory / "journal.db"
    public, admin = (f"127.0.0.1:{free_port()}" for _ in range(2))
    configuration = directory / "consumer.toml"
    configuration.write_text(
        f"""
[journal]
url = "sqlite:{journal}"
[webhooks]
listen = "{public}"
[admin]
listen = "{admin}"
[log]
level = "warning"
{parts}
"""
    )
    began = perf_counter()
    with (directory / "daemon.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603, ASYNC220 - this very program, at once
            tied([sys.executable, "-m", "consumer", "run", "-c", str(configuration)]),
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            env=os.environ | {"PYTHONFAULTHANDLER": "1"},
        )
    said = Path(log.name)
    try:
        while not await asyncio.to_thread(_ready, f"http://{admin}/readyz"):
            if process.poll() is not None or perf_counter() - began > _READY_WITHIN:
                raise RuntimeError(f"the daemon did not get ready:\n{end_of(said)}")
            await asyncio.sleep(_PAUSE)
        running = Daemon(
            pid=process.pid,
            public=f"http://{public}",
            journal=journal,
            start=perf_counter() - began,
        )
        try:
            yield running
        except RuntimeError as error:
            words = await asyncio.to_thread(last_words, process, f"http://{admin}", said)
            raise RuntimeError(f"{error}\n{words}") from error
        process.send_signal(signal.SIGTERM)
        if await asyncio.to_thread(process.wait, _STOPS_WITHIN):
            raise RuntimeError(f"the daemon did not stop cleanly:\n{end_of(said)}")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own daemon
            return bool(answer.status == HTTPStatus.OK)
    except (urllib.error.URLError, OSError):
        return False
