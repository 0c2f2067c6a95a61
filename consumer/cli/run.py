"""`run`: the daemon."""

import asyncio
import faulthandler
import gc
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import click

from consumer.app import Daemon
from consumer.cli.options import config_option, load_settings
from consumer.settings import Settings
from consumer.telemetry import configure_log

# Seconds that the event loop may keep the interpreter while the journal's writer waits for it.
# Python's own 5 ms, again and again while a commit takes its few steps, would make commits slow.
_SWITCH_INTERVAL = 0.001

# Objects that are new until the collector of cycles looks for some among them. Messages and events
# hold none, and go when they are done with: at Python's own 700 it took a tenth of the time of a
# busy daemon to find nothing. What cycles there are, errors above all, go a little later.
_NEW_OBJECTS = 2_000


@click.command()
@config_option
def run(config: Path | None) -> None:
    """Run the daemon until it is told to stop.

    It takes messages from every configured source, keeps their events in the journal and hands
    them to every sink. An upstream or a receiver that cannot be reached does not stop it:
    /readyz on the admin listener tells how each part is.

    SIGTERM and Ctrl-C stop it cleanly: what was taken is committed and settled, and what is
    pending is delivered within the grace time of [stop]. A second signal ends it at once, which
    loses nothing either: what was not settled arrives again.

    \b
    Exit status: 0 clean stop, 1 failure, 2 unusable configuration.

    \b
    Example:
      backorder-consumer run -c consumer.toml
    """
    settings = load_settings(config)
    configure_log(settings.log)
    serve(settings)


def serve(settings: Settings) -> None:
    """Run a daemon on a new event loop until a signal stops it."""
    if sys.stderr is not None:  # as with `2>&-`
        faulthandler.enable()  # should C code fail, the log ends with where; it shows no values
    sys.setswitchinterval(_SWITCH_INTERVAL)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_until_signalled(Daemon(settings)))


async def _until_signalled(daemon: Daemon) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def asked() -> None:
        if stop.is_set():
            _leave_at_once()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked)
    await daemon.run(stop, ready=_spare_the_collector)


def _spare_the_collector() -> None:
    """Have the collector of cycles leave alone what is there at the start: code, schemas, and other
    things that stay for as long as the daemon does.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])


def _leave_at_once() -> NoReturn:
    """End like a crash would, which the journal and the upstreams are made for."""
    with suppress(OSError):  # standard error may be on a full disk, and we leave all the same
        os.write(2, b"stopped at once; what was not settled arrives again\n")
    os._exit(1)


def _loop_factory() -> "type[asyncio.AbstractEventLoop] | None":
    """The event loop of uvloop where that runs, otherwise Python's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop
