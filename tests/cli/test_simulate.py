"""The simulated upstreams as a person starts them."""

import asyncio
import re
import signal
import socket
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from consumer import config, plugins
from consumer.simulators.broker_home import free_port
from consumer.simulators.faults import faults_of
from consumer.simulators.radial_feed import queue_of
from consumer.sources.cinx import CinxOptions
from consumer.sources.mvet import MvetOptions
from program import Call
from rabbit import rabbit
from waiting import until


class Running:
    """`simulate` as a process of its own; what it says goes into files."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self._out, self._err = directory / "out", directory / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "consumer", "simulate", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
            )

    @property
    def said(self) -> str:
        return self._out.read_text()

    @property
    def complained(self) -> str:
        return self._err.read_text()

    async def until_said(self, pattern: str) -> str:
        await until(
            lambda: bool(re.search(pattern, self.said)) or self.process.poll() is not None,
            what=pattern,
        )
        found = re.search(pattern, self.said)
        assert found, self.said + self.complained
        return found[0]

    async def source(self) -> dict[str, Any]:
        """The table that is printed to be pasted."""
        text = await self.until_said(r"(?s)\[\[sources\]\].*?\n\n")
        [table] = tomllib.loads(text)["sources"]
        found: dict[str, Any] = table
        return found

    async def interrupted(self, by: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(by)
        return await asyncio.to_thread(self.process.wait, 60)


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started = []

    def begin(*arguments: str) -> Running:
        started.append(Running(tmp_path, *arguments))
        return started[-1]

    yield begin
    for one in started:
        one.process.kill()
        one.process.wait()


async def get(url: str, **headers: str) -> Any:
    async with (
        aiohttp.ClientSession(headers=headers) as client,
        client.get(url) as response,
    ):
        assert response.status == 200
        return await response.json()


async def test_mvet_is_served_until_ctrl_c(start: Start) -> None:
    running = start("mvet", "--customer", "0000042", "--lines", "9", "--step", "0s")
    table = await running.source()
    assert (table["type"], table["customers"]) == ("mvet", ["0000042"])
    path = "/run/ecommerce/wsapi/boinquiry?customer=0000042"
    assert len(await get(table["base_url"] + path)) == 9
    assert await running.interrupted() == 0
    assert "asked for: 1 list; connections: 1" in running.said
    assert running.complained == ""


async def test_cinx_is_served_with_faults_and_changes(start: Start) -> None:
    running = start("cinx", "--lines", "500", "--step", "20ms", "--fault", "short=1")
    table = await running.source()
    header = aiohttp.encode_basic_auth(table["username"], table["password"])
    url = f"{table['base_url']}/2.0/sub/{table['api_token']}/back-orders"
    assert len((await get(url, Authorization=header))["rows"]) == 49
    await running.until_said(r"\d\d:\d\d:\d\d  \d+ opened, \d+ updated, \d+ cleared")
    assert await running.interrupted(signal.SIGTERM) == 0
    assert "faults: 1 short" in running.said
    assert running.complained == ""


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["mvet"], MvetOptions),
        (["mvet", "--username", 'v"et', "--password", "x\\y"], MvetOptions),
        (["cinx"], CinxOptions),
        (["cinx", "--organisation", "A & B", "--organisation", "Zwölf"], CinxOptions),
    ],
)
def test_what_is_printed_to_be_pasted_can_be(
    call: Call, arguments: list[str], options: type
) -> None:
    done = call("simulate", *arguments, "--for", "1ms", "--step", "0s")
    assert done.status == 0, done.err
    text = done.out[done.out.index("[[sources]]") :].partition("\n\n")[0]
    settings = config.loads(
        text,
        file="pasted.toml",
        environ={},
        source_types={**plugins.option_types(plugins.sources()), arguments[0]: options},
        sink_types={},
    )
    [source] = settings.sources
    assert isinstance(source, options)


def test_the_same_seed_serves_the_same(call: Call) -> None:
    def table(seed: str) -> str:
        out = call("simulate", "cinx", "--seed", seed, "--for", "1ms", "--port", "0").out
        [line] = [line for line in out.splitlines() if line.startswith("api_token = ")]
        return line

    assert table("3") == table("3") != table("4")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["mvet", "--fault", "slwo"], "mvet has no fault `slwo`; did you mean `slow`?"),
        (["mvet", "--fault", "shift"], "mvet has no fault `shift`"),
        (["cinx", "--fault", "status.418"], "did you mean `status.4"),
        (["cinx", "--fault", "zzz"], "there are `slow`, `status`,"),
        (["cinx", "--fault", "slow=2"], "`2` is no share; write a number from 0 to 1"),
        (["cinx", "--fault", "slow=often"], "`often` is no share"),
        (["mvet", "--customer", "2789"], "`2789` is no account number; these have 7 digits"),
        (["mvet", "--step", "soon"], "250ms"),
        (["mvet", "--for", "0s"], "above zero"),
        (["radial"], "give --webhook, --amqp or both"),
        (["radial", "--webhook", "ftp://here"], "write http://host or https://host"),
        (["radial", "--amqp", "amqp://host:99999"], "write amqp://host or amqps://host"),
    ],
)
def test_what_cannot_be_is_told(call: Call, arguments: list[str], told: str) -> None:
    done = call("simulate", *arguments)
    assert (done.status, done.out) == (2, "")
    assert told in done.err
    assert "Traceback" not in done.err


def test_a_port_in_use_is_told_in_a_line(call: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = call("simulate", "mvet", "--port", str(port), "--for", "1ms")
    told = f"error: port {port} of 127.0.0.1 is in use. Choose another, or 0 for a free one\n"
    assert done == (1, "", told)


@pytest.mark.parametrize("system", ["mvet", "cinx"])
def test_help_lists_every_fault(call: Call, system: Any) -> None:
    out = call("simulate", system, "--help").out
    listed = re.findall(r"^    (\w+)", out.partition("Faults:\n")[2], re.MULTILINE)
    assert listed == list(faults_of(system))


# --- Radial ----------------------------------------------------------------------------------


@pytest.fixture
async def webhook() -> AsyncIterator[tuple[str, list[bytes]]]:
    bodies: list[bytes] = []

    async def take(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        return web.json_response({}, status=503 if len(bodies) == 1 else 200)

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://user:pw@127.0.0.1:{runner.addresses[0][1]}/hook", bodies
    await runner.cleanup()


async def test_radial_posts_lists_until_they_are_taken(
    start: Start, webhook: tuple[str, list[bytes]]
) -> None:
    url, bodies = webhook
    running = start("radial", "--webhook", url, "--every", "10ms", "--events", "3")
    await running.until_said(r"(?s)TMS_US: \d+ order lines.*TMS_US: \d+ order lines")
    assert await running.interrupted() == 0
    assert bodies[0] == bodies[1] != bodies[2]
    assert bodies[0].count(b"<OrderBackorder ") == 3
    assert "user" not in running.said + running.complained
    assert running.complained == ""


async def test_radial_stops_although_nobody_takes_anything(start: Start) -> None:
    running = start("radial", "--webhook", f"http://127.0.0.1:{free_port()}/")
    await until(lambda: "has not taken it yet; trying on" in running.complained)
    assert await running.interrupted() == 0
    assert running.complained.count("\n") == 1


async def test_radial_publishes_to_the_queues_of_stores(
    start: Start, amqp_url: str, unique: str
) -> None:
    running = start("radial", "--amqp", amqp_url, "--store", unique, "--every", "10ms")
    await running.until_said(rf"{unique}: \d+ order lines")
    assert await running.interrupted() == 0
    sent = running.said.count(f"{unique}: ")
    async with rabbit(amqp_url) as broker:
        messages = await broker.all(queue_of(unique))
        await broker.channel.queue_delete(queue_of(unique))
    assert len(messages) >= sent > 0
    assert b"<OrderBackorder " in messages[0].body


def test_a_broker_that_is_not_there_is_told_in_a_line(call: Call) -> None:
    done = call("simulate", "radial", "--amqp", f"amqp://127.0.0.1:{free_port()}/")
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert done.err.startswith("error: ")
