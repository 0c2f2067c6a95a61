"""What comes of a command: the one place where errors become exit statuses.

    0    done
    1    it could not be done: the reason stands on standard error (nothing stands there where
         nobody reads the output any more)
    2    wrong use, or an unusable configuration: every mistake stands on standard error
    130  interrupted

What goes wrong for a reason that people can mend never shows a traceback. A traceback is a bug.
"""

import os
import sys
import traceback
from collections.abc import Sequence

import click

from consumer import __version__
from consumer.cli import cli
from consumer.cli.table import plain
from consumer.errors import ConfigurationError, ConsumerError

FAILED, MISUSED, INTERRUPTED = 1, 2, 130


def outcome(arguments: Sequence[str] | None) -> int:
    """Run the command that the arguments name (None: those of the process); its exit status."""
    _keep_standard_descriptors()
    try:
        status = cli.main(arguments, prog_name="backorder-consumer", standalone_mode=False)
        if sys.stdout is not None:  # None: it was closed before this program began
            sys.stdout.flush()
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:  # as click does where it is click that notices
        _give_up_output()
        return FAILED
    except OSError as error:
        if not _while_writing(error):
            return _told(error)
        _give_up_output()
        click.echo(f"error: standard output: {error.strerror}", err=True)
        return FAILED
    except Exception as error:  # noqa: BLE001 - the last resort of the whole program
        return _told(error)
    return status if isinstance(status, int) else 0


def _keep_standard_descriptors() -> None:
    """Put nothing where input, output or errors were closed before this program began.

    A file or an event loop would get that number otherwise, and with it whatever C libraries have
    to say there; ended so, uvloop aborts.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free


def _while_writing(error: OSError) -> bool:
    """Whether standard output is what failed: all of it goes through `click.echo`.

    Streams are written in C, so the innermost frame is that of who wrote.
    """
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_code in {click.echo.__code__, outcome.__code__}


def _give_up_output() -> None:
    """What is still buffered would fail again when the interpreter closes standard output."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _told(error: Exception) -> int:
    """Say on standard error what went wrong; the exit status for it."""
    match error:
        case click.ClickException():
            error.show()
            return error.exit_code
        case ConfigurationError():
            for mistake in error.mistakes:
                click.echo(plain(f"{error.file}: {mistake}"), err=True)
            return MISUSED
        case ConsumerError():
            click.echo(plain(f"error: {error}"), err=True)
            return FAILED
    _tell_places(error)
    click.echo(
        f"error: this is a bug in backorder-consumer {__version__}; please report it with the"
        " lines above",
        err=True,
    )
    return FAILED


def _tell_places(error: BaseException) -> None:
    """Show where something happened that this program did not foresee, and where that came from.

    Not its words: they may quote a message, and standard error is the daemon's log.
    """
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        _tell_places(cause)
        click.echo("which led to:", err=True)
    click.echo("Traceback (most recent call last):", err=True)
    click.echo("".join(traceback.format_tb(error.__traceback__)), err=True, nl=False)
    click.echo(type(error).__name__, err=True)
