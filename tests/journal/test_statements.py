"""The statements of the SQLite journal are all used, and find what they want by an index."""

import re
from contextlib import closing
from pathlib import Path

import pytest

from consumer.journal import sqlite_file, sqlite_reads, sqlite_writes
from consumer.journal.statements import migrations, statements

SQL = statements("sqlite.sql")


def test_every_statement_is_used() -> None:
    modules = (sqlite_reads, sqlite_writes)
    code = "".join(Path(str(module.__file__)).read_text("utf-8") for module in modules)
    assert set(re.findall(r'SQL\["(\w+)"\]', code)) == set(SQL)


@pytest.mark.parametrize("name", ["known_ids", "read", "read_origin", "cursors", "prunable"])
def test_no_statement_of_daily_use_scans_the_log(tmp_path: Path, name: str) -> None:
    path = tmp_path / "journal.db"
    path.touch()
    values = dict.fromkeys(re.findall(r":(\w+)", SQL[name]), 1)
    with closing(sqlite_file.open_writer(path)) as connection:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {SQL[name]}", values).fetchall()
    plan = [row[3] for row in rows]
    assert any(step.startswith("SEARCH events") for step in plan)
    assert not [step for step in plan if step.startswith("SCAN events")]


def test_the_schema_begins_at_one_and_leaves_no_number_out() -> None:
    assert len(migrations("sqlite_schema")) >= 1
    assert migrations("of_another_database") == ()
