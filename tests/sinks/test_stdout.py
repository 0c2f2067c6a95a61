"""The sink `stdout` at the end of a real pipe, in a process of its own."""

import json
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from consumer.dispatcher import marked
from consumer.event import Line, Quantity
from consumer.sinks.stdout import Stdout, StdoutOptions, harmless
from consumer.testing import builders
from consumer.testing.sinks import records

PRELUDE = """
import asyncio, os, sys
from consumer.errors import Unavailable, Unusable
from consumer.sinks.stdout import Stdout, StdoutOptions
from consumer.testing.sinks import records

def say(text):
    print(text, file=sys.stderr, flush=True)

async def main():
    sink = Stdout(StdoutOptions(type="stdout", name="out"))
"""


@contextmanager
def program(body: str, **files: object) -> Iterator[subprocess.Popen[bytes]]:
    """Runs `body` as the inside of `main`; what it says comes on standard error."""
    lines = "".join(f"    {line}\n" for line in body.strip().splitlines())
    source = f"{PRELUDE}{lines}\nasyncio.run(main())\n"
    running = subprocess.Popen(  # type: ignore[call-overload]  # files are named by keyword
        [sys.executable, "-c", source],
        **({"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | files),
    )
    with running:
        try:
            yield running
        finally:
            running.kill()


def line(stream: IO[bytes] | None) -> str:
    """The next line, within a deadline."""
    assert stream
    ready, _, _ = select.select([stream], [], [], 20)
    assert ready, "the program said nothing"
    return stream.readline().decode().strip()


def test_a_line_is_an_event() -> None:
    body = """
async with sink:
    assert await sink.deliver(records(1, 30)) == {}
    assert await sink.deliver([]) == {}
    assert await sink.deliver(records(31, 40)) == {}
"""
    with program(body) as running:
        out, err = running.communicate(timeout=20)
    assert (err, running.returncode) == (b"", 0)
    assert out == b"".join(record.body + b"\n" for record in records(1, 40))


def test_a_file_takes_a_batch_at_once(tmp_path: Path) -> None:
    body = """
writes, write = [], os.write
os.write = lambda fd, data: writes.append(len(data)) or write(fd, data)
async with sink:
    await sink.deliver(records(1, 300))
say(str(len(writes)))
"""
    path = tmp_path / "out"
    with path.open("wb") as file, program(body, stdout=file) as running:
        assert line(running.stderr) == "1"
        assert running.wait(20) == 0
    assert path.read_bytes() == b"".join(record.body + b"\n" for record in records(1, 300))


def test_a_reader_that_does_not_read_stalls_nothing_and_gets_whole_lines() -> None:
    """The loop turns meanwhile; a cancelled batch is finished before the next one begins."""
    body = """
async with sink:
    delivery = asyncio.ensure_future(sink.deliver(records(1, 2000)))
    done, _ = await asyncio.wait([delivery], timeout=0.3)
    assert not done
    delivery.cancel()
    await asyncio.wait([delivery])
    say("the loop turns")
    await sink.deliver(records(2001, 2100))
"""
    with program(body) as running:
        assert line(running.stderr) == "the loop turns"
        out, err = running.communicate(timeout=60)
    assert (err, running.returncode) == (b"", 0)
    ids = [json.loads(text)["id"] for text in out.splitlines()]
    assert ids == [record.id for record in records(1, 2100)]


def test_two_sinks_do_not_tear_the_lines_of_each_other() -> None:
    body = """
other = Stdout(StdoutOptions(type="stdout", name="other"))
async with sink, other:
    ends = records(1, 400), records(401, 800)
    await asyncio.gather(*(each.deliver(part) for each, part in zip((sink, other), ends)))
"""
    with program(body) as running:
        out, err = running.communicate(timeout=60)
    assert (err, running.returncode) == (b"", 0)
    assert set(out.splitlines()) == {record.body for record in records(1, 800)}


def test_closing_does_not_wait_for_its_turn() -> None:
    body = """
other = Stdout(StdoutOptions(type="stdout", name="other"))
async with sink:
    async with other:
        first = asyncio.ensure_future(sink.deliver(records(1, 2000)))
        await asyncio.wait([first], timeout=0.1)
        second = asyncio.ensure_future(other.deliver(records(1, 1)))
        await asyncio.wait([second], timeout=0.1)
    try:
        await second
    except Unavailable as error:
        say(f"other: {error.reason}")
    first.cancel()
"""
    with program(body) as running:
        assert line(running.stderr).startswith("other: closed while")
        assert running.wait(20) == 0


def test_closing_does_not_wait_for_a_reader() -> None:
    body = """
async with sink:
    delivery = asyncio.ensure_future(sink.deliver(records(1, 2000)))
    await asyncio.wait([delivery], timeout=0.1)
    delivery.cancel()
say("left")
"""
    with program(body) as running:
        assert line(running.stderr) == "left"
        assert running.wait(20) == 0


def test_a_reader_that_went_away_is_an_outage() -> None:
    body = """
async with sink:
    await sink.deliver(records(1, 1))
    sys.stdin.readline()
    for _ in range(2):
        try:
            await sink.deliver(records(2, 3))
        except Unavailable as error:
            say(f"{error.delivered} {error.reason}")
"""
    with program(body, stdin=subprocess.PIPE) as running:
        assert running.stdout
        assert running.stdin
        running.stdout.readline()
        running.stdout.close()
        running.stdin.write(b"\n")
        running.stdin.close()
        assert [line(running.stderr) for _ in range(2)] == ["0 standard output: Broken pipe"] * 2
        assert running.wait(20) == 0


def test_a_program_without_standard_output_is_told() -> None:
    body = """
os.close(1)
for attempt in (sink.check, sink.__aenter__):
    try:
        await attempt()
    except (Unavailable, Unusable) as error:
        say(f"{type(error).__name__}: {error}")
"""
    with program(body) as running:
        assert line(running.stderr).startswith("Unavailable: standard output is not open")
        assert line(running.stderr).startswith("Unusable: standard output is not open")


def test_a_pipe_that_does_not_block_is_waited_for() -> None:
    body = """
os.set_blocking(1, False)
async with sink:
    await sink.deliver(records(1, 2000))
"""
    with program(body) as running:
        out, err = running.communicate(timeout=60)
    assert err == b""
    assert len(out.splitlines()) == 2000


async def test_the_short_form_is_for_people_and_steers_no_terminal(
    capfd: pytest.CaptureFixture[str],
) -> None:
    data = builders.data(
        line=Line(number="1", item="73-\x1b[2Jé\n"), quantity=Quantity(backordered="2.5")
    )
    batch = [
        builders.record(1, builders.event(1, data=data)),
        builders.record(2, builders.event(2, data=builders.data(line=Line(), quantity=Quantity()))),
        marked(builders.record(3)),
    ]
    async with Stdout(StdoutOptions(type="stdout", name="out", format="pretty")) as sink:
        await sink.deliver(batch)
    first, second, third = capfd.readouterr().out.splitlines()
    assert first == (
        "2016-07-13T13:47:54Z  backorder.opened  /radial/TMS_US  000000000001/1  73-?[2Jé?  x2.5"
    )
    assert second.endswith("000000000002/1  -  x-")
    assert third.endswith("000000000003/1  73-00000003  x1  [replay]")


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain", "plain"), ("\x7f", "\\u007f"), ("é\u202e\x9b", "é\\u202e\\u009b")],
)
def test_json_steers_no_terminal(text: str, shown: str) -> None:
    document = json.dumps({"a": text}, ensure_ascii=False).encode()
    assert harmless(document) == f'{{"a": "{shown}"}}'.encode()
    assert json.loads(harmless(document)) == {"a": text}


async def test_check_writes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert await Stdout(StdoutOptions(type="stdout", name="out")).check()
    assert capfd.readouterr().out == ""
