"""The demonstration where it cannot begin."""

import asyncio
import signal
from pathlib import Path

import pytest

from consumer.demo import Demo
from consumer.errors import Unusable
from consumer.simulators import broker
from program import Call
from waiting import until


@pytest.fixture(autouse=True)
def without_a_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """The webhook alone: nothing here takes a RabbitMQ."""
    monkeypatch.setattr(broker, "available", lambda: False)


async def run(directory: Path) -> None:
    await Demo(directory, lambda _: None).run(60, asyncio.Event())


async def test_a_daemon_that_dies_at_its_start_ends_it_at_once(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_text("no journal" * 100)
    async with asyncio.timeout(15) as limit:
        with pytest.raises(Unusable, match=r"journal\.db"):
            await run(tmp_path)
    assert not limit.expired()


async def test_a_directory_that_cannot_be_made_is_for_a_person(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("in the way")
    with pytest.raises(Unusable, match=r"var/demo cannot be written: .*\. Start the demonstration"):
        await run(tmp_path / "var" / "demo")


async def test_a_configuration_that_cannot_be_written_is_for_a_person(tmp_path: Path) -> None:
    (tmp_path / "consumer.toml").mkdir()
    with pytest.raises(Unusable, match=r"consumer\.toml cannot be written: Is a directory\. Start"):
        await run(tmp_path)


async def test_waiting_for_what_does_not_arrive_ends_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its time is up, when nothing is sent any more."""
    monkeypatch.setattr(Demo, "_complete", lambda *_: False)
    said: list[str] = []
    asked = asyncio.Event()
    running = asyncio.create_task(Demo(tmp_path, said.append, lines=1).run(0.1, asked))
    await until(lambda: any("Ctrl-C ends that" in line for line in said))
    asked.set()
    async with asyncio.timeout(15) as limit:
        assert await running is False
    assert not limit.expired()
    assert said[-1] == "events are missing"


def test_a_second_signal_ends_it_at_once(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    cleaned_up: list[str] = []

    async def stubborn(_: Demo, seconds: float | None, asked: asyncio.Event) -> bool:
        signal.raise_signal(signal.SIGINT)
        await asked.wait()
        signal.raise_signal(signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            cleaned_up.append("the upstreams")
        return True

    monkeypatch.setattr(Demo, "run", stubborn)
    assert call("demo").status == 130
    assert cleaned_up == ["the upstreams"]


@pytest.mark.parametrize(("complete", "status"), [(True, 0), (False, 1)])
def test_what_came_of_it_is_the_exit_status(
    call: Call, monkeypatch: pytest.MonkeyPatch, complete: bool, status: int
) -> None:
    async def ended(*_: object) -> bool:
        return complete

    monkeypatch.setattr(Demo, "run", ended)
    assert call("demo", "--for", "1s").status == status
