"""The benchmarks run, and measure what they say: on a scale on which no time can be judged."""

import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from benchmarks import journal, soak
from benchmarks import pollers as suite
from benchmarks.__main__ import main
from benchmarks.journal_retention import Latency, Retention
from benchmarks.pollers import Report, Round, Unchanged, summed_up
from benchmarks.soak_faults import FAULTS, plan
from benchmarks.soak_judge import MEASURES, Sample, judge, theil_sen
from benchmarks.soak_ledger import PRESELL_ONE_IN, Arrived, Ledger, one
from benchmarks.soak_load import message, post
from consumer.errors import Unusable

_ROOT = Path(__file__).parents[1]


def test_the_pollers_are_measured(tmp_path: Path) -> None:
    small = ("--rows", "250", "--rounds", "1", "--lines", "60", "--polls", "2")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "pollers", *small, "--directory", tmp_path, "--json"],
        cwd=_ROOT,
        capture_output=True,
        check=True,
    )

    report = msgspec.json.decode(done.stdout, type=Report)
    assert [row.events for row in report.cinx] == [250, 3, 0, 0]
    for row in report.cinx:
        assert row.fetch_cpu > 0
        assert row.own_cpu == pytest.approx(row.poll_cpu - row.fetch_cpu)
        assert row.simulator_cpu > 0
        assert row.memory_met == (row.peak_bytes < 300_000_000)
    assert report.mvet.poll_cpu > 0
    assert (report.mvet.events, report.mvet.wrote) == (0, False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "poll", "mvet", "status"),
    [
        (["--strict"], 1.5, True, 0),
        (["--strict"], 9.0, True, 1),
        (["--strict", "--json"], 1.5, False, 1),
        ([], 9.0, False, 0),
    ],
)
def test_a_miss_is_a_failure_where_that_is_asked_for(
    options: list[str], poll: float, mvet: bool, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    polls = Unchanged(
        lines=1, polls=1, poll_cpu=0.1, worst_cpu=0.1, wall=0.1, events=0, wrote=False, met=mvet
    )
    monkeypatch.setattr(suite, "_cinx", lambda *_: [_round("a", poll=poll)])
    monkeypatch.setattr(suite, "_mvet", lambda *_: polls)
    done = CliRunner().invoke(main, ["pollers", "--rounds", "1", *options])
    assert done.exit_code == status
    if "--json" not in options:
        assert ("MISSED" in done.output) == (poll > 3 or not mvet)


def _round(case: str, *, poll: float, peak: int = 1_000) -> Round:
    return Round(case=case, events=0, poll=poll, fetch=1.0, simulator=2.0, wall=9.0, peak=peak)


@pytest.mark.parametrize(("poll", "met"), [(2.9, True), (3.1, False)])
def test_own_work_is_what_fetching_leaves_and_a_miss_is_no_secret(poll: float, met: bool) -> None:
    rounds = [_round("a", poll=poll), _round("a", poll=poll), _round("a", poll=100.0)]

    [row] = summed_up(rounds)
    assert row.own_cpu == pytest.approx(poll - 1.0)
    assert row.cpu_met is met


@pytest.mark.parametrize(
    ("peaks", "met"),
    [((299_999_999, 1), True), ((1, 300_000_000), False), ((0, 0), False)],
    ids=["below", "once above", "not known"],
)
def test_the_highest_peak_counts(peaks: tuple[int, ...], met: bool) -> None:
    [row] = summed_up([_round("a", poll=2.0, peak=peak) for peak in peaks])
    assert row.peak_bytes == max(peaks)
    assert row.memory_met is met


# --- journal -------------------------------------------------------------------------------------


def test_a_large_journal_is_measured(tmp_path: Path) -> None:
    small = ("--events", "9000", "--rounds", "1")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "journal", *small, "--directory", tmp_path, "--json"],
        cwd=_ROOT,
        capture_output=True,
        check=True,
    )
    report = msgspec.json.decode(done.stdout, type=journal.Report)
    assert [one.what.split()[0] for one in report.timed] == [
        "start",
        "events",
        "events",
        "backorders",
        "sinks",
    ]
    assert all(one.seconds > 0 for one in report.timed)
    assert 4500 <= report.retention.removed < 9000
    assert report.retention.before.appends > 0
    assert report.retention.during.appends > 0
    assert [left.name for left in tmp_path.iterdir()] == ["journal-9000.db"]


@pytest.mark.parametrize(
    ("removed", "worst", "met"), [(1, 0.1, True), (1, 0.6, False), (0, 0.1, False)]
)
def test_retention_that_blocks_or_does_nothing_misses(
    removed: int, worst: float, met: bool
) -> None:
    latency = Latency(appends=1, p50=0.1, p99=0.1, worst=worst)
    pruned = Retention(removed=removed, seconds=1.0, before=latency, during=latency)
    assert pruned.met is met


# --- soak ----------------------------------------------------------------------------------------


def test_a_soak_runs_and_loses_nothing(tmp_path: Path) -> None:
    short = ("--for", "6s", "--rate", "40")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "soak", *short, "--directory", tmp_path],
        cwd=_ROOT,
        capture_output=True,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr.decode()  # too short for a verdict on growth
    report = msgspec.json.decode((tmp_path / "soak.json").read_bytes(), type=soak.Report)
    assert report.wrong == []
    assert report.accepted > 40
    assert report.polled > 0
    assert {fault.name for fault in report.faults} == set(FAULTS)
    assert done.returncode == (0 if report.well else 1)
    assert (tmp_path / "soak.png").read_bytes().startswith(b"\x89PNG")


def _samples(of: Callable[[float], float], name: str | None = None) -> list[Sample]:
    """Samples in which the measure of that name, or each, goes as `of` says; others stand still."""
    fields = [field for field in Sample.__struct_fields__ if field not in {"at", "dead_lag"}]
    varied = dict(zip((measure.name for measure in MEASURES), fields, strict=True))
    scales = dict(zip(fields, (measure.scale for measure in MEASURES), strict=True))
    return [
        Sample(
            at=at,
            dead_lag=0.0,
            **{
                field: (of(at) if name is None or varied[name] == field else 100.0) * scales[field]
                for field in fields
            },
        )
        for at in range(400)
    ]


@pytest.mark.parametrize("name", [measure.name for measure in MEASURES])
def test_what_rises_is_found(name: str) -> None:
    steep = judge(_samples(lambda at: 100.0 + 50.0 * at, name))
    assert [verdict.name for verdict in steep if not verdict.flat] == [name]
    [found] = [verdict for verdict in steep if verdict.name == name]
    assert found.per_hour == pytest.approx(50.0 * 3600)


@pytest.mark.parametrize(
    "of",
    [
        lambda _: 100.0,
        lambda at: 100.0 - at / 10,
        lambda at: 100.0 + (at % 40) / 100,
        lambda at: 9000.0 if at % 10 == 3 else 100.0,
        lambda at: min(at, 80.0),
    ],
    ids=["still", "falling", "sawtooth", "spikes", "growing while it warms up"],
)
def test_what_does_not_rise_is_flat(of: Callable[[float], float]) -> None:
    assert all(verdict.flat for verdict in judge(_samples(of)))


def test_too_few_samples_tell_nothing() -> None:
    with pytest.raises(Unusable, match="nothing can be told"):
        judge(_samples(float)[:4])


def test_the_slope_is_that_of_most_pairs() -> None:
    line = [(float(at), 3.0 * at) for at in range(2000)]
    assert theil_sen(line) == pytest.approx(3.0)
    assert theil_sen([*line[:10], (10.0, -500.0)]) == pytest.approx(3.0)
    assert theil_sen(line[:1]) == 0.0


def test_faults_are_the_same_for_a_seed_and_every_round_has_them_all() -> None:
    planned = plan(7, 600.0)
    assert planned == plan(7, 600.0) != plan(8, 600.0)
    for number in range(10):
        here = [fault.name for fault in planned if number <= fault.at / 60 < number + 1]
        assert sorted(here) == sorted(FAULTS)
    for earlier, later in pairwise(planned):
        assert earlier.at + earlier.length < later.at


def _arrived(serial: int) -> Arrived:
    quantity = b'{"quantity":{"backordered":"%d"}}' % serial
    return one.decode(b'{"id":"x","source":"/radial/A","type":"x","data":%s}' % quantity)


def test_what_is_accepted_and_not_there_is_missing() -> None:
    ledger = Ledger({"live": True, "picky": False})
    ledger.accept(range(1, PRESELL_ONE_IN + 1))
    for serial in range(1, PRESELL_ONE_IN):
        ledger.journal.take(_arrived(serial))
        ledger.sinks["live"].take(_arrived(serial))
    ledger.sinks["live"].take(_arrived(1))
    assert ledger.missing() == {"journal": 1, "live": 1, "picky": 1}
    assert ledger.sinks["live"].repeated == 1

    polled = Arrived(id="p", source="/mvet/1", type="x", data=_arrived(1).data)
    ledger.journal.take(polled)
    assert ledger.missing() == {"journal": 1, "live": 2, "picky": 1}


def test_a_serial_is_told_by_the_message_alone() -> None:
    assert b'quantity="12345"' in message(12345)
    assert b'quantity="12345"' in post(12345)
    assert b">Pre-Sell<" in message(PRESELL_ONE_IN)
    assert b">Pre-Sell<" not in message(PRESELL_ONE_IN + 1)


@pytest.mark.parametrize(("wrong", "well"), [([], True), (["1 missing in journal"], False)])
def test_a_loss_is_a_failure(wrong: list[str], well: bool) -> None:
    report = soak.Report(
        machine={},
        seconds=1.0,
        seed=1,
        capacity=0.0,
        rate=1.0,
        accepted=1,
        polled=0,
        repeated={},
        wrong=wrong,
        verdicts=judge(_samples(lambda _: 1.0)),
        faults=[],
        samples=[],
    )
    assert report.well is well
