"""The benchmark of the webhook runs, and takes nothing for a measurement that is none."""

import asyncio
import sqlite3
import subprocess
import sys
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


@pytest.mark.parametrize("fault", [503, "gone"])
async def test_what_is_not_answered_200_is_no_measurement(tmp_path: Path, fault: object) -> None:
    """Nor is what is not answered at all."""
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
            port=listener.port, path="/", pid=1, bodies=str(bodies), connections=4
        )
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.posting", msgspec.json.encode(order)),
            cwd=webhooks._ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        said, errors = await process.communicate()
    assert (process.returncode, said) == (1, b"")
    assert b"RuntimeError: a " in errors


def test_a_journal_must_hold_what_was_posted(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE events (seq)")
        connection.execute("INSERT INTO events VALUES (1)")
    webhooks._require(file, 1)
    with pytest.raises(RuntimeError, match="2 events were answered 200, the journal holds 1"):
        webhooks._require(file, 2)
