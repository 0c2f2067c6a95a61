"""The broker goes away and comes back, again and again: stopped in order, or killed."""

from pathlib import Path

import pytest

from broker_stage import staged
from consumer.simulators.broker import PrivateBroker
from extent import extent
from rabbit import remembered

RESTARTS = extent(2, long=20)


@pytest.mark.timeout(extent(300, long=1800))
async def test_the_broker_is_restarted_under_load(
    private_broker: PrivateBroker, tmp_path: Path, unique: str
) -> None:
    async with staged(private_broker, tmp_path, unique) as stage:
        await remembered(private_broker)
        async with stage.load.going():
            for number in range(RESTARTS):
                await stage.load.more(100)
                if number % 2:
                    await private_broker.stop()
                else:
                    private_broker.kill()
                await private_broker.start()
                await stage.resumes()
        await stage.conserves()
