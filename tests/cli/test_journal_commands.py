"""events, backorders and sinks list: what they show of a journal at rest."""

import asyncio
import json
import sqlite3
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from consumer.cli import table
from consumer.event import Line
from consumer.journal.sqlite import SqliteJournal
from consumer.testing.builders import data, entry, event, message
from program import Call


@pytest.fixture
def journal(tmp_path: Path) -> str:
    """A journal with three events of two sources, one of them the end of a back-order."""
    path = tmp_path / "journal.db"

    async def fill() -> None:
        async with SqliteJournal(path) as opened:
            await opened.enroll({"archive": True, "warehouse": True})
            await opened.append([entry(event(1), event(2))])
            ended = event(2, type="backorder.cleared")
            await opened.append([entry(ended, message=message(source="webhook"))])
            await opened.advance("archive", 3, {2: "HTTP 422"})

    asyncio.run(fill())
    return f"sqlite:{path}"


def objects(lines: str) -> list[Mapping[str, object]]:
    return [json.loads(line) for line in lines.splitlines()]


def test_events_shows_what_the_journal_holds(call: Call, journal: str) -> None:
    done = call("events", "--journal", journal)
    assert done.status == 0
    lines = [line.split() for line in done.out.splitlines()]
    assert [line[0] for line in lines] == ["1", "2", "3"]
    assert lines[2][2:5] == ["backorder.cleared", "/radial/TMS_US", "000000000002/1"]


def test_events_as_json_holds_the_event_as_sinks_get_it(call: Call, journal: str) -> None:
    first = objects(call("events", "--journal", journal, "--json", "--limit", 1).out)[0]
    assert set(first) == {"seq", "recorded", "event"}
    assert first["event"] == json.loads(event(1).encode())


@pytest.mark.parametrize(
    ("options", "seqs"),
    [
        (["--after", 1], [2, 3]),
        (["--limit", 2], [1, 2]),
        (["--source", "webhook"], [3]),
        (["--after", 99], []),
    ],
)
def test_events_can_be_narrowed(
    call: Call, journal: str, options: list[object], seqs: list[int]
) -> None:
    done = call("events", "--journal", journal, "--json", *options)
    assert [line["seq"] for line in objects(done.out)] == seqs


@pytest.mark.parametrize(
    ("option", "status"),
    [
        (["events", "--after", 2**63 - 1], 0),
        (["events", "--after", 2**63], 2),
        (["events", "--after", -1], 2),
        (["backorders", "--limit", 2**63 - 2], 0),
        (["backorders", "--limit", 2**63 - 1], 2),
        (["backorders", "--limit", 2**63], 2),
    ],
)
def test_a_number_that_no_journal_counts_to_is_wrong_use(
    call: Call, journal: str, option: list[object], status: int
) -> None:
    done = call(*option, "--journal", journal)
    assert done.status == status
    assert ("is not in the range" in done.err) is (status == 2)


def test_backorders_says_when_there_are_more_than_it_shows(call: Call, journal: str) -> None:
    cut = call("backorders", "--journal", journal, "--json", "--all", "--limit", 1)
    assert len(objects(cut.out)) == 1
    assert cut.err == "only the first 1 are shown; --limit shows more\n"
    everything = call("backorders", "--journal", journal, "--json", "--limit", 1)
    assert (len(objects(everything.out)), everything.err) == (1, "")


def test_backorders_shows_what_lasts_and_with_all_what_ended(call: Call, journal: str) -> None:
    lasting = objects(call("backorders", "--journal", journal, "--json").out)
    assert [line["subject"] for line in lasting] == ["000000000001/1"]
    both = objects(call("backorders", "--journal", journal, "--json", "--all").out)
    assert {line["subject"]: line["ended"] is None for line in both} == {
        "000000000001/1": True,
        "000000000002/1": False,
    }
    table = call("backorders", "--journal", journal, "--all").out.splitlines()
    assert table[0].split()[:3] == ["ORDER", "LINE", "ITEM"]
    assert len(table) == 3
    assert "ended" in table[1] + table[2]


def test_backorders_names_the_configured_source_and_the_account(call: Call, journal: str) -> None:
    titles, row = call("backorders", "--journal", journal).out.splitlines()
    at = titles.index("SOURCE"), titles.index("ACCOUNT"), titles.index("DESCRIPTION")
    assert row[at[0] : at[1]].strip() == message().source
    assert row[at[1] : at[2]].strip() == "/radial/TMS_US"


@pytest.mark.parametrize("command", ["events", "backorders"])
def test_a_source_that_nobody_knows_is_no_empty_answer(
    call: Call, journal: str, tmp_path: Path, command: str
) -> None:
    done = call(command, "--journal", journal, "--source", "webhok")
    assert (done.status, done.out) == (1, "")
    assert done.err == "error: no source of this name: webhok. Did you mean `webhook`?\n"
    config = tmp_path / "c.toml"
    config.write_text(f'[journal]\nurl = "{journal}"\n[[sources]]\nname = "brand-new"\n')
    assert call(command, "-c", config, "--source", "webhook").status == 0
    assert call(command, "-c", config, "--source", "brand-new").status == 0
    lost = call(command, "-c", config, "--source", "zzz")
    assert lost.status == 1
    assert "There are `brand-new`" in lost.err


@pytest.mark.parametrize("command", [["events"], ["backorders"], ["sinks", "list"]])
def test_reading_needs_no_secret(
    call: Call, journal: str, tmp_path: Path, command: list[str]
) -> None:
    config = tmp_path / "c.toml"
    config.write_text(f'[journal]\nurl = "{journal}"\n[admin]\ntoken = "${{NOT_AT_HAND}}"\n')
    assert call(*command, "-c", config).status == 0


def test_an_empty_table_says_so(call: Call, tmp_path: Path) -> None:
    async def make() -> None:
        async with SqliteJournal(tmp_path / "empty.db"):
            pass

    asyncio.run(make())
    url = f"sqlite:{tmp_path / 'empty.db'}"
    assert call("backorders", "--journal", url).out == "nothing is on backorder\n"
    assert "no sink has ever run" in call("sinks", "list", "--journal", url).out


def test_text_of_an_upstream_cannot_steer_the_terminal(call: Call, tmp_path: Path) -> None:
    async def make() -> None:
        async with SqliteJournal(tmp_path / "hostile.db") as opened:
            line = Line(number="1", item="\x1b[2J", description="a\x1b]0;owned\x07\nb")
            await opened.append([entry(event(1, data=data(1, line=line)))])

    asyncio.run(make())
    url = f"sqlite:{tmp_path / 'hostile.db'}"
    for command in ("backorders", "events"):
        shown = call(command, "--journal", url).out
        assert "\x1b" not in shown
        assert "\x07" not in shown


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0s"), (774.1, "12m 54s"), (3600, "1h 0m"), (90_000, "1d 1h"), (-3, "0s")],
)
def test_a_length_of_time_is_told_in_two_units(seconds: float, said: str) -> None:
    assert table.span(timedelta(seconds=seconds)) == said


def test_a_url_that_names_no_journal_is_wrong_use(call: Call) -> None:
    done = call("events", "--journal", "nope.db")
    assert done.status == 2
    assert "Invalid value for --journal: not a journal; write sqlite:PATH" in done.err


def test_sinks_list_tells_position_and_lag(call: Call, journal: str) -> None:
    cursors = {
        line["sink"]: line
        for line in objects(call("sinks", "list", "--journal", journal, "--json").out)
    }
    assert (cursors["archive"]["seq"], cursors["archive"]["parked"]) == (3, 1)
    assert (cursors["warehouse"]["seq"], cursors["warehouse"]["pending"]) == (0, 3)
    shown = call("sinks", "list", "--journal", journal).out.splitlines()
    assert shown[0] == "journal: events 1 to 3"
    assert shown[2].split() == ["archive", "3", "0", "0s", "1", "-", "-"]


@pytest.mark.parametrize("command", [["events"], ["backorders"], ["sinks", "list"]])
def test_a_journal_that_is_none_is_told_in_a_line(
    call: Call, tmp_path: Path, command: list[str]
) -> None:
    done = call(*command, "--journal", f"sqlite:{tmp_path / 'nothing.db'}")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("error: ")
    assert "nothing.db" in done.err
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE t (x)")
    other.close()
    done = call(*command, "--journal", f"sqlite:{tmp_path / 'other.db'}")
    assert done.status == 1
    assert "Traceback" not in done.err
