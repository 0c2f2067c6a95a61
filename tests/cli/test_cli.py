"""What all commands have in common."""

import errno
import re
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from consumer import __version__
from consumer.__main__ import main
from consumer.cli import COMMANDS, cli
from consumer.errors import ConfigurationError, Mistake, Refused, Unavailable, Unusable
from program import Call


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> dict[str, click.Command]:
    """Every command below this one, this one included, by what to type."""
    found = {" ".join(path): command}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            found |= leaves(below, (*path, name))
    return found


def test_help_lists_the_commands_in_the_order_of_use(program: Call) -> None:
    done = program("--help")
    assert (done.status, done.err) == (0, "")
    _, _, listed = done.out.partition("Commands:\n")
    assert re.findall(r"^  (\w+)", listed, re.MULTILINE) == list(COMMANDS)


def test_help_imports_no_command() -> None:
    code = (
        "import sys; from consumer.__main__ import main; main(['--help']);"
        "assert not [name for name in sys.modules if name.startswith(('aiohttp', 'lxml', 'aio'))]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_every_command_helps_without_the_readme(call: Call) -> None:
    commands = leaves(cli)
    assert set(COMMANDS) <= set(commands)
    for name, command in commands.items():
        done = call(*name.split(), "--help")
        assert done.status == 0, name
        assert re.search(r"^  Examples?:\n +backorder-consumer ", done.out, re.MULTILINE), name
        if not isinstance(command, click.Group):
            assert "Exit status:" in done.out, name
            for option in command.params:
                assert not isinstance(option, click.Option) or option.help, f"{name} {option.name}"


def test_the_version(call: Call) -> None:
    assert call("--version") == (0, f"backorder-consumer {__version__}\n", "")


def test_a_command_that_is_nearly_one(call: Call) -> None:
    done = call("vaildate")
    assert (done.status, done.out) == (2, "")
    assert "Did you mean 'validate'?" in done.err


def test_a_command_that_is_none(call: Call) -> None:
    assert call("frobnicate").status == 2
    assert call().status == 2


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (
            ConfigurationError("c.toml", [Mistake("a", "b", 3), Mistake("c", "d")]),
            2,
            "c.toml: line 3: a: b\nc.toml: c: d\n",
        ),
        (Unusable("locked", "Stop the other daemon"), 1, "error: locked. Stop the other daemon\n"),
        (Unavailable("disk full"), 1, "error: disk full\n"),
        (Refused("no"), 1, "error: no\n"),
        (KeyboardInterrupt(), 130, "\n"),
    ],
)
def test_errors_that_people_can_mend_are_told_in_a_line(
    call: Call, monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, told: str
) -> None:
    @click.command()
    def fail() -> None:
        raise error

    monkeypatch.setattr("consumer.cli.schema.schema", fail)
    assert call("schema") == (status, "", told)


def test_every_argument_that_is_text_must_be_text() -> None:
    for name, command in leaves(cli).items():
        for parameter in command.params:
            assert parameter.type is not click.STRING, f"{name} {parameter.name}: TEXT or NAME"


@pytest.mark.parametrize(
    "arguments",
    [
        ("quarantine", "show", "\udcff"),
        ("quarantine", "discard", "feed", "\udcff"),
        ("sinks", "pause", "\udcff"),
        ("sinks", "replay", "archive", "--from", "1", "--source", "\udcff"),
        ("parked", "retry", "\udcff", "--all"),
        ("events", "--source", "\udcff"),
        ("events", "--journal", "sqlite:\udcff"),
        ("simulate", "radial", "--webhook", "http://\udcff"),
    ],
)
def test_bytes_that_are_no_text_are_wrong_use(call: Call, arguments: tuple[str, ...]) -> None:
    done = call(*arguments)
    assert (done.status, done.out) == (2, "")
    assert "this is not UTF-8 text" in done.err


def test_a_name_is_not_empty(call: Call) -> None:
    for arguments in (("quarantine", "show", ""), ("sinks", "pause", "")):
        done = call(*arguments)
        assert done.status == 2
        assert "it is empty" in done.err


_AT_AN_IMPORT = """
import os, signal, sys
class Trap:
    def find_spec(self, name, *_):
        if name == "consumer.cli.outcome":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Trap())
from consumer.__main__ import main
sys.exit(main())
"""
_AT_THE_END = """
import os, signal, sys
from consumer.__main__ import main
main()
os.kill(os.getpid(), signal.SIGINT)
"""


@pytest.mark.parametrize(
    ("code", "out", "status"),
    [
        (_AT_AN_IMPORT, "", 130),
        (_AT_THE_END, f"backorder-consumer {__version__}\n", -signal.SIGINT),
    ],
)
def test_who_interrupts_sees_no_traceback(code: str, out: str, status: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", code, "--version"], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == (out, "", status)


def test_a_bug_shows_where_it_is(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("consumer.cli.schema.schema", fail)
    done = call("schema")
    assert done.status == 1
    assert "Traceback" in done.err
    assert "please report it" in done.err.splitlines()[-1]


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "consumer", "schema", "config"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


@pytest.mark.parametrize("arguments", [("schema", "config"), ("--version",)])
def test_an_output_that_cannot_be_written_is_told_in_a_line(arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "consumer", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.stderr == "error: standard output: No space left on device\n"
    assert done.returncode == 1


def test_an_operating_system_error_from_elsewhere_is_a_bug(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    @click.command()
    def fail() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("consumer.cli.schema.schema", fail)
    assert "please report it" in call("schema").err.splitlines()[-1]


def test_an_output_that_is_closed_is_no_bug() -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" -m consumer schema event >&-', sys.executable],
        stderr=subprocess.PIPE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_main_reads_the_arguments_of_the_process(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["anything", "--version"])
    before = signal.getsignal(signal.SIGINT)
    try:
        assert main() == 0
    finally:
        signal.signal(signal.SIGINT, before)
    assert capfd.readouterr().out == f"backorder-consumer {__version__}\n"
