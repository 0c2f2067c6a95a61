"""A private RabbitMQ node, for `demo` and for tests that stop, kill and restart a broker.

Rules
- The node has nothing in common with a broker that may run on the same machine: its own name,
  ports, cookie, data and log, all below one temporary directory that goes with it. Loopback only.
- Nothing outlives this process: node and port mapper are children that the kernel kills when their
  parent dies (`setpriv --pdeathsig`, where there is one), in a session of their own so that Ctrl-C
  reaches the program and not the broker.
- Any event loop may use it: child processes are polled, not bound to the loop that began them.

Debian's `rabbitmq-server` on the PATH is a wrapper that switches users and ignores the environment,
hence `available` looks for the script behind it.
"""

import asyncio
import contextlib
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from consumer.errors import Unusable
from consumer.simulators.broker_home import BrokerTls, configure, free_port, furnish

__all__ = ["BrokerTls", "PrivateBroker", "available", "free_port"]

_SCRIPTS = (
    "/usr/lib/rabbitmq/bin",
    "/opt/rabbitmq/sbin",
    "/usr/local/opt/rabbitmq/sbin",
    "/opt/homebrew/opt/rabbitmq/sbin",
)
_DEBIAN_WRAPPERS = ("/usr/sbin", "/sbin")
_POLL = 0.05
_TAIL = 15


def available() -> bool:
    """Whether a RabbitMQ that can be run privately is installed."""
    return _scripts() is not None and shutil.which("erl") is not None


def _scripts() -> Path | None:
    """The folder of the real `rabbitmq-server` and `rabbitmqctl` scripts."""
    on_path = shutil.which("rabbitmq-server")
    folders = [Path(folder) for folder in _SCRIPTS]
    if on_path and not on_path.startswith(_DEBIAN_WRAPPERS):
        folders.insert(0, Path(on_path).resolve().parent)
    return next((f for f in folders if (f / "rabbitmq-server").is_file()), None)


def _port_mapper() -> str | None:
    """Erlang's `epmd`, on the PATH or inside the Erlang installation."""
    erl = shutil.which("erl")
    if found := shutil.which("epmd"):
        return found
    root = Path(erl).resolve().parent.parent if erl else Path("/usr/lib/erlang")
    return next((str(path) for path in sorted(root.glob("erts-*/bin/epmd"))), None)


class PrivateBroker:
    """A RabbitMQ node of one's own; an asynchronous context manager, or `start` and `close`.

    `url` stays the same over restarts, and so does what durable queues hold.
    """

    def __init__(self, tls: BrokerTls | None = None) -> None:
        self.port = free_port()
        self.tls_port = free_port()
        self._tls = tls
        self._node: subprocess.Popen[bytes] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None
        self._home: Path | None = None
        self._environment: dict[str, str] = {}

    @property
    def url(self) -> str:
        """The address of the default virtual host, with the default user's password."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    @property
    def tls_url(self) -> str:
        """The same over TLS, by the name `localhost`."""
        return f"amqps://guest:guest@localhost:{self.tls_port}/"

    @property
    def session(self) -> int:
        """The session that the node's processes have for themselves; 0 while it is not running."""
        return self._node.pid if self._node is not None else 0

    def is_running(self) -> bool:
        """Whether the node's process is alive."""
        return self._node is not None and self._node.poll() is None

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.close()

    async def start(self, *, within: float = 90) -> None:
        """Start the node and wait until clients can connect; `within` seconds or `Unusable`.

        Does nothing where it runs already.
        """
        if self.is_running():
            return
        scripts = self._prepare()
        try:
            async with asyncio.timeout(within):
                await self._map_ports()
                self._node = self._spawn([str(scripts / "rabbitmq-server")])
                while not await self._answers():
                    if not self.is_running():
                        raise Unusable(
                            "the private RabbitMQ ended while starting", self._log_tail()
                        )
                    await asyncio.sleep(_POLL)
        except TimeoutError:
            reason = f"the private RabbitMQ did not start within {within:g} s"
            raise Unusable(reason, self._log_tail()) from None

    async def stop(self, *, within: float = 20) -> None:
        """Stop the node in order: connections are closed, everything is written down."""
        if self._node is None:
            return
        self._node.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(self._node.wait, within)
        self.kill()

    def kill(self) -> None:
        """End the node at once, as a power failure would; what durable queues hold stays."""
        _end(self._node)
        self._node = None

    async def restart(self) -> None:
        """Stop in order and start again on the same ports with the same data."""
        await self.stop()
        await self.start()

    def close(self) -> None:
        """End the node and remove all traces of it. May be called twice."""
        self.kill()
        _end(self._epmd)
        self._epmd = None
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = None

    async def ctl(self, *arguments: str, within: float = 60) -> str:
        """What `rabbitmqctl ARGUMENTS` prints for this node; `Unusable` where it fails.

        It takes a second or two: a whole Erlang machine starts for it.
        """
        command = [str(self._prepare() / "rabbitmqctl"), "--quiet", *arguments]
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            env=self._environment,
            capture_output=True,
            timeout=within,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            said = (done.stderr or done.stdout).decode(errors="replace").strip()
            raise Unusable(f"rabbitmqctl {arguments[0]} failed", said)
        return done.stdout.decode()

    def _prepare(self) -> Path:
        """Make the directory and the environment, once; return where the scripts are."""
        scripts = _scripts()
        if scripts is None or not available():
            raise Unusable(
                "no RabbitMQ is installed here", "on Debian: apt-get install rabbitmq-server"
            )
        if self._home is None:
            self._home = Path(tempfile.mkdtemp(prefix="private-rabbitmq-"))
            configuration = configure(self.port, self.tls_port, self._tls)
            self._environment = furnish(self._home, configuration)
        return scripts

    def _spawn(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        setpriv = shutil.which("setpriv")
        tied = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
        home = self._home or Path()
        with (home / "output.txt").open("ab") as output:
            return subprocess.Popen(  # noqa: S603 - programs found by _scripts and _port_mapper
                [*tied, *command],
                env=self._environment,
                cwd=home,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    async def _map_ports(self) -> None:
        """Start the port mapper where it does not run, and wait until it takes connections.

        A node that finds none starts one of its own, which would outlive everybody.
        """
        if self._epmd is None or self._epmd.poll() is not None:
            self._epmd = self._spawn([_port_mapper() or "epmd", "-address", "127.0.0.1"])
        while not await _listens(int(self._environment["ERL_EPMD_PORT"])):
            if self._epmd.poll() is not None:
                raise Unusable("the private RabbitMQ's port mapper, epmd, ended", self._log_tail())
            await asyncio.sleep(_POLL)

    async def _answers(self) -> bool:
        """Whether the node greets an AMQP client."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        try:
            writer.write(b"AMQP\x00\x00\x09\x01")
            return bool(await reader.read(1))
        except OSError:
            return False
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _log_tail(self) -> str:
        home = self._home or Path()
        said = (home / "output.txt").read_text(errors="replace")
        return "\n".join(said.splitlines()[-_TAIL:])


async def _listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True


def _end(process: subprocess.Popen[bytes] | None) -> None:
    if process is not None:
        process.send_signal(signal.SIGKILL)
        process.wait()
