"""`demo`: the daemon between simulated upstreams."""

import asyncio
import signal
from pathlib import Path

import click

from consumer.cli.options import DurationType
from consumer.demo import Demo
from consumer.settings import LogSettings
from consumer.telemetry import configure_log
from consumer.values import Duration, PositiveDuration

_DIRECTORY = Path("var/demo")


@click.command()
@click.option(
    "--for",
    "duration",
    type=DurationType(PositiveDuration),
    metavar="DURATION",
    help='End by itself after so long, such as "30s".  [default: run until Ctrl-C]',
)
@click.option(
    "--lines",
    default=400,
    show_default=True,
    type=click.IntRange(1, 100_000),
    help="Order lines that each customer of MVET and organisation of CINX has at first.",
)
@click.pass_context
def demo(context: click.Context, duration: Duration | None, lines: int) -> None:
    """Show the daemon at work, with nothing to set up.

    Simulated stores publish back-orders to a private RabbitMQ (where one is installed) and post
    them to the webhook; a simulated MVET and a simulated CINX change while they are polled. The
    daemon turns all of it into events, keeps them in a journal below ./var/demo and hands them to
    two sinks, standard output and a file. A line for each event as it arrives; at the end, a count
    for each source and sink. Ctrl-C stops the upstreams, and what they sent is waited for; another
    one ends it at once.

    \b
    Exit status: 0 if every simulated event reached every sink, otherwise 1; 130 if it was ended at
    once.

    \b
    Examples:
      backorder-consumer demo --for 30s
      backorder-consumer demo --lines 5
    """
    configure_log(LogSettings(level="warning", format="console"))
    try:
        complete = asyncio.run(_run(None if duration is None else float(duration), lines))
    except asyncio.CancelledError:  # a second Ctrl-C
        raise click.Abort from None
    context.exit(0 if complete else 1)


async def _run(seconds: float | None, lines: int) -> bool:
    asked, loop, this = asyncio.Event(), asyncio.get_running_loop(), asyncio.current_task()

    def stop() -> None:
        if asked.is_set() and this is not None:
            this.cancel()
        asked.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    return await Demo(_DIRECTORY, click.echo, lines=lines).run(seconds, asked)
