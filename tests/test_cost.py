"""What the hot path costs, counted: more work for every message is noticed here, on any machine.

No time is measured. Instructions, calls, statements and memory are the same in every run; of what
depends on how a socket's bytes happen to come in pieces, the bounds are far from what is usual and
far from one for every message.

A budget is what was counted with CPython 3.11 and the compiled reader, and one in a hundred more.
Instructions are Python's own: what C code does within a call is not among them. What is counted
now:

    python -m pytest -q -rP tests/test_cost.py | grep '^cost'

Whoever makes it cheaper sets it lower. Whoever needs more asks first whether every message needs it
(`python tests/support/hot_path.py` shows where it goes), and then sets it higher, with the reason
in the commit.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import pytest

from consumer.app import Daemon
from consumer.cli.options import load_settings
from consumer.event import Event, identify
from consumer.validation import Schemas
from consumer.validation.catalogue import Gate
from consumer.validation.parsing import parse
from counting import Calls, CountingLoop, instructions, kept_blocks, peak_bytes, statements
from hot_path import bodies, messages, pipeline, understood
from rabbit import rabbit

# Of one message, unless it says otherwise.
BUDGETS: Mapping[str, float] = {
    # from bytes to events, one message after the other
    "understanding: instructions": 2_834,
    "understanding: calls of Python functions": 125.3,
    "understanding: calls of C functions": 128.2,
    "understanding: blocks of memory kept for good": 0.5,  # what warms up; a leak has one or more
    "understanding: bytes of memory at the peak, its events included": 7_962,
    # from the intake to the synced commit, a hundred messages at a time, all threads together
    "intake: calls of Python functions": 152.7,
    "intake: calls of C functions": 154.4,
    "intake: statements for a hundred messages": 5,
    "intake: commits for a hundred messages": 1,
    "intake: callbacks of the event loop": 0.2,
    "intake: tasks": 0.01,
    # from the journal to a sink that takes everything, all threads together
    "pump: calls of Python functions": 1.92,
    "pump: calls of C functions": 1.76,
    "pump: statements": 0.05,
    "pump: callbacks of the event loop": 0.05,
    "pump: tasks": 0.001,
    # from queue to queue, with all that a start takes, and this test's own looking
    "daemon: callbacks of the event loop": 0.9,  # fewer than one for every message
    "daemon: tasks": 0.4,
    "daemon: writes to sockets": 0.5,
}

# Where nothing is right. Anywhere else it means that a counter broke.
MAY_BE_NOTHING = {"understanding: blocks of memory kept for good", "pump: tasks"}

# What costs the most of all, and is done once for each message, or event.
ONCE = (parse, Gate.complaints, identify, Event.encode)

T = TypeVar("T")
_FEW, _WARM, _MANY = 10, 50, 500
_BATCH = 100  # what `hot_path.Pipeline.take` commits at a time
_THROUGH = 1_000
_PAUSE = 0.5


@pytest.fixture(scope="module")
def schemas() -> Schemas:
    return Schemas.load()


def within_budget(part: str, counted: Mapping[str, float]) -> None:
    """Fail where anything costs more than its budget, or nothing was counted; tell all of it."""
    over, uncounted = [], []
    for what, number in counted.items():
        name = f"{part}: {what}"
        budget = BUDGETS[name]
        line = f"cost: {name}: {number:,.5g}, budget {budget:,.5g}"
        print(line)  # noqa: T201 - for those who set budgets
        if number > budget:
            over.append(line)
        if number <= 0 and name not in MAY_BE_NOTHING:
            uncounted.append(line)
    assert not uncounted, "\n".join(["a counter counts no more", *uncounted])
    advice = "every message costs more than it did; python tests/support/hot_path.py shows where"
    assert not over, "\n".join([advice, *over])


def test_understanding_a_message_takes_no_more_work(schemas: Schemas) -> None:
    batch = messages(2 * _WARM)
    before, counted = batch[:_WARM], batch[_WARM:]
    understood(schemas, before)
    instructions(lambda: understood(schemas, before[:_FEW]))

    executed = instructions(lambda: understood(schemas, counted)).total()
    calls = Calls()
    with calls.counted():
        understood(schemas, counted)

    within_budget(
        "understanding",
        {
            "instructions": executed / len(counted),
            "calls of Python functions": calls.python / len(counted),
            "calls of C functions": calls.c / len(counted),
        },
    )


def memory() -> Mapping[str, float]:
    """What understanding a message takes of it."""
    schemas = Schemas.load()
    batch = messages(_WARM + _MANY)
    understood(schemas, batch[:_WARM])

    kept = kept_blocks(lambda: understood(schemas, batch[_WARM:]))
    peak = peak_bytes(lambda: understood(schemas, batch[:_WARM]))
    return {
        "blocks of memory kept for good": kept / _MANY,
        "bytes of memory at the peak, its events included": peak / _WARM,
    }


def test_understanding_a_message_takes_no_more_memory() -> None:
    # In a process of its own: where libxml2 keeps names, and so how many of them are decoded once
    # more, depends on all the names that came before.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        within_budget("understanding", process.submit(memory).result())


def test_from_intake_to_sink_batches_stay_batches(schemas: Schemas, tmp_path: Path) -> None:
    calls = Calls()

    async def scene(loop: CountingLoop) -> tuple[Mapping[str, float], Mapping[str, float]]:
        batch = messages(_WARM + _MANY)
        with statements() as said, calls.in_threads():
            async with pipeline(tmp_path, schemas) as line:
                await line.take(batch[:_WARM])
                assert await line.deliver() == _WARM

                said.clear()
                loop.forget()
                with calls.counted():
                    await line.take(batch[_WARM:])
                for step in ONCE:
                    assert calls.of(step) == _MANY, f"{step.__qualname__} is not called once"
                assert said["COMMIT"] == _MANY // _BATCH, "a batch is not one commit"
                intake = {
                    "calls of Python functions": calls.python / _MANY,
                    "calls of C functions": calls.c / _MANY,
                    "statements for a hundred messages": said.total() * _BATCH / _MANY,
                    "commits for a hundred messages": said["COMMIT"] * _BATCH / _MANY,
                    "callbacks of the event loop": loop.callbacks / _MANY,
                    "tasks": loop.tasks / _MANY,
                }

                said.clear()
                loop.forget()
                with calls.counted():
                    assert await line.deliver() == _MANY
                return intake, {
                    "calls of Python functions": calls.python / _MANY,
                    "calls of C functions": calls.c / _MANY,
                    "statements": said.total() / _MANY,
                    "callbacks of the event loop": loop.callbacks / _MANY,
                    "tasks": loop.tasks / _MANY,
                }

    intake, pump = run(scene)
    within_budget("intake", intake)
    within_budget("pump", pump)


def test_from_queue_to_queue_nothing_is_done_one_by_one(
    amqp_url: str, unique: str, tmp_path: Path
) -> None:
    source, target = f"{unique}-in", f"{unique}-out"
    configuration = tmp_path / "consumer.toml"
    configuration.write_text(
        f"""
[journal]
url = "sqlite:{tmp_path / "journal.db"}"
[admin]
listen = "127.0.0.1:0"
[[sources]]
type = "radial-amqp"
name = "source"
urls = ["{amqp_url}"]
queues = ["{source}"]
[[sinks]]
type = "amqp"
name = "sink"
url = "{amqp_url}"
queue = "{target}"
"""
    )

    async def scene(loop: CountingLoop) -> Mapping[str, float]:
        async with rabbit(amqp_url) as peer:
            for name in (source, target):
                await peer.queue(name)
            await peer.publish(source, bodies(_THROUGH))
            loop.forget()
            stop = asyncio.Event()
            running = asyncio.create_task(Daemon(load_settings(configuration)).run(stop))
            while await peer.ready(target) < _THROUGH:
                assert not running.done()
                await asyncio.sleep(_PAUSE)  # each look is counted, too
            counted = {
                "callbacks of the event loop": loop.callbacks / _THROUGH,
                "tasks": loop.tasks / _THROUGH,
                "writes to sockets": loop.writes / _THROUGH,
            }
            stop.set()
            await running
            for name in (source, target):
                await peer.channel.queue_delete(name)
        return counted

    within_budget("daemon", run(scene))


def run(scene: Callable[[CountingLoop], Coroutine[Any, Any, T]]) -> T:
    """Run a scene on a loop that counts."""

    async def played() -> T:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, CountingLoop)
        return await asyncio.wait_for(scene(loop), 60)

    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        return runner.run(played())
