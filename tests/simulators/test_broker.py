"""The private broker keeps to itself and leaves nothing behind."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from consumer.errors import Unusable
from consumer.simulators import broker
from consumer.simulators.broker import PrivateBroker
from rabbit import rabbit
from waiting import until

_PARENT = """
import asyncio
from consumer.simulators.broker import PrivateBroker

async def main():
    broker = PrivateBroker()
    await broker.start()
    print(broker._node.pid, broker._epmd.pid, broker._home, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_keeps_its_address_and_durable_messages_over_a_restart(
    private_broker: PrivateBroker, unique: str
) -> None:
    async with rabbit(private_broker.url) as peer:
        await peer.queue(unique)
        await peer.publish(unique, [b"kept"])
    node = private_broker._node
    await private_broker.restart()
    assert private_broker._node is not node
    async with rabbit(private_broker.url) as peer:
        assert [message.body for message in await peer.all(unique)] == [b"kept"]


async def test_ctl_tells_why_it_failed(private_broker: PrivateBroker) -> None:
    assert "guest" in await private_broker.ctl("list_users")
    with pytest.raises(Unusable, match="delete_user failed"):
        await private_broker.ctl("delete_user", "nobody")


async def test_no_node_is_started_without_a_port_mapper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "_port_mapper", lambda: "false")  # a program that ends at once
    private = PrivateBroker()
    try:
        with pytest.raises(Unusable, match="port mapper"):
            await private.start()
        assert not private.is_running()
    finally:
        private.close()


async def test_dies_with_its_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        line = await asyncio.to_thread(parent.stdout.readline)
        *pids, home = line.decode().split()
        parent.send_signal(signal.SIGKILL)
        await asyncio.to_thread(parent.wait)
    await until(lambda: not any(is_alive(int(pid)) for pid in pids), what="all ended")
    for file in sorted(Path(home).rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    Path(home).rmdir()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state != "Z"
