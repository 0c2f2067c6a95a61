"""The demonstration where it cannot begin."""

import asyncio
from pathlib import Path

import pytest

from consumer.demo import Demo
from consumer.errors import Unusable
from consumer.simulators import broker
from program import Call


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


@pytest.mark.parametrize(("complete", "status"), [(True, 0), (False, 1)])
def test_what_came_of_it_is_the_exit_status(
    call: Call, monkeypatch: pytest.MonkeyPatch, complete: bool, status: int
) -> None:
    async def ended(*_: object) -> bool:
        return complete

    monkeypatch.setattr(Demo, "run", ended)
    assert call("demo", "--for", "1s").status == status
