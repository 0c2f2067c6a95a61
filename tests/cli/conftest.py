"""The program, called in this process or started as a process of its own."""

from functools import partial
from pathlib import Path

import pytest

from consumer.__main__ import main
from program import RADIAL, Call, Done, Edit, start


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    """Call a command in this process, through the program's own entry point."""

    def called(*arguments: str | Path) -> Done:
        status = main([str(argument) for argument in arguments])
        return Done(status, *capfd.readouterr())

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
