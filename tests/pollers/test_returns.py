"""Lines whose end a detail tells while the list still shows them, and that come back."""

from pathlib import Path

import pytest

from poller_scenes import CinxScene, CinxSetting
from poller_stage import Alter, Poll, Stage

ENDS_BEFORE_ITS_DETAIL = Poll(during=((2, Alter("ended")),))  # the list is the first request


@pytest.mark.parametrize("told", [True, False])
async def test_a_row_that_was_gone_and_is_back_as_it_was_opens_its_line_again(
    tmp_path: Path, told: bool
) -> None:
    scene = CinxScene(CinxSetting(lines=1))
    [token] = scene.world.organisations.values()
    async with Stage(scene, tmp_path / "journal.db") as stage:
        if told:
            await stage.play([Poll(), Alter("changed", 7)])
        [line] = scene.world.lines(token)
        await stage.play([ENDS_BEFORE_ITS_DETAIL, Poll()])
        assert not stage.folded.open()
        scene.world._by_token[token].lines.put(line.guid, line)
        await stage.settle()
        assert len(stage.folded.open()) == 1
