"""The statements of the SQLite journal are all used, and find what they want by an index."""

import re
from contextlib import closing
from pathlib import Path

import pytest

from consumer.journal import sqlite_file, sqlite_prune, sqlite_reads, sqlite_writes
from consumer.journal.statements import migrations, statements

SQL = statements("sqlite.sql")


def test_every_statement_is_used() -> None:
    modules = (sqlite_prune, sqlite_reads, sqlite_writes)
    code = "".join(Path(str(module.__file__)).read_text("utf-8") for module in modules)
    assert set(re.findall(r'SQL\["(\w+)"\]', code)) == set(SQL)


def plan(path: Path, name: str) -> list[str]:
    path.touch()
    values = dict.fromkeys(re.findall(r":(\w+)", SQL[name]), 1)
    with closing(sqlite_file.open_writer(path)) as connection:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {SQL[name]}", values).fetchall()
    return [row[3] for row in rows]


@pytest.mark.parametrize(
    "name", ["known_ids", "read", "read_origin", "cursors", "prunable", "told"]
)
def test_no_statement_of_daily_use_scans_the_log(tmp_path: Path, name: str) -> None:
    steps = plan(tmp_path / "journal.db", name)
    assert any(step.startswith("SEARCH events") for step in steps)
    assert not [step for step in steps if step.startswith("SCAN events")]


@pytest.mark.parametrize("name", ["told", "watch_lines"])
def test_a_line_is_found_by_its_whole_name(tmp_path: Path, name: str) -> None:
    # by its scope alone would be every line compared with every other one
    (step,) = [step for step in plan(tmp_path / "journal.db", name) if "backorders" in step]
    assert step == "SEARCH backorders USING PRIMARY KEY (source=? AND subject=?)"


def test_pruning_reads_indexes_only(tmp_path: Path) -> None:
    steps = plan(tmp_path / "journal.db", "prunable")
    for index in ("events_recorded (recorded>?", "parked_seq (seq=?", "backorders_told (seq=?"):
        assert [step for step in steps if f"USING COVERING INDEX {index}" in step]


def test_the_schema_begins_at_one_and_leaves_no_number_out() -> None:
    assert len(migrations("sqlite_schema")) >= 1
    assert migrations("of_another_database") == ()
