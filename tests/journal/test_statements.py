"""The statements of the SQLite journal are all used, and find what they want by an index."""

import re
from contextlib import closing
from pathlib import Path

import pytest

from consumer.journal import (
    sqlite_cursors,
    sqlite_file,
    sqlite_lines,
    sqlite_prune,
    sqlite_reads,
    sqlite_repairs,
    sqlite_writes,
)
from consumer.journal.statements import migrations, statements

SQL = statements("sqlite.sql")


def test_every_statement_is_used() -> None:
    modules = (
        sqlite_cursors,
        sqlite_lines,
        sqlite_prune,
        sqlite_reads,
        sqlite_repairs,
        sqlite_writes,
    )
    code = "".join(Path(str(module.__file__)).read_text("utf-8") for module in modules)
    assert set(re.findall(r'SQL\["(\w+)"\]', code)) == set(SQL)


def plan(path: Path, name: str) -> list[str]:
    path.touch()
    values = dict.fromkeys(re.findall(r":(\w+)", SQL[name]), 1)
    with closing(sqlite_file.open_writer(path)) as connection:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {SQL[name]}", values).fetchall()
    return [row[3] for row in rows]


@pytest.mark.parametrize(
    "name",
    [
        "known_ids",
        "read",
        "read_origin",
        "prunable",
        "told",
        "since",
        "held_between",
        "held_between_of",
        "parked",
        "parked_of",
        "retrying",
        "retry_parked",
        "retry_all_parked",
    ],
)
def test_no_statement_of_daily_use_scans_the_log(tmp_path: Path, name: str) -> None:
    steps = plan(tmp_path / "journal.db", name)
    assert any(step.startswith("SEARCH events") for step in steps)
    assert not [step for step in steps if step.startswith("SCAN events")]


def test_what_is_before_a_sink_is_counted_in_an_index(tmp_path: Path) -> None:
    steps = [step for step in plan(tmp_path / "journal.db", "cursors") if "events" in step]
    assert steps == [
        "SCAN events USING COVERING INDEX events_recorded",  # below what was pruned only
        "SEARCH events USING INTEGER PRIMARY KEY (rowid>?)",
    ]


@pytest.mark.parametrize("name", ["told", "watch_lines"])
def test_a_line_is_found_by_its_whole_name(tmp_path: Path, name: str) -> None:
    # by its scope alone would be every line compared with every other one
    (step,) = [step for step in plan(tmp_path / "journal.db", name) if "backorders" in step]
    assert step == "SEARCH backorders USING PRIMARY KEY (source=? AND subject=?)"


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("parked", "SEARCH parked USING INDEX parked_seq ((seq,sink)>(?,?))"),
        ("parked_of", "SEARCH parked USING PRIMARY KEY (sink=? AND seq>?)"),
        ("retry_parked", "SEARCH parked USING COVERING INDEX parked_seq (seq=? AND sink=?)"),
        ("retry_all_parked", "SEARCH parked USING PRIMARY KEY (sink=?)"),
        ("unpark", "SEARCH parked USING COVERING INDEX parked_seq (seq=? AND sink=?)"),
        ("park_again", "SEARCH parked USING PRIMARY KEY (sink=? AND seq=?)"),
        ("parked_seqs", "SEARCH parked USING COVERING INDEX parked_seq (seq=? AND sink=?)"),
        ("orders", "SEARCH parked USING COVERING INDEX parked_retrying (sink=?)"),
    ],
)
def test_a_parked_event_is_found_by_its_key(tmp_path: Path, name: str, step: str) -> None:
    # however many are parked: each batch that is offered again asks
    steps = plan(tmp_path / "journal.db", name)
    assert [each for each in steps if "parked" in each] == [step]
    assert not [each for each in steps if "TEMP B-TREE" in each]


def test_what_is_offered_again_is_chosen_in_an_index(tmp_path: Path) -> None:
    steps = plan(tmp_path / "journal.db", "retrying")
    assert [each for each in steps if "parked" in each or "TEMP B-TREE" in each] == [
        "SEARCH parked USING COVERING INDEX parked_retrying (sink=?)",
        "USE TEMP B-TREE FOR ORDER BY",  # of the sizes of one page
        "SEARCH parked USING PRIMARY KEY (sink=? AND seq=?)",
    ]


@pytest.mark.parametrize("name", ["extend_replay", "replayed", "replay", "end_replay"])
def test_a_replay_is_found_by_its_key(tmp_path: Path, name: str) -> None:
    # however many sinks there are: each batch asks
    steps = [step for step in plan(tmp_path / "journal.db", name) if "replays" in step]
    assert steps == ["SEARCH replays USING PRIMARY KEY (sink=?)"]


def test_who_waits_longest_is_found_by_an_index(tmp_path: Path) -> None:
    first, *rest = plan(tmp_path / "journal.db", "open_backorders")
    assert first == "SCAN backorders USING INDEX backorders_open"
    assert "USE TEMP B-TREE FOR ORDER BY" not in rest  # but of those of one moment only


def test_quarantine_is_read_in_its_order(tmp_path: Path) -> None:
    steps = plan(tmp_path / "journal.db", "quarantined")
    assert steps == ["SEARCH quarantine USING INTEGER PRIMARY KEY (rowid>?)"]
    steps = plan(tmp_path / "journal.db", "quarantined_like")
    assert steps[1].endswith("COVERING INDEX sqlite_autoindex_quarantine_1 (id>? AND id<?)")


@pytest.mark.parametrize("name", ["quarantined_ids", "leave_quarantine", "refuse_again"])
def test_a_payload_is_found_by_its_id(tmp_path: Path, name: str) -> None:
    (step,) = [step for step in plan(tmp_path / "journal.db", name) if "quarantine" in step]
    assert step.endswith("INDEX sqlite_autoindex_quarantine_1 (id=?)")


def test_pruning_reads_indexes_only(tmp_path: Path) -> None:
    steps = plan(tmp_path / "journal.db", "prunable")
    for index in ("events_recorded (recorded>?", "parked_seq (seq=?", "backorders_told (seq=?"):
        assert [step for step in steps if f"USING COVERING INDEX {index}" in step]


def test_the_schema_begins_at_one_and_leaves_no_number_out() -> None:
    assert len(migrations("sqlite_schema")) >= 1
    assert migrations("of_another_database") == ()
