"""A daemon whose parts die: what it raises, and what the log tells of each."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from consumer.app import Daemon, daemon
from consumer.errors import Unusable
from consumer.normalisation import xml
from consumer.ports import Ground
from consumer.settings import AdminSettings, JournalSettings, LogSettings, Settings
from consumer.telemetry import configure_log


class Dying:
    """A source that ends with an error as soon as it runs."""

    def __init__(self, name: str, error: Exception) -> None:
        self.name = name
        self._error = error

    async def run(self, _ground: Ground) -> None:
        await asyncio.sleep(0)
        raise self._error

    def stop(self) -> None:
        """It has ended by then."""


async def logged(
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    sources: Sequence[Dying],
) -> Sequence[Mapping[str, str]]:
    """What a daemon with these sources logs until one of them ends it."""
    configure_log(LogSettings())
    monkeypatch.setattr(daemon, "build_sources", lambda _: sources)
    settings = Settings(
        file="c.toml",
        journal=JournalSettings(url=f"sqlite:{directory / 'journal.db'}"),
        admin=AdminSettings(listen="127.0.0.1:0"),
    )
    errors = tuple(type(source._error) for source in sources)
    with pytest.raises(errors):
        await Daemon(settings).run(asyncio.Event())
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


async def test_every_part_that_died_is_told_once_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dying = [Dying("one", ZeroDivisionError()), Dying("other", LookupError())]
    lines = await logged(tmp_path, monkeypatch, capsys, dying)
    bugs = [line for line in lines if line["event"] == "bug"]
    assert [(bug["where"], bug["error"]) for bug in bugs] == [
        ("sources.one", "ZeroDivisionError"),
        ("sources.other", "LookupError"),
    ]
    assert all(bug["at"].startswith(f"{__file__}:") for bug in bugs)


async def test_what_a_person_must_repair_is_no_bug(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = await logged(tmp_path, monkeypatch, capsys, [Dying("one", Unusable("locked"))])
    told = [line for line in lines if line["event"] in {"bug", "part.down"}]
    assert [(line["event"], line["part"], line["reason"]) for line in told] == [
        ("part.down", "sources.one", "locked")
    ]


@pytest.mark.parametrize(("built", "told"), [(True, "compiled"), (False, "python")])
async def test_the_log_tells_which_reader_of_messages_is_in_use(
    built: bool,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(xml, "COMPILED", built)
    lines = await logged(tmp_path, monkeypatch, capsys, [Dying("one", Unusable("locked"))])
    assert [line["xml_reader"] for line in lines if line["event"] == "daemon.started"] == [told]
