"""How the benchmarks tell what they measured: targets, tables, the picture, the command."""

import inspect
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import cast

import msgspec
import pytest
from click.testing import CliRunner

from benchmarks import (
    backlog,
    everything,
    feed,
    identity,
    latency,
    queues,
    resting,
    speed,
    validation,
    webhooks,
)
from benchmarks.__main__ import main
from benchmarks.conditions import SYNC
from benchmarks.disturbance import Ticks, ticks
from benchmarks.peers.work import converted
from benchmarks.plot import draw
from benchmarks.posting import Shown
from benchmarks.report import Effort, Figure
from benchmarks.speed import SUITES, Report
from benchmarks.stage import Stage, linked
from benchmarks.tables import number, table, verdict_table
from benchmarks.targets import TARGETS, Name, Target, verdicts
from consumer.model import Message, utc_now
from consumer.settings import PrivacySettings
from consumer.simulators.broker import PrivateBroker
from consumer.understanding import entry_of
from consumer.validation import Schemas

DEBIANS_BROKER = Path("/usr/lib/rabbitmq/lib")
_PNG = b"\x89PNG"


def figure(suite: str, name: str, *rounds: float, unit: str = "messages/s") -> Figure:
    return Figure(suite=suite, name=name, unit=unit, rounds=rounds)


FASTER = Target(what="faster", of=Name("s", "a"), against=Name("s", "b"), bound=1.5)
QUICK = Target(what="quick", of=Name("s", "a", "p99, ms"), sense="under", bound=50.0, unit="ms")


# --- targets -------------------------------------------------------------------------------------


def test_a_ratio_is_that_of_the_medians_and_the_rounds_stand_beside_it() -> None:
    ours, theirs = figure("s", "a", 10.0, 20.0, 90.0), figure("s", "b", 10.0, 10.0, 30.0)
    [verdict] = verdicts([theirs, ours], [FASTER])
    assert verdict.value == 2.0
    assert verdict.by_rounds == 2.0
    assert verdict.met

    [verdict] = verdicts([figure("s", "a", 10.0, 40.0, 20.0), theirs], [FASTER])
    assert (verdict.value, verdict.by_rounds) == (2.0, 1.0)


def test_rounds_that_do_not_go_in_pairs_have_no_ratios() -> None:
    [verdict] = verdicts([figure("s", "a", 3.0), figure("s", "b", 1.0, 1.0)], [FASTER])
    assert verdict.by_rounds is None

    across = Target(what="across", of=Name("s", "a"), against=Name("t", "b"), bound=1.5)
    [verdict] = verdicts([figure("s", "a", 3.0), figure("t", "b", 1.0)], [across])
    assert (verdict.value, verdict.by_rounds, verdict.met) == (3.0, None, True)


@pytest.mark.parametrize(
    "measured",
    [[], [("s", "a")], [("s", "b")], [("t", "a"), ("t", "b")]],
    ids=["nothing", "ours alone", "the other alone", "another suite"],
)
def test_what_was_not_measured_has_no_verdict(measured: Sequence[tuple[str, str]]) -> None:
    assert not verdicts([figure(*name, 1.0) for name in measured], [FASTER, QUICK])


@pytest.mark.parametrize(("p99", "met"), [(49.9, True), (50.0, False)])
def test_what_stands_beside_a_figure_is_judged_too(p99: float, met: bool) -> None:
    one = msgspec.structs.replace(figure("s", "a", 1.0), beside={"p99, ms": p99})
    [verdict] = verdicts([one], [QUICK])
    assert (verdict.value, verdict.met) == (p99, met)


@pytest.mark.parametrize(("rate", "met"), [(1.5, True), (1.49, False)])
def test_the_bound_itself_is_enough_for_at_least(rate: float, met: bool) -> None:
    [verdict] = verdicts([figure("s", "a", rate), figure("s", "b", 1.0)], [FASTER])
    assert verdict.met is met


def made() -> set[Name]:
    """What the suites make that targets ask for, made by their own functions."""
    spread = latency.Spread(**dict.fromkeys(latency.Spread.__struct_fields__, 1.0))
    latencies = [latency._figure(share, 1.0, [spread]) for share in latency.SHARES]
    shown = Shown(posts=1, seconds=1.0, p50=1.0, p99=1.0, worst=1.0, own=1.0)
    posted = [webhooks._figure(name, load, [shown]) for name, load in webhooks.CONTENDERS.items()]
    names = {Name(queues.SUITE, name) for name in queues.CONTENDERS}
    for one in (*latencies, *posted):
        names |= {Name(one.suite, one.name), *(Name(one.suite, one.name, k) for k in one.beside)}
    return names


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.what)
def test_every_target_is_about_something_that_is_measured(target: Target) -> None:
    for name in (target.of, target.against):
        if name is None:
            continue
        if name.suite == resting.SUITE:  # its names stand where daemons are looked at
            text = inspect.getsource(resting).replace("{events:,}", "1,000,000")
            assert f'"{name.figure}"' in text
        else:
            assert name in made()


# --- tables --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (17_312.4, "17,312"),
        (99.96, "100"),
        (99.94, "99.9"),
        (1.704, "1.70"),
        (0.01733, "0.0173"),
        (2.0, "2"),
        (0.0, "0"),
    ],
)
def test_three_digits_matter(value: float, text: str) -> None:
    assert number(value) == text


def test_a_table_has_medians_rounds_and_ratios_to_the_first_of_a_unit() -> None:
    first = figure("s", "they", 10.0, 30.0, 20.0)
    second = msgspec.structs.replace(figure("s", "ours", 50.0), beside={"own, µs": 3.5})
    alone = figure("s", "memory", 7.5, unit="MB")
    told = table([first, second, alone]).splitlines()
    assert told[0].split() == ["s", "median", "rounds", "times", "first", "own,", "µs"]
    assert told[2].split() == ["they", "20", "messages/s", "10", "to", "30", "1.00"]
    assert told[3].split() == ["ours", "50", "messages/s", "50", "to", "50", "2.50", "3.50"]
    assert told[4].split() == ["memory", "7.50", "MB", "7.50", "to", "7.50"]


def test_a_miss_is_no_secret() -> None:
    figures = [figure("s", "a", 1.0), figure("s", "b", 1.0)]
    good = msgspec.structs.replace(FASTER, what="good", bound=0.5)
    told = verdict_table(verdicts(figures, [good, FASTER])).splitlines()
    assert told[2].split() == ["good", "at", "least", "0.5", "1", "1", "met"]
    assert told[3].split() == ["faster", "at", "least", "1.5", "1", "1", "MISSED"]


# --- the picture ---------------------------------------------------------------------------------


def full() -> Sequence[Figure]:
    """A run in which everything was measured."""
    beside = {
        "own CPU, µs/message": 300.0,
        "broker's CPU, µs/message": 200.0,
        "p50, ms": 2.0,
        "p99, ms": 9.0,
    }
    names = [
        *((queues.SUITE, name) for name in queues.CONTENDERS),
        *((webhooks.SUITE, name) for name in webhooks.CONTENDERS),
        *(("latency", f"p99 at {share:.0%} of capacity") for share in latency.SHARES),
        (backlog.SUITE, "72,000 messages behind"),
        ("growth", "1,000 events before"),
        ("growth", "1,000,000 events before"),
        ("stores", "1 queue"),
        ("stores", "200 queues"),
        (validation.SUITE, validation.LXML),
        (resting.SUITE, "idle, resident"),
    ]
    return [
        msgspec.structs.replace(figure(suite, name, 90.0, 100.0, 120.0), beside=beside)
        for suite, name in names
    ]


def test_the_picture_has_a_panel_for_what_was_measured(tmp_path: Path) -> None:
    everything, one = tmp_path / "all.png", tmp_path / "one.png"
    assert draw(full(), everything)
    assert draw([figure(validation.SUITE, "ours", 1.0)], one)
    assert everything.read_bytes().startswith(_PNG)
    (width, height), (same, lower) = size(everything), size(one)
    assert width == same == 1200
    assert height > 3 * lower


def size(picture: Path) -> tuple[int, int]:
    """Width and height as the header of a PNG has them."""
    header = picture.read_bytes()[16:24]
    return int.from_bytes(header[:4], "big"), int.from_bytes(header[4:], "big")


def test_what_has_no_panel_makes_no_picture(tmp_path: Path) -> None:
    assert not draw([figure(resting.SUITE, "idle, resident", 80.0)], tmp_path / "none.png")
    assert not list(tmp_path.iterdir())


# --- the command ---------------------------------------------------------------------------------


@pytest.mark.parametrize("module", SUITES.values())
def test_every_suite_is_there(module: str) -> None:
    suite = import_module(module)
    assert inspect.iscoroutinefunction(suite.measure)
    assert isinstance(suite.SUITE, str)


def test_what_the_host_keeps_is_a_share_of_what_was_asked_for() -> None:
    assert Ticks(asked=150, stolen=20).since(Ticks(asked=100, stolen=10)) == 0.2
    assert Ticks().since(Ticks()) == 0
    assert ticks().asked >= ticks().stolen >= 0


def test_a_part_of_it_runs_and_is_kept(tmp_path: Path) -> None:
    small = ["--only", "validation", "--rounds", "2", "--messages", "100"]
    done = CliRunner().invoke(main, ["speed", *small, "--directory", str(tmp_path)])
    assert done.exit_code == 0, done.output
    report = msgspec.json.decode((tmp_path / "speed.json").read_bytes(), type=Report)
    assert [len(one.rounds) for one in report.figures] == [2] * 5
    assert {one.suite for one in report.figures} == {validation.SUITE}
    assert (report.verdicts, report.met) == ([], True)
    assert 0 <= report.stolen["validation"] < 1
    assert "the machine's host kept " in done.stderr
    expected = {"lxml", "libxml2", "SQLite", "uvloop"}
    if DEBIANS_BROKER.is_dir():  # tests may also use one of a container, or of another place
        expected |= {"RabbitMQ", "Erlang"}
    assert expected <= set(report.versions)
    assert cast("float", report.machine[SYNC]) > 0
    assert f"processor: {report.machine['processor']}, " in done.stdout
    assert f", SQLite {sqlite3.sqlite_version}, " in done.stdout
    assert validation.XMLSCHEMA in done.stdout
    assert (tmp_path / "speed.png").read_bytes().startswith(_PNG)
    assert sorted(left.name for left in tmp_path.iterdir()) == ["speed.json", "speed.png"]


@pytest.mark.parametrize(
    ("options", "rate", "status"), [(["--strict"], 1.6, 0), (["--strict"], 1.4, 1), ([], 1.4, 0)]
)
def test_a_miss_is_a_failure_where_that_is_asked_for(
    options: list[str], rate: float, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def measure(_: Effort) -> Sequence[Figure]:
        return [figure(queues.SUITE, "aio-pika", 1.0), figure(queues.SUITE, queues.OURS, rate)]

    monkeypatch.setattr(queues, "measure", measure)
    chosen = ["--only", "queues", "--directory", str(tmp_path)]
    done = CliRunner().invoke(main, ["speed", *chosen, *options])
    assert done.exit_code == status, done.output
    assert ("MISSED" in done.stdout) == (rate < 1.5)
    report = msgspec.json.decode((tmp_path / "speed.json").read_bytes(), type=Report)
    assert [verdict.met for verdict in report.verdicts] == [rate >= 1.5]


def test_what_was_measured_survives_a_suite_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def measure(effort: Effort) -> Sequence[Figure]:
        (effort.directory / "left").touch()
        if effort.rounds != 7:
            raise ZeroDivisionError
        return [figure(queues.SUITE, queues.OURS, 5.0)]

    async def fail(_: Effort) -> Sequence[Figure]:
        raise RuntimeError("97 of 100 messages arrived")

    monkeypatch.setattr(queues, "measure", measure)
    monkeypatch.setattr(webhooks, "measure", fail)
    chosen = ["--only", "webhooks", "--only", "queues", "--rounds", "7"]
    done = CliRunner().invoke(main, ["speed", *chosen, "--directory", str(tmp_path)])
    assert isinstance(done.exception, SystemExit)
    assert done.exit_code == 1
    assert "Error: webhooks: 97 of 100 messages arrived" in done.output
    report = msgspec.json.decode((tmp_path / "speed.json").read_bytes(), type=speed.Report)
    assert [one.name for one in report.figures] == [queues.OURS]
    assert sorted(left.name for left in tmp_path.iterdir()) == ["speed.json", "speed.png"]


def test_all_keeps_what_every_part_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of this run only, and of the parts before one that fails."""

    def run(command: Sequence[str]) -> int:
        part = command[3]
        if part != "pollers":
            Path(command[5]).write_text(f'{{"of": "{part}"}}')
        return int(part == "pollers")

    monkeypatch.setattr(everything, "_status", run)
    (tmp_path / "pollers.json").write_text('{"of": "an earlier run"}')
    done = CliRunner().invoke(main, ["all", "--directory", str(tmp_path)])
    assert done.exit_code == 1
    kept = msgspec.json.decode((tmp_path / "all.json").read_bytes())
    assert kept == {"speed": {"of": "speed"}, "journal": {"of": "journal"}}
    assert "failed, or missed a target: pollers" in done.output


# --- identity ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["passed on", "converted", "ours"])
def test_a_message_is_known_by_its_order_in_every_form(form: str) -> None:
    bodies = list(feed.messages(30))
    sent = identity.orders_of(bodies)
    assert sent.total() == 30 > len(sent)
    identity.require_same("q", sent, identity.orders_of(_FORMS[form](body) for body in bodies))


def _ours(body: bytes) -> bytes:
    message = Message(body=body, source="radial", system="radial", received=utc_now())
    found = _schemas().glance(body)
    assert found
    [event] = entry_of(message, found, PrivacySettings()).events
    return event.encode()


_schemas = cache(Schemas.load)
_FORMS: Mapping[str, Callable[[bytes], bytes]] = {
    "passed on": bytes,
    "converted": converted,
    "ours": _ours,
}


def test_what_was_lost_and_what_came_twice_are_told_apart() -> None:
    sent = identity.orders_of(b'<O customerOrderId="%d"' % number for number in range(5))
    held = sent - Counter([b"1", b"2"]) + Counter([b"3"])
    with pytest.raises(RuntimeError, match="q lacks 2 messages, and has 1 twice or unasked for"):
        identity.require_same("q", sent, held)
    with pytest.raises(RuntimeError, match="1 messages have no number of an order"):
        identity.orders_of([b"<O/>"])


async def test_a_queue_is_read_back(private_broker: PrivateBroker) -> None:
    bodies = list(feed.messages(50))
    sent = identity.orders_of(bodies)
    async with linked(private_broker.url) as link, link.channel() as channel:
        stage = Stage(private_broker, link, channel)
        await stage.make("whole", "another")
        await stage.fill("whole", bodies)
        await identity.require_each(stage, "whole", sent)
        await stage.fill("another", [*bodies[1:], bodies[1]])
        with pytest.raises(RuntimeError, match="another lacks 1 messages, and has 1 twice"):
            await identity.require_each(stage, "another", sent)
        await stage.drop("whole", "another")


# --- validation ----------------------------------------------------------------------------------


def test_everybody_judges_and_an_invalid_message_ends_it() -> None:
    valid, invalid = next(feed.messages(1)), b"<OrderBackorder/>"
    for name, contender in validation.contenders().items():
        assert validation._seconds(contender, [valid]) > 0
        if name != validation.PARSE:
            with pytest.raises(RuntimeError, match="1 of 1"):
                validation._seconds(contender, [invalid])
