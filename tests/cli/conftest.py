"""The program, called in this process or started as a process of its own."""

import os
import pty
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Thread

import pytest

from consumer.__main__ import main
from program import RADIAL, Call, Done, Edit, start
from terminal import everything


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    """Call a command in this process, through the program's own entry point."""

    def called(*arguments: str | Path) -> Done:
        status = main([str(argument) for argument in arguments])
        return Done(status, *capfd.readouterr())

    return called


@pytest.fixture
def at_terminal(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Done]:
    """Call a command in this process, with a terminal for its standard input and errors.

    `err` is what the terminal shows, `typed` what a person types.
    """

    def called(*arguments: str | Path, typed: str = "") -> Done:
        ours, theirs = pty.openpty()
        shown: list[bytes] = []
        watching = Thread(target=lambda: shown.append(everything(ours)))
        with os.fdopen(theirs) as typing, os.fdopen(os.dup(theirs), "w") as screen:
            os.write(ours, typed.encode())
            watching.start()
            with monkeypatch.context() as patched:
                patched.setattr(sys, "stdin", typing)
                patched.setattr(sys, "stderr", screen)
                status = main([str(argument) for argument in arguments])
        watching.join()
        os.close(ours)
        return Done(status, capfd.readouterr().out, shown[0].decode())

    return called


@pytest.fixture
def program(tmp_path: Path) -> Call:
    """Start the program as a process of its own, in an empty directory, and wait for its end."""
    return partial(start, tmp_path)


@pytest.fixture
def sample() -> Path:
    """A valid OrderBackorder of one order line."""
    return RADIAL / "OrderBackorder-Backorder.xml"


@pytest.fixture
def edited(sample: Path, tmp_path: Path) -> Edit:
    """The sample with text in it replaced, as a file of its own."""

    def edit(*changes: tuple[str, str], name: str = "edited.xml") -> Path:
        text = sample.read_text(encoding="utf-8")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        return file

    return edit


@pytest.fixture
def broken_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an installed sink that cannot be imported, of the distribution `acme`."""
    info = tmp_path / "site" / "acme-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[consumer.sinks]\nwreck = acme_wreck:Wreck\n")
    monkeypatch.syspath_prepend(info.parent)
    return "wreck"
