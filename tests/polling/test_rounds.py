"""Rounds: what they do with what a round returns or raises, and how they stop."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest

from consumer.errors import Denied, JournalUnavailable, Refused, Unavailable
from consumer.polling import PollOptions, Schedule, keep_polling
from consumer.polling import rounds as rounds_module
from consumer.polling.rounds import DENIED_WAIT, Due
from consumer.retry import LONGEST_REQUESTED_WAIT
from consumer.values import Duration, PositiveDuration
from waiting import until

QUICK = PollOptions(
    type="mvet", name="mvet", interval=PositiveDuration(0.01), jitter=Duration(0.005)
)
RARE = PollOptions(type="mvet", name="mvet")


class Status:
    def __init__(self) -> None:
        self.said: list[str] = []

    def up(self, note: str = "") -> None:
        self.said.append(f"up {note}".strip())

    def down(self, reason: str) -> None:
        self.said.append(f"down {reason}")

    def note(self, note: str) -> None:
        raise AssertionError(note)


class Upstream:
    """Gives what the script says, one entry a round, and the last one ever after."""

    def __init__(self, *script: str | Exception) -> None:
        self.script = list(script)
        self.rounds = 0
        self.at_once = 0

    async def once(self) -> str:
        assert self.at_once == 0
        self.rounds += 1
        self.at_once += 1
        await asyncio.sleep(0)
        self.at_once -= 1
        said = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(said, Exception):
            raise said
        return said


@asynccontextmanager
async def polling(
    once: Callable[[], Awaitable[str]], options: PollOptions = QUICK
) -> AsyncIterator[tuple[Status, asyncio.Event, asyncio.Task[None]]]:
    status, stopping = Status(), asyncio.Event()
    task = asyncio.create_task(keep_polling(options, once, stopping=stopping, status=status))
    try:
        yield status, stopping, task
    finally:
        stopping.set()
        with suppress(LookupError):
            await asyncio.wait_for(task, 60)


async def test_rounds_go_on_whatever_becomes_of_them() -> None:
    upstream = Upstream(
        "", "2 lines held", Unavailable("it is away"), Refused("it makes no sense"), "", ""
    )
    async with polling(upstream.once) as (status, _, _):
        await until(lambda: len(status.said) >= 6)
    assert status.said[:5] == [
        "up",
        "up 2 lines held",
        "down it is away",
        "down it makes no sense",
        "up",
    ]


async def test_the_first_round_comes_at_once() -> None:
    upstream = Upstream("")
    async with polling(upstream.once, RARE) as (status, _, _):
        await until(lambda: status.said == ["up"])
    assert upstream.rounds == 1


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        (Unavailable("away"), 0),
        (JournalUnavailable("full"), 0),
        (Unavailable("away", retry_after=17), 17),
        (Unavailable("away", retry_after=1e9), LONGEST_REQUESTED_WAIT),
        (Denied("who are you"), DENIED_WAIT),
        (Denied("who are you", retry_after=1000), 1000),
    ],
)
async def test_the_other_side_is_left_alone_for_as_long_as_it_asked(
    error: Unavailable, wait: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its clock is moved on by hand: one second before the end nothing happens, then it does."""
    clock, looks = 1000.0, 0

    def monotonic() -> float:
        nonlocal looks
        looks += 1
        return clock

    monkeypatch.setattr(rounds_module, "monotonic", monotonic)
    monkeypatch.setattr(rounds_module, "_LOOK", 0.01)
    upstream = Upstream(error, "")
    async with polling(upstream.once) as (status, _, _):
        await until(lambda: len(status.said) == 1)
        if wait:
            clock, before = clock + wait - 1, looks
            await until(lambda: looks >= before + 3)  # it has seen that, and waits on
            assert status.said == [f"down {error.reason}"]
        clock += 1
        await until(lambda: "up" in status.said)


async def test_other_errors_are_raised() -> None:
    async with polling(Upstream(LookupError("a bug")).once) as (status, _, task):
        with pytest.raises(LookupError):
            await task
    assert status.said == []


@pytest.mark.parametrize("ending", [None, Unavailable("cut off"), "a note"])
async def test_a_stop_cancels_the_round_under_way(ending: Exception | str | None) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def once() -> str:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            if ending is None:
                raise
        if isinstance(ending, Exception):
            raise ending
        return ending or ""

    async with polling(once) as (status, stopping, task):
        await begun.wait()
        stopping.set()
        await asyncio.wait_for(task, 60)
    assert cancelled.is_set()
    assert status.said == []


async def test_a_stop_ends_the_wait() -> None:
    async with polling(Upstream("").once, RARE) as (status, stopping, task):
        await until(lambda: status.said == ["up"])
        stopping.set()
        await asyncio.wait_for(task, 60)


async def test_nothing_begins_after_a_stop() -> None:
    upstream, stopping = Upstream(""), asyncio.Event()
    stopping.set()
    await keep_polling(QUICK, upstream.once, stopping=stopping, status=Status())
    assert upstream.rounds == 0


async def test_cancelling_takes_the_round_along() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def once() -> str:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return ""

    task = asyncio.create_task(keep_polling(QUICK, once, stopping=asyncio.Event(), status=Status()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


# --- a clock that leaps ----------------------------------------------------------------------

NOON = datetime(2024, 5, 6, 12, tzinfo=UTC)


@pytest.mark.parametrize("cron", ["", "*/5 * * * *"])
def test_a_clock_set_back_costs_no_more_than_a_round(cron: str) -> None:
    options = PollOptions(type="mvet", name="mvet", cron=cron)
    due = Due(Schedule(options), NOON, NOON, 0.0)
    assert due.left(NOON + timedelta(seconds=60)) == 240
    yesterday = NOON - timedelta(days=1)
    assert due.left(yesterday) == 300
    assert due.left(yesterday + timedelta(seconds=300)) == 0


def test_a_clock_set_forward_makes_the_round_due() -> None:
    due = Due(Schedule(RARE), NOON, NOON, 0.0)
    assert due.left(NOON + timedelta(days=1)) <= 0
