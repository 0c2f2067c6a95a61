"""Directories are made so that they are there after a power cut."""

import os
from pathlib import Path

import pytest

from consumer import directories


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What was synced, in order."""
    seen: list[Path] = []
    really = os.fsync

    def sync(descriptor: int) -> None:
        seen.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        really(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    return seen


def test_every_directory_that_is_made_is_synced_into_its_parent(
    tmp_path: Path, synced: list[Path]
) -> None:
    (tmp_path / "there").mkdir()
    directories.make(tmp_path / "there" / "a" / "b")
    assert (tmp_path / "there" / "a" / "b").is_dir()
    assert set(synced) == {tmp_path / "there", tmp_path / "there" / "a"}


def test_what_is_there_costs_nothing(tmp_path: Path, synced: list[Path]) -> None:
    directories.make(tmp_path)
    assert synced == []
