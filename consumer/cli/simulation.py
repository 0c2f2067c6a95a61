"""What the commands of `simulate` have in common: their options, and how they run."""

import asyncio
import json
import signal
import textwrap
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

import click

from consumer.cli.options import DurationType
from consumer.cli.text import TEXT
from consumer.decoding import listed, nearest
from consumer.model import System, utc_now
from consumer.simulators.faults import Faults, faults_of, spellings
from consumer.simulators.polled_server import PolledServer
from consumer.simulators.polled_world import Step
from consumer.values import Duration, PositiveDuration

Command = TypeVar("Command", bound=Callable[..., Any])

_HIGHEST_PORT = 65_535
_SHARE = 0.1
_INTERVAL = "5s"
_WIDTH = 76


class _FaultType(click.ParamType[tuple[str, float]]):
    name = "fault"

    def __init__(self, system: System) -> None:
        self._system = system

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float]:
        name, _, share = str(value).partition("=")
        known = list(spellings(self._system))
        if name not in known:
            hint = nearest(name, known) or f"; there are {listed(faults_of(self._system))}"
            self.fail(f"{self._system} has no fault `{name}`{hint}", param, ctx)
        try:
            part = float(share) if share else _SHARE
        except ValueError:
            part = -1.0
        if not 0 <= part <= 1:
            self.fail(f"`{share}` is no share; write a number from 0 to 1", param, ctx)
        return name, part


class UrlType(click.ParamType[str]):
    """An address with a host, of one of these schemes."""

    name = "url"

    def __init__(self, *schemes: str) -> None:
        self._schemes = schemes

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """The address as it was given."""
        text = TEXT.convert(value, param, ctx)
        try:
            parts = urlsplit(text)
            usable = parts.scheme in self._schemes and parts.hostname and parts.port != 0
        except ValueError:
            usable = False
        if not usable:
            expected = " or ".join(f"{scheme}://host" for scheme in self._schemes)
            self.fail(f"not an address; write {expected}", param, ctx)
        return text


for_option = click.option(
    "--for",
    "duration",
    type=DurationType(PositiveDuration),
    metavar="DURATION",
    help='End by itself after so long, such as "30s".  [default: run until Ctrl-C]',
)
seed_option = click.option(
    "--seed",
    type=int,
    default=1,
    show_default=True,
    metavar="N",
    help="The same number makes the same world.",
)


_port_option = click.option(
    "--port",
    type=click.IntRange(0, _HIGHEST_PORT),
    default=0,
    metavar="N",
    help="The port to listen on.  [default: any that is free]",
)
_step_option = click.option(
    "--step",
    type=DurationType(Duration),
    default="2s",
    show_default=True,
    metavar="DURATION",
    help="How often the world changes; with 0s it does not.",
)
_etag_option = click.option("--etag", is_flag=True, help="Offer validators and answer 304.")


def server_options(system: System, lines: int) -> Callable[[Command], Command]:
    """The options that simulated web services have in common."""
    lines_option = click.option(
        "--lines",
        type=click.IntRange(0, 1_000_000),
        default=lines,
        show_default=True,
        metavar="N",
        help="Back-orders that each account has at first.",
    )
    fault_option = click.option(
        "--fault",
        "faults",
        type=_FaultType(system),
        multiple=True,
        metavar="NAME[=SHARE]",
        help=f"Misbehave in this share of the answers, 0 to 1 ({_SHARE:g} if not given);"
        " see below.",
    )
    served = (_port_option, seed_option, lines_option, _step_option)
    misbehaving = (fault_option, _etag_option, for_option)

    def decorate(command: Command) -> Command:
        for option in reversed((*served, *misbehaving)):
            command = option(command)
        return command

    return decorate


def told_faults(system: System) -> str:
    """The list of faults for `--help`."""
    lines = []
    for name, fault in faults_of(system).items():
        chosen = f" ({', '.join(f'{name}.{one}' for one in fault.variants)})"
        text = fault.does + (chosen if fault.variants else "")
        lines += textwrap.wrap(
            f"{name:<11} {text}", _WIDTH, initial_indent="  ", subsequent_indent=" " * 14
        )
    return "\b\nFaults:\n" + "\n".join(lines)


# --- running --------------------------------------------------------------------------------


def faults_from(options: Mapping[str, Any]) -> Faults:
    """The faults that the options ask for."""
    faults = Faults(options["seed"])
    for name, share in options["faults"]:
        faults.set(name, share)
    return faults


class World(Protocol):
    """What changes while it is served."""

    def step(self) -> Step:
        """Let time go by."""
        ...


async def serve(
    system: System,
    server: PolledServer,
    world: World,
    keys: Mapping[str, object],
    options: Mapping[str, Any],
) -> None:
    """Serve until it is time to stop; tell what changes, and at the end what was asked."""
    async with stopping(options["duration"]) as stop, server:
        click.echo(f"{system} is simulated at {server.url}; Ctrl-C stops it")
        click.echo("for a configuration:\n")
        table = {"type": system, "name": system, "base_url": server.url, **keys}
        click.echo("[[sources]]")
        for key, value in (table | {"interval": _INTERVAL}).items():
            click.echo(f"{key} = {json.dumps(value, ensure_ascii=False)}")
        click.echo()
        while not await told_to(stop, within=options["step"] or None):
            if step := world.step():
                click.echo(f"{utc_now():%H:%M:%S}  {step}")
    asked = ", ".join(f"{count} {kind}" for kind, count in sorted(server.requests.items()))
    click.echo(f"asked for: {asked or 'nothing'}; connections: {server.connections}")
    if server.faults.done:
        done = ", ".join(f"{count} {name}" for name, count in server.faults.done.items())
        click.echo(f"faults: {done}")


@asynccontextmanager
async def stopping(duration: Duration | None) -> AsyncIterator[asyncio.Event]:
    """An event that Ctrl-C, a termination signal or the end of the time sets."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if duration is not None:
        loop.call_later(duration, stop.set)
    yield stop


async def told_to(stop: asyncio.Event, *, within: float | None) -> bool:
    """Wait for `stop`, so many seconds at the most; whether it is set."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            await stop.wait()
    return stop.is_set()
