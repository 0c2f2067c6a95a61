"""The benchmark of the webhook runs, and takes nothing for a measurement that is none."""

import asyncio
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from lxml import etree

from benchmarks import feed, posting, webhooks
from benchmarks.report import Effort
from consumer.listener import Listener
from consumer.ports import Posted, Reply
from consumer.settings import WebhooksSettings
from consumer.validation import Schemas
from consumer.values import PositiveDuration
from waiting import until

EVENTS = 300


async def test_every_contender_is_measured(tmp_path: Path) -> None:
    figures = await webhooks.measure(Effort(messages=EVENTS, rounds=1, directory=tmp_path))

    assert [figure.name for figure in figures] == list(webhooks.CONTENDERS)
    for figure in figures:
        assert (figure.suite, figure.unit) == (webhooks.SUITE, "events/s")
        assert figure.median > 0
        assert 0 < figure.beside["p50, ms"] <= figure.beside["p99, ms"]
        assert figure.beside["own CPU, µs/post"] >= 0
    assert not (tmp_path / "contender").exists()


def test_a_list_holds_the_same_orders() -> None:
    singles = list(feed.messages(5))
    first, second = webhooks._lists(singles, 3)
    assert len(etree.fromstring(first)) == 3
    schemas = Schemas.load()
    found = [schemas.glance(body) for body in (first, second)]
    alone = [schemas.glance(body) for body in singles]
    numbers = [
        [
            accepted.element.get("customerOrderId")
            for each in group
            if each
            for accepted in each.accepted
        ]
        for group in (found, alone)
    ]
    assert numbers[0] == numbers[1]
    assert len(numbers[0]) == 5


@pytest.mark.parametrize(
    ("fault", "told"), [(503, "a post was answered b'HTTP/1.1 503"), ("gone", "was closed (")]
)
async def test_what_is_not_answered_200_is_no_measurement(
    tmp_path: Path, fault: object, told: str
) -> None:
    """Nor is what is not answered at all; whose post it was, and how far all was, is told."""
    listener = Listener(WebhooksSettings(listen="127.0.0.1:0"))
    taken = 0

    async def handler(posted: Posted) -> Reply:
        nonlocal taken
        taken += 1
        if taken < 20:
            return Reply(status=200, document={})
        if fault == "gone":
            for guest in list(listener._door._guests):
                listener._door._cut(guest)
        return Reply(status=503, document={})

    listener.route("/", handler)
    bodies = tmp_path / "bodies"
    bodies.write_bytes(msgspec.msgpack.encode([b"<x/>"] * 50))
    async with listener:
        order = posting.Order(
            case="they", port=listener.port, path="/", pid=1, bodies=str(bodies), connections=4
        )
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.posting", msgspec.json.encode(order)),
            cwd=webhooks._ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        said, errors = await process.communicate()
    assert (process.returncode, said) == (1, b"")
    [line] = errors.decode().splitlines()
    assert line.startswith("they: a ")
    assert told in line
    assert re.search(r" s after the post was written, number [2-9]\d* of its kept connection", line)
    assert re.search(r"; 19 of 50 posts were answered, \d", line)


async def test_a_connection_that_has_nothing_left_to_post_may_be_closed(tmp_path: Path) -> None:
    """Here after a fifth of a second, while the other still waits for its answer."""
    listener = Listener(
        WebhooksSettings(listen="127.0.0.1:0", timeout=PositiveDuration(0.2)),
    )

    async def handler(posted: Posted) -> Reply:
        if posted.body == b"<slow/>":
            await until(lambda: listener._door.guests == 1)
        return Reply(status=200, document={})

    listener.route("/", handler)
    async with listener:
        order = posting.Order(
            case="they", port=listener.port, path="/", pid=1, bodies="", connections=2
        )
        requests = [posting._request(order, body) for body in (b"<slow/>", b"<x/>", b"<x/>")]
        shown = await posting.post(order, requests)
    assert shown.posts == 3


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (signal.SIGSEGV, ["was ended by signal 11: ", "Fatal Python error: Segmentation fault"]),
        (None, ["was still running\n", "\nbackorder_webhook_cut_off_total 0.0\n"]),
    ],
)
async def test_a_daemon_has_last_words(
    tmp_path: Path, end: signal.Signals | None, told: Sequence[str]
) -> None:
    async def fail() -> None:
        async with webhooks.ours(tmp_path) as running:
            if end:
                os.kill(running.pid, end)
            raise RuntimeError("a connection was closed")

    with pytest.raises(RuntimeError, match=r"^a connection was closed\nthe daemon was ") as error:
        await fail()
    for words in told:
        assert words in str(error.value)


def test_a_journal_must_hold_what_was_posted(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE events (seq)")
        connection.execute("INSERT INTO events VALUES (1)")
    webhooks._require(file, 1)
    with pytest.raises(RuntimeError, match="2 events were answered 200, the journal holds 1"):
        webhooks._require(file, 2)
