"""`demo`: the daemon between simulated upstreams."""

import asyncio
import signal
from pathlib import Path

import click

from consumer.demo import Demo
from consumer.settings import LogSettings
from consumer.telemetry import configure_log
from consumer.values import Duration, PositiveDuration

_DIRECTORY = Path("var/demo")


class _DurationType(click.ParamType[Duration]):
    name = "duration"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Duration:
        if isinstance(value, Duration):
            return value
        try:
            return PositiveDuration.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.option(
    "--for",
    "duration",
    type=_DurationType(),
    metavar="DURATION",
    help='End by itself after so long, such as "30s".  [default: run until Ctrl-C]',
)
@click.pass_context
def demo(context: click.Context, duration: Duration | None) -> None:
    """Show the daemon at work, with nothing to set up.

    Simulated stores publish back-orders to a private RabbitMQ (where one is installed) and post
    them to the webhook; the daemon turns them into events, keeps them in a journal below
    ./var/demo and hands them to two sinks, standard output and a file. A line for each event as
    it arrives; at the end, a count for each source and sink.

    \b
    Exit status: 0 if every simulated event reached every sink, otherwise 1.

    \b
    Example:
      backorder-consumer demo --for 30s
    """
    configure_log(LogSettings(level="warning", format="console"))
    complete = asyncio.run(_run(None if duration is None else float(duration)))
    context.exit(0 if complete else 1)


async def _run(seconds: float | None) -> bool:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    return await Demo(_DIRECTORY, click.echo).run(seconds, asked)
