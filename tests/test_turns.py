"""`consumer.turns`: one share of each turn of the event loop for all."""

import asyncio

from consumer.turns import Turns


async def test_all_who_ask_have_one_share_of_a_turn_together() -> None:
    turns, number, in_turn, most = Turns(share=10), 0, 0, 0

    async def count_turns() -> None:
        nonlocal number, in_turn, most
        while True:
            most, in_turn, number = max(most, in_turn), 0, number + 1
            await asyncio.sleep(0)

    async def work() -> None:
        nonlocal in_turn
        for _ in range(3):
            if turns.over:
                await turns.next()
            in_turn += 1
            turns.did(10)

    counting = asyncio.create_task(count_turns())
    await asyncio.gather(*(work() for _ in range(20)))
    counting.cancel()
    assert most == 1
    assert number >= 60


async def test_shares_are_taken_in_the_order_of_coming() -> None:
    turns, taken = Turns(share=1), list[int]()

    async def take(name: int) -> None:
        await turns.next()
        turns.did(1)
        taken.append(name)

    turns.did(1)
    await asyncio.gather(*(take(name) for name in range(5)))
    assert taken == [0, 1, 2, 3, 4]


async def test_who_does_not_ask_cannot_keep_the_others_waiting() -> None:
    turns = Turns(share=1)

    async def never_ask() -> None:
        while True:
            turns.did(1)
            await asyncio.sleep(0)

    impatient = asyncio.create_task(never_ask())
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        for _ in range(5):
            await turns.next()
    impatient.cancel()


async def test_a_share_is_there_again_in_the_next_turn() -> None:
    turns = Turns(share=1)
    turns.did(1)
    waiting = asyncio.create_task(turns.next())
    for _ in range(5):
        await asyncio.sleep(0)
        if waiting.done():
            break
    assert waiting.done()
    assert not turns.over
