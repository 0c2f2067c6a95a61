"""The sink `file` on a real file system: whole lines, whatever happens."""

import fcntl
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from consumer.errors import Refused, Unavailable, Unusable
from consumer.sinks.file import File, FileOptions, rotation
from consumer.testing.sinks import Outlet, SinkSuite, records, replay
from consumer.values import Duration, Size

LINE = len(records(1, 1)[0].body) + 1
NOON = 1_468_411_200.0  # 2016-07-13T12:00:00Z
DAY = 86_400.0


def sink(path: Path, **options: Any) -> File:
    return File(FileOptions(type="file", name="archive", path=str(path), **options))


def ids(*paths: Path) -> list[str]:
    """The ids in these files; fails on a line that is torn."""
    return [json.loads(line)["id"] for path in paths for line in path.read_bytes().splitlines()]


def expected(first: int, last: int) -> list[str]:
    return [record.id for record in records(first, last)]


def rotated(path: Path) -> list[Path]:
    return [found for _, found in sorted(rotation._rotated(path))]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


# --- the contract ----------------------------------------------------------------------------


class Volume(Outlet):
    """A file behind a link into a directory that goes away, as a mount does."""

    def __init__(self, directory: Path) -> None:
        self.volume = directory / "volume"
        self.volume.mkdir()
        self.path = directory / "events.jsonl"
        self.path.symlink_to(self.volume / "events.jsonl")

    def sink(self) -> File:
        return sink(self.path)

    async def arrived(self) -> Sequence[str]:
        return ids(self.path) if self.path.exists() else []

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        gone = self.volume.rename(self.volume.with_name("gone"))
        yield
        gone.rename(self.volume)


class TestFileKeepsTheContract(SinkSuite):
    @pytest.fixture
    def outlet(self, tmp_path: Path) -> Volume:
        return Volume(tmp_path)


# --- lines -----------------------------------------------------------------------------------


async def test_a_line_is_an_event(path: Path) -> None:
    async with sink(path) as archive:
        await archive.deliver(records(1, 2))
    assert path.read_bytes() == b"".join(record.body + b"\n" for record in records(1, 2))
    assert path.stat().st_mode & 0o007 == 0, "events hold personal data"


async def test_a_replay_says_so_in_its_line(path: Path) -> None:
    async with sink(path) as archive:
        await archive.deliver(records(1, 1))
        await archive.deliver(replay(1, 1))
    said = [json.loads(line).get("replay") for line in path.read_bytes().splitlines()]
    assert said == [None, True]


async def test_directories_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "events.jsonl"
    async with sink(path) as archive:
        await archive.deliver(records(1, 1))
    assert ids(path) == expected(1, 1)


@pytest.mark.parametrize("torn", [b"{", records(3, 3)[0].body, b"x" * 200_000])
async def test_a_torn_last_line_is_cut_off(path: Path, torn: bytes) -> None:
    whole = b"".join(record.body + b"\n" for record in records(1, 2))
    path.write_bytes(whole + torn)
    async with sink(path) as archive:
        assert path.read_bytes() == whole
        await archive.deliver(records(3, 4))
    assert ids(path) == expected(1, 4)


@pytest.mark.parametrize("hole", [(0, 512), (512, 1024), (600, 900), (1024, 1536)])
@pytest.mark.parametrize("synced", [0, 2])
async def test_a_hole_that_a_power_cut_left_in_the_last_batch_is_cut_off(
    path: Path, hole: tuple[int, int], synced: int
) -> None:
    """A disk writes in any order: behind what never reached it, which reads as zeros, lines may be
    whole. The batch was not confirmed and comes again.
    """
    whole = b"".join(record.body + b"\n" for record in records(1, synced))
    batch = bytearray(b"".join(record.body + b"\n" for record in records(synced + 1, 20)))
    batch[slice(*hole)] = bytes(hole[1] - hole[0])
    path.write_bytes(whole + batch)
    async with sink(path) as archive:
        kept = path.read_bytes()
        assert kept.startswith(whole)
        assert b"\0" not in kept
        await archive.deliver(records(synced + 1, 20))
    found = ids(path)
    assert found[-20 + synced :] == expected(synced + 1, 20)
    assert set(found) == set(expected(1, 20))


@pytest.mark.parametrize("content", [b"", b"{", b"{" * 200_000])
async def test_a_file_without_a_whole_line_begins_anew(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    async with sink(path) as archive:
        await archive.deliver(records(1, 1))
    assert ids(path) == expected(1, 1)


async def test_a_killed_daemon_leaves_whole_lines_for_the_next(path: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from consumer.sinks.file import File, FileOptions\n"
        "from consumer.testing.sinks import records\n"
        "async def main():\n"
        "    options = FileOptions(type='file', name='archive', path=sys.argv[1])\n"
        "    async with File(options) as sink:\n"
        "        while True:\n"
        "            await sink.deliver(records(1, 50))\n"
        "            print('delivered', flush=True)\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout
        assert [daemon.stdout.readline() for _ in range(3)] == [b"delivered\n"] * 3
        daemon.send_signal(signal.SIGKILL)
    with path.open("ab") as file:
        file.write(records(1, 1)[0].body[:100])
    async with sink(path) as archive:
        await archive.deliver(records(51, 52))
    written = ids(path)
    assert written[:150] == expected(1, 50) * 3
    assert written[-2:] == expected(51, 52)


# --- a disk that fails -----------------------------------------------------------------------


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file of this process can grow beyond `size` bytes meanwhile."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_batch_that_does_not_fit_leaves_no_trace(path: Path) -> None:
    async with sink(path) as archive:
        await archive.deliver(records(1, 2))
        before = path.read_bytes()
        for _ in range(2):
            with (
                room_for(len(before) + LINE + LINE // 2),
                pytest.raises(Unavailable, match="too large") as caught,
            ):
                await archive.deliver(records(3, 5))
            assert caught.value.delivered == 0
            assert path.read_bytes() == before
        await archive.deliver(records(3, 5))
    assert ids(path) == expected(1, 5)


async def test_what_cannot_be_cut_off_at_once_is_cut_off_later(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk may fail the repair as well: the next opening does it."""

    def fails(fd: int, size: int) -> None:
        raise OSError(5, "Input/output error")

    async with sink(path) as archive:
        await archive.deliver(records(1, 2))
        with room_for(2 * LINE + LINE // 2), monkeypatch.context() as patched:
            patched.setattr(os, "ftruncate", fails)
            with pytest.raises(Unavailable):
                await archive.deliver(records(3, 3))
        assert path.stat().st_size == 2 * LINE + LINE // 2
        await archive.deliver(records(3, 3))
    assert ids(path) == expected(1, 3)


# --- other people's hands --------------------------------------------------------------------


async def test_two_writers_are_one_too_many(path: Path) -> None:
    async with sink(path) as archive:
        with pytest.raises(Unusable, match="another daemon"):
            await sink(path).__aenter__()
        await archive.deliver(records(1, 1))
    async with sink(path) as archive:
        await archive.deliver(records(2, 2))
    assert ids(path) == expected(1, 2)


async def test_a_file_taken_by_another_daemon_is_an_outage(path: Path) -> None:
    async with sink(path) as archive:
        await archive.deliver(records(1, 1))
        path.rename(path.with_suffix(".1"))
        with path.open("wb") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            with pytest.raises(Unavailable, match="another daemon"):
                await archive.deliver(records(2, 2))
        await archive.deliver(records(2, 2))
    assert ids(path.with_suffix(".1"), path) == expected(1, 2)


async def test_a_file_that_was_moved_or_removed_begins_anew(path: Path) -> None:
    async with sink(path) as archive:
        await archive.deliver(records(1, 2))
        moved = path.rename(path.with_suffix(".1"))
        await archive.deliver(records(3, 4))
        assert (ids(moved), ids(path)) == (expected(1, 2), expected(3, 4))
        path.unlink()
        await archive.deliver(records(5, 6))
        assert ids(path) == expected(5, 6)


@pytest.mark.parametrize("kind", ["directory", "fifo", "below a file"])
async def test_what_can_never_be_written_is_for_a_person(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "events.jsonl"
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.write_text("in the way")
        path /= "events.jsonl"
    with pytest.raises(Unusable, match=re.escape(str(path))):
        await sink(path).__aenter__()
    with pytest.raises(Refused, match=re.escape(str(tmp_path))):
        await sink(path).check()


@pytest.mark.parametrize("kind", ["too long a name", "a link to itself"])
async def test_check_tells_what_cannot_even_be_looked_for(tmp_path: Path, kind: str) -> None:
    # Both fail as a directory does that may not be searched, whoever runs the test.
    path = tmp_path / "events.jsonl"
    if kind == "a link to itself":
        path.symlink_to(path)
    else:
        path = tmp_path / ("n" * 256)
    with pytest.raises(Unavailable, match=rf"^{re.escape(str(path))} cannot be read: "):
        await sink(path).check()


async def test_check_says_how_much_room_there_is(tmp_path: Path) -> None:
    path = tmp_path / "not" / "there" / "yet.jsonl"
    (line,) = await sink(path).check()
    assert "MiB free" in line
    assert list(tmp_path.iterdir()) == []


# --- rotation --------------------------------------------------------------------------------


async def test_rotates_before_a_file_grows_too_large(path: Path) -> None:
    async with sink(path, rotate_size=Size(3 * LINE)) as archive:
        for first in range(1, 11):
            await archive.deliver(records(first, first))
        await archive.deliver(records(11, 20))
        await archive.deliver(records(21, 21))
    old = rotated(path)
    assert [len(ids(file)) for file in [*old, path]] == [3, 3, 3, 1, 10, 1]
    assert ids(*old, path) == expected(1, 21)
    assert all(re.fullmatch(r"events-\d{8}T\d{6}Z-\d+\.jsonl", file.name) for file in old)


async def test_keeps_the_newest(path: Path) -> None:
    strangers = [path.with_name(name) for name in ("events-old.jsonl", "events-1.jsonl", "other")]
    for stranger in strangers:
        stranger.write_text("keep me")
    async with sink(path, rotate_size=Size(1), keep=2) as archive:
        for first in range(1, 15):
            await archive.deliver(records(first, first))
    assert ids(*rotated(path), path) == expected(12, 14)
    assert all(stranger.exists() for stranger in strangers)


async def test_rotates_when_a_new_period_began(path: Path) -> None:
    async with sink(path, rotate_every=Duration(DAY)) as archive:
        await archive.deliver(records(1, 1))
        os.utime(path, (time.time() - DAY, time.time() - DAY))
        await archive.deliver(records(2, 2))
    os.utime(path, (time.time() - DAY, time.time() - DAY))
    async with sink(path, rotate_every=Duration(DAY)) as archive:
        assert len(rotated(path)) == 1, "only a batch makes a file give way"
        await archive.deliver(records(3, 3))
    assert [ids(file) for file in [*rotated(path), path]] == [expected(n, n) for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("size", "written", "more", "limits", "due"),
    [
        (0, NOON, 999, {"most": 10, "every": 1.0}, False),
        (5, NOON, 5, {"most": 10, "every": 0.0}, False),
        (5, NOON, 6, {"most": 10, "every": 0.0}, True),
        (5, NOON, 999, {"most": 0, "every": 0.0}, False),
        (5, NOON - DAY / 2, 1, {"most": 0, "every": DAY}, False),
        (5, NOON - DAY / 2 - 1, 1, {"most": 0, "every": DAY}, True),
        (5, NOON + DAY, 1, {"most": 0, "every": DAY}, False),
    ],
)
def test_when_a_rotation_is_due(
    size: int, written: float, more: int, limits: Any, due: bool
) -> None:
    assert rotation.due(size, written, more, NOON, **limits) is due


def test_rotations_in_one_second_are_numbered_and_sorted(path: Path) -> None:
    names = []
    for _ in range(11):
        names.append(rotation.free_name(path, NOON))
        names[-1].touch()
    assert names[0].name == "events-20160713T120000Z-1.jsonl"
    assert names[10].name == "events-20160713T120000Z-11.jsonl"
    assert rotation.free_name(path, NOON - 5).name == "events-20160713T120000Z-12.jsonl"
    assert rotation.free_name(path, NOON + 5).name == "events-20160713T120005Z-1.jsonl"
    assert rotation.surplus(path, 9) == names[:2]
    assert rotation.surplus(path, 11) == rotation.surplus(path, 0) == []


async def test_a_file_that_begins_with_zeros_and_is_not_ours_is_left_alone(path: Path) -> None:
    path.write_bytes(bytes(1024) + b"the image of a disk\n")
    with pytest.raises(Unusable, match="something else"):
        async with sink(path):
            raise AssertionError("it was opened")
    assert path.read_bytes() == bytes(1024) + b"the image of a disk\n"


async def test_a_file_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(content := b"SQLite format 3\x00 line\n half a line")
    with pytest.raises(Unusable, match="holds something else than events"):
        await File(FileOptions(type="file", name="archive", path=str(path))).__aenter__()
    assert path.read_bytes() == content
