"""The real program as a process of its own: started, asked, stopped and killed by tests."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from consumer.simulators.broker_home import free_port
from waiting import until


class DaemonProcess:
    """`backorder-consumer run` on a configuration of the test's own, in a directory of its own.

    `sources_and_sinks` is TOML; journal, admin listener and public listener are added to it.
    `redirections` are the shell's. `program` is what Python is started with, where that is not the
    program itself but something around it.
    """

    def __init__(
        self,
        directory: Path,
        sources_and_sinks: str,
        *,
        journal: str = "",
        webhooks: str = "",
        extra: str = "",
        environ: Mapping[str, str] | None = None,
        redirections: str = "",
        program: Sequence[str] = ("-m", "consumer"),
    ) -> None:
        self.directory = directory
        self.admin = f"http://127.0.0.1:{free_port()}"
        self.public = f"http://127.0.0.1:{free_port()}"
        self.journal = directory / "journal.db"
        self.log = directory / "daemon.log"
        self.config = directory / "consumer.toml"
        self._environ = {**os.environ, **(environ or {})}
        self._redirections = redirections
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self.config.write_text(
            f"""
[journal]
url = "sqlite:{self.journal}"
{journal}
[admin]
listen = "{self.admin.removeprefix("http://")}"
[webhooks]
listen = "{self.public.removeprefix("http://")}"
{webhooks}
{extra}
{sources_and_sinks}
"""
        )

    @property
    def pid(self) -> int:
        """The process id of the running daemon."""
        assert self._process is not None
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether the daemon has ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def start(self) -> None:
        """Start the daemon; does not wait for anything."""
        command = [sys.executable, *self._program, "run", "-c", str(self.config)]
        with self.log.open("ab") as log, (self.directory / "stdout").open("ab") as output:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", f'exec "$@" {self._redirections}', "sh", *command],
                cwd=self.directory,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
            )

    async def ready(self) -> None:
        """Wait until the daemon is ready; fail with its log where it ends before."""

        async def answers() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, f"the daemon ended:\n{self.log.read_text()}"
            return (await self.readiness())[0] == 200

        await until(answers, what="the daemon is ready")

    async def readiness(self) -> tuple[int, dict[str, Any]]:
        """Status and body of `/readyz`; 0 where nobody answers."""
        try:
            async with aiohttp.ClientSession() as client, client.get(f"{self.admin}/readyz") as got:
                return got.status, await got.json()
        except aiohttp.ClientError:
            return 0, {}

    async def part(self, name: str) -> dict[str, Any]:
        """What `/readyz` says of one part."""
        _, body = await self.readiness()
        found: dict[str, Any] = body.get("parts", {}).get(name, {})
        return found

    async def metrics(self) -> str:
        """The text of `/metrics`."""
        async with aiohttp.ClientSession() as client, client.get(f"{self.admin}/metrics") as got:
            return await got.text()

    async def kill(self) -> None:
        """SIGKILL: as if the power had gone for this process."""
        assert self._process is not None
        self._process.kill()
        await asyncio.to_thread(self._process.wait)

    async def stop(self, number: int = signal.SIGTERM, *, within: float = 60.0) -> int:
        """Ask the daemon to stop and return its exit status."""
        assert self._process is not None
        self._process.send_signal(number)
        return await asyncio.to_thread(self._process.wait, within)

    async def command(self, *arguments: str, status: int = 0) -> str:
        """Run another command of the program on the same configuration; its standard output."""
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "consumer", *arguments, "-c", str(self.config)],
            cwd=self.directory,
            env=self._environ,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
        assert done.returncode == status, done.stderr.decode()
        return done.stdout.decode()

    async def events(self) -> list[dict[str, Any]]:
        """Everything in the journal, as `events --json` shows it."""
        return [json.loads(line) for line in (await self.command("events", "--json")).splitlines()]

    async def sinks_have_passed(self, seq: int) -> None:
        """Wait until every sink's cursor is at `seq` or beyond."""

        async def passed() -> bool:
            listed = await self.command("sinks", "list", "--json")
            cursors = [json.loads(line) for line in listed.splitlines()]
            return bool(cursors) and all(cursor["seq"] >= seq for cursor in cursors)

        await until(passed, within=120, what=f"every sink passed {seq}")


@contextlib.asynccontextmanager
async def running(daemon: DaemonProcess) -> AsyncIterator[DaemonProcess]:
    """A daemon that is ready, and is gone afterwards whatever happened."""
    daemon.start()
    try:
        await daemon.ready()
        yield daemon
    finally:
        with contextlib.suppress(ProcessLookupError):
            await daemon.kill()
