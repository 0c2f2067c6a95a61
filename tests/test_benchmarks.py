"""The benchmarks run, and measure what they say: on a scale on which no time can be judged."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from benchmarks import pollers as suite
from benchmarks.__main__ import main
from benchmarks.pollers import Report, Round, Unchanged, summed_up

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
