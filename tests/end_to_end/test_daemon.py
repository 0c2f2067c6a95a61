"""The daemon as its users meet it: real RabbitMQ, real HTTP, Radial's own samples."""

import asyncio
import json
import os
import resource
import signal
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from consumer.simulators.broker_home import free_port
from daemon_process import DaemonProcess, running
from load import Publisher, order_list, order_message
from receiver import Silent
from waiting import until

RADIAL = Path(__file__).parent.parent / "data" / "radial"
XML = {"Content-Type": "application/xml"}
WEBHOOK = '[[sources]]\ntype = "radial-webhook"\nname = "radial-webhook"\n'
ARCHIVE = '[[sinks]]\ntype = "file"\nname = "archive"\npath = "events.jsonl"\n'


def queue_source(url: str, store: str, **options: str) -> str:
    more = "".join(f"{key} = {value}\n" for key, value in options.items())
    return (
        '[[sources]]\ntype = "radial-amqp"\nname = "radial-queue"\n'
        f'urls = ["{url}"]\nstore_codes = ["{store}"]\n{more}'
    )


def hook(daemon: DaemonProcess) -> str:
    return f"{daemon.public}/webhooks/radial/order-backorder"


async def post(daemon: DaemonProcess, body: bytes) -> tuple[int, dict[str, Any]]:
    async with (
        aiohttp.ClientSession() as client,
        client.post(hook(daemon), data=body, headers=XML) as answer,
    ):
        return answer.status, await answer.json(content_type=None)


async def counts(daemon: DaemonProcess, line: str) -> bool:
    return line in await daemon.metrics()


async def test_queue_and_webhook_end_in_one_stream(
    tmp_path: Path, amqp_url: str, unique: str
) -> None:
    daemon = DaemonProcess(tmp_path, queue_source(amqp_url, unique) + WEBHOOK + ARCHIVE)
    async with Publisher(amqp_url, [unique]) as radial, running(daemon):
        await radial.publish([(unique, "1"), (unique, "2")])
        for sample in sorted(RADIAL.glob("OrderBackorderList-*.xml")):
            status, answer = await post(daemon, sample.read_bytes())
            assert (status, answer["accepted"], answer["quarantined"]) == (200, 1, 0)
        archive = tmp_path / "events.jsonl"
        await until(lambda: archive.exists() and len(archive.read_text().splitlines()) == 6)
        assert await daemon.stop() == 0
    archived = [json.loads(line) for line in archive.read_text().splitlines()]
    assert {event["type"] for event in archived} == {
        "backorder.opened",
        "backorder.presell",
        "backorder.delayed",
        "backorder.allocation_cancelled",
    }
    assert [event["event"] for event in await daemon.events()] == archived


async def test_the_same_fact_by_queue_and_webhook_at_once_is_one_event(
    tmp_path: Path, amqp_url: str, unique: str
) -> None:
    daemon = DaemonProcess(tmp_path, queue_source(amqp_url, unique) + WEBHOOK + ARCHIVE)
    async with Publisher(amqp_url, [unique]) as radial, running(daemon):
        posts = [post(daemon, order_list(unique, "1")) for _ in range(50)]
        answers, _ = await asyncio.gather(
            asyncio.gather(*posts), radial.publish([(unique, "1")] * 50)
        )
        assert all(status == 200 for status, _ in answers)

        async def all_settled() -> bool:
            counted = await daemon.metrics()
            return 'outcome="duplicate",source="radial-queue"' in counted and (
                await radial.unsettled() == 0
            )

        await until(all_settled)
        [only] = await daemon.events()
    assert only["event"]["subject"] == "1/1"


async def test_poison_is_quarantined_and_acknowledged(
    tmp_path: Path, amqp_url: str, unique: str
) -> None:
    daemon = DaemonProcess(tmp_path, queue_source(amqp_url, unique) + ARCHIVE)
    async with Publisher(amqp_url, [unique]) as radial:
        import aio_pika

        poison = [
            b"not XML",
            b"",
            order_message(unique, "2").replace(b'quantity="1"', b'quantity="one"'),
        ]
        for body in poison:
            await radial.channel.default_exchange.publish(
                aio_pika.Message(body), f"q.Order.BackOrder.{unique}.2-0"
            )
        await radial.publish([(unique, "3")])
        async with running(daemon):
            accepted = 'backorder_messages_total{outcome="accepted",source="radial-queue"} 1.0'
            await until(partial(counts, daemon, accepted))
            counted = await daemon.metrics()
            assert 'backorder_quarantined_total{source="radial-queue"} 3.0' in counted
            assert await daemon.stop() == 0
        assert await radial.unsettled() == 0
    log = daemon.log.read_text()
    assert log.count('"message.quarantined"') == 3
    assert "Traceback" not in log


async def test_the_daemon_starts_without_its_broker_and_says_which_part_is_missing(
    tmp_path: Path,
) -> None:
    dead = f"amqp://user:hunter2@127.0.0.1:{free_port()}/"
    daemon = DaemonProcess(tmp_path, queue_source(dead, "TMS_US") + WEBHOOK + ARCHIVE)
    async with running(daemon):
        status, answer = await post(daemon, order_list("TMS_US", "1"))
        assert (status, answer["accepted"]) == (200, 1)

        async def told() -> bool:
            return "refused" in (await daemon.part("sources.radial-queue")).get("reason", "")

        await until(told)
        assert (await daemon.part("journal"))["ok"]
        assert await daemon.stop() == 0
    assert "hunter2" not in daemon.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signals_stop_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    daemon = DaemonProcess(tmp_path, WEBHOOK + ARCHIVE)
    async with running(daemon):
        assert await daemon.stop(number) == 0
    events = [json.loads(line)["event"] for line in daemon.log.read_text().splitlines()]
    assert events[-2:] == ["daemon.stopping", "daemon.stopped"]


async def test_it_works_without_standard_streams(tmp_path: Path) -> None:
    """As some supervisors start programs: nobody reads the log, and nothing else gets its place."""
    daemon = DaemonProcess(tmp_path, WEBHOOK + ARCHIVE, redirections="<&- >&- 2>&-")
    async with running(daemon):
        descriptors = Path(f"/proc/{daemon.pid}/fd")
        opened = [(descriptors / number).readlink() for number in "012"]
        assert opened == [Path("/dev/null")] * 3
        sample = (RADIAL / "OrderBackorderList-Backorder.xml").read_bytes()
        assert (await post(daemon, sample))[0] == 200
        assert await daemon.stop() == 0
    assert len(await daemon.events()) == 1


async def test_a_second_daemon_on_the_same_journal_is_refused(tmp_path: Path) -> None:
    first = DaemonProcess(tmp_path, WEBHOOK)
    async with running(first):
        (tmp_path / "second").mkdir()
        second = DaemonProcess(tmp_path / "second", WEBHOOK)
        second.config.write_text(
            second.config.read_text().replace(str(second.journal), str(first.journal))
        )
        await second.command("run", status=1)


async def test_no_personal_data_and_no_payload_reaches_log_or_metrics(
    tmp_path: Path, amqp_url: str, unique: str
) -> None:
    daemon = DaemonProcess(
        tmp_path, queue_source(amqp_url, unique) + WEBHOOK + ARCHIVE, extra='[log]\nlevel = "debug"'
    )
    async with Publisher(amqp_url, [unique]) as radial, running(daemon):
        await radial.publish([(unique, "1")])
        broken = order_list(unique, "2").replace(b"<City>King Of Prussia</City>", b"")
        _, answer = await post(daemon, broken)
        assert answer["quarantined"] == 1
        await until((tmp_path / "events.jsonl").exists)
        seen = daemon.log.read_text() + await daemon.metrics() + json.dumps(answer)
        seen += json.dumps(await daemon.readiness())
    for personal in ("First Name", "Last Name", "email@example.com", "Allendale", "123456789"):
        assert personal not in seen


async def test_a_journal_that_cannot_commit_pauses_intake_and_loses_nothing(
    tmp_path: Path, amqp_url: str, unique: str
) -> None:
    daemon = DaemonProcess(tmp_path, queue_source(amqp_url, unique) + WEBHOOK + ARCHIVE)
    async with Publisher(amqp_url, [unique]) as radial, running(daemon):
        status, _ = await post(daemon, order_list(unique, "1"))
        assert status == 200
        _, unlimited = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (4096, unlimited))

        status, refusal = await post(daemon, order_list(unique, "2"))
        assert (status, refusal["status"]) == (503, 503)
        await radial.publish([(unique, "3")])
        await until(partial(is_ready, daemon, expected=False))
        assert "reason" in await daemon.part("journal")

        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
        await until(partial(is_ready, daemon, expected=True))
        await until(partial(counts, daemon, "backorder_journal_head 2.0"))
        assert {event["event"]["subject"] for event in await daemon.events()} == {"1/1", "3/1"}
        status, answer = await post(daemon, order_list(unique, "2"))
        assert (status, answer["accepted"]) == (200, 1)
        assert await daemon.stop() == 0
    log = daemon.log.read_text()
    assert '"intake.paused"' in log
    assert '"intake.resumed"' in log


async def is_ready(daemon: DaemonProcess, *, expected: bool) -> bool:
    status, _ = await daemon.readiness()
    return status == (200 if expected else 503)


async def test_a_sink_of_another_package_is_installed_and_used(
    tmp_path: Path, installed_plugin: Path
) -> None:
    memo = '[[sinks]]\ntype = "memo"\nname = "memo"\npath = "memo.txt"\n'
    path = {"PYTHONPATH": str(installed_plugin)}
    daemon = DaemonProcess(tmp_path, WEBHOOK + memo, environ=path)
    async with running(daemon):
        await post(daemon, order_list("TMS_US", "1"))
        [event] = await daemon.events()
        memo_file = tmp_path / "memo.txt"
        await until(lambda: memo_file.exists() and memo_file.read_text() != "")
        assert memo_file.read_text().split() == [event["event"]["id"]]
        assert await daemon.stop() == 0


async def test_check_reaches_everything_and_says_exactly_what_is_wrong(
    tmp_path: Path, amqp_url: str, unique: str
) -> None:
    daemon = DaemonProcess(tmp_path, queue_source(amqp_url, unique) + WEBHOOK + ARCHIVE)
    async with Publisher(amqp_url, [unique]):
        said = await daemon.command("check", "--connect")
        assert f"q.Order.BackOrder.{unique}.2-0" in said
        assert "FAIL" not in said
    said = await daemon.command("check", "--connect", status=1)
    [failed] = [line for line in said.splitlines() if line.startswith("FAIL")]
    assert "sources.radial-queue" in failed
    assert f"no queue 'q.Order.BackOrder.{unique}.2-0'" in failed
    assert not (tmp_path / "journal.db").exists()


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    async with Silent(free_port()) as silent:
        dead = f'[[sinks]]\ntype = "http"\nname = "silent"\nurl = "{silent.url}"\n'
        daemon = DaemonProcess(tmp_path, WEBHOOK + dead, extra='[stop]\ngrace = "5m"')
        async with running(daemon):
            await post(daemon, order_list("TMS_US", "1"))
            await until(lambda: silent.asked > 0)
            os.kill(daemon.pid, signal.SIGTERM)
            await until(lambda: '"daemon.stopping"' in daemon.log.read_text())
            assert await daemon.stop() == 1
    assert "stopped at once" in daemon.log.read_text()


async def test_stopping_does_not_wait_longer_than_the_grace(tmp_path: Path) -> None:
    async with Silent(free_port()) as silent:
        dead = f'[[sinks]]\ntype = "http"\nname = "silent"\nurl = "{silent.url}"\ntimeout = "5m"\n'
        daemon = DaemonProcess(tmp_path, WEBHOOK + dead, extra='[stop]\ngrace = "1s"')
        async with running(daemon):
            await post(daemon, order_list("TMS_US", "1"))
            await until(lambda: silent.asked > 0)
            assert await daemon.stop() == 0
        [cursor] = [json.loads(await daemon.command("sinks", "list", "--json"))]
    assert cursor["pending"] == 1


async def test_a_port_in_use_ends_the_daemon_with_a_reason(tmp_path: Path) -> None:
    first = DaemonProcess(tmp_path, WEBHOOK)
    async with running(first):
        (tmp_path / "second").mkdir()
        second = DaemonProcess(tmp_path / "second", WEBHOOK)
        text = second.config.read_text()
        second.config.write_text(
            text.replace(
                second.public.removeprefix("http://"), first.public.removeprefix("http://")
            )
        )
        second.start()
        await until(lambda: second.ended)
        assert await second.stop() == 1
    said = second.log.read_text()
    assert "in use" in said
    assert "Traceback" not in said


async def test_a_sender_that_is_turned_away_is_seen(tmp_path: Path) -> None:
    auth = '[webhooks.auth]\ntype = "basic"\nusername = "radial"\npassword = "correct"\n'
    daemon = DaemonProcess(tmp_path, WEBHOOK + ARCHIVE, webhooks=auth)
    async with running(daemon):
        for _ in range(3):
            status, _ = await post(daemon, order_list("TMS_US", "1"))
            assert status == 401
        assert 'backorder_webhook_answers_total{status="401"} 3.0' in await daemon.metrics()
    assert daemon.log.read_text().count('"webhook.refused"') == 1
