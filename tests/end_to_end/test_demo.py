"""The demonstration, as `make run` shows it."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from program import start
from waiting import until


def test_the_demo_ends_by_itself_and_everything_arrived(tmp_path: Path) -> None:
    done = start(tmp_path, "demo", "--for", "3s", "--lines", "600")
    assert done.status == 0, done.out + done.err
    assert done.err == ""
    sent = dict(re.findall(r"source (\S+) +sent \d+ messages with (\d+) events", done.out))
    assert set(sent) == {"radial-queue", "radial-webhook"}
    agreed = r"source (\S+) +has (\d+) lines on backorder, the journal agrees, after (\d+) events"
    polled = {
        name: (int(lines), int(events)) for name, lines, events in re.findall(agreed, done.out)
    }
    assert set(polled) == {"mvet", "cinx"}
    assert all(lines > 1000 and events >= lines for lines, events in polled.values())
    total = sum(map(int, sent.values())) + sum(events for _, events in polled.values())
    assert f"sink   file            got {total} of {total} events" in done.out
    assert "every simulated event reached every sink" in done.out
    archived = (tmp_path / "var" / "demo" / "events.jsonl").read_text().splitlines()
    assert len({json.loads(line)["id"] for line in archived}) == total
    assert len(re.findall(r"^\S+Z  backorder\.", done.out, re.MULTILINE)) == total
    # What the first one left behind is no hindrance to a second one; nor is a missing RabbitMQ.
    again = start(tmp_path, "demo", "--for", "1s", "--lines", "5", PATH="")
    assert (again.status, again.err) == (0, ""), again.out + again.err
    assert "no RabbitMQ is installed here" in again.out
    assert "every simulated event reached every sink" in again.out
    longer = (tmp_path / "var" / "demo" / "events.jsonl").read_text().splitlines()
    assert longer[:total] == archived
    assert len(longer) > total


async def test_ctrl_c_on_a_terminal_stops_it_cleanly(tmp_path: Path) -> None:
    terminal, end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "consumer", "demo"],
        cwd=tmp_path,
        stdin=end,
        stdout=(output := (tmp_path / "output").open("wb")),
        stderr=output,
        start_new_session=True,
    )
    os.close(end)
    output.close()
    try:
        await until(lambda: b"backorder." in (tmp_path / "output").read_bytes(), within=60)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
        os.close(terminal)
    said = (tmp_path / "output").read_text()
    assert "every simulated event reached every sink" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("duration", ["soon", "0s"])
def test_a_bad_duration_is_told(tmp_path: Path, duration: str) -> None:
    done = start(tmp_path, "demo", "--for", duration)
    assert done.status == 2
    assert "250ms" in done.err
