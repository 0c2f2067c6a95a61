"""Orders that do not get through, or not all of them."""

from collections.abc import Sequence

import click
import pytest

from consumer.cli.asking import ask, in_steps
from consumer.errors import Refused


class Shelf:
    """Things that can be taken away together, or none of them: not with a broken one."""

    def __init__(self, *, broken: int) -> None:
        self.broken = broken
        self.taken: list[int] = []

    async def take(self, things: Sequence[int]) -> int:
        if self.broken in things:
            raise Refused(f"{self.broken} is broken")
        self.taken += things
        return len(things)


async def test_what_went_before_a_failing_step_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    shelf = Shelf(broken=5)
    with pytest.raises(Refused, match="5 is broken"):
        await in_steps(range(1, 11), shelf.take, together=2, done="discarded")
    assert shelf.taken == [1, 2, 3, 4]
    assert capfd.readouterr().err == (
        "4 of 10 discarded; not discarded, as far as is known: 5, 6, 7, 8, 9 and 1 more\n"
    )


async def test_where_nothing_went_before_only_the_error_is_told(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(Refused):
        await in_steps([1, 2], Shelf(broken=2).take, together=2, done="discarded")
    assert capfd.readouterr().err == ""
    assert await in_steps([1, 2, 3], Shelf(broken=9).take, together=2, done="discarded") == 3


def test_who_does_not_wait_for_the_answer_is_told_where_to_look(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(click.exceptions.Exit) as raised:
        ask(interrupted(), shown="`sinks list`")
    assert raised.value.exit_code == 130
    assert "it may have been done all the same, or in part: `sinks list` shows" in (
        capfd.readouterr().err
    )
