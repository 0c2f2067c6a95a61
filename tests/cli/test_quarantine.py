"""`quarantine`: at rest, beside a daemon, at a terminal."""

import asyncio
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from consumer.__main__ import main
from consumer.cli.payload_ids import Wanted
from consumer.cli.retrial import retry_all
from consumer.journal.sqlite import SqliteJournal
from consumer.model import Problem, Refusal
from consumer.repair import Repairs, Retried
from consumer.testing.builders import entry, message, refusal
from daemon_process import DaemonProcess, running
from program import RADIAL, Call
from radial_messages import DOCUMENTED, OF_2016, changed, listed
from waiting import until

GOOD = (RADIAL / "OrderBackorder-Backorder.xml").read_bytes()
BAD = b"<Nonsense email='jane.doe@example.com'\x00\xff"
ROW = b'{"orderNumber": 1}'

HOSTILE = Refusal(body=BAD, problems=(Problem(reason="no \x1b[2J"), Problem(reason="nor this")))
IDS = {name: refusal(body).id for name, body in {"good": GOOD, "bad": BAD, "row": ROW}.items()}


async def _fill(path: Path) -> None:
    async with SqliteJournal(path) as journal:
        await journal.append([entry(refusals=[refusal(GOOD, "unknown element")])])
        await journal.append([entry(refusals=[HOSTILE]), entry(refusals=[HOSTILE])])
        polled = message(source="mvet", system="mvet", attributes={"page": "3"})
        await journal.append([entry(refusals=[refusal(ROW)], message=polled)])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The configuration of a journal with three payloads: a good one, a bad one, a polled one."""
    file = tmp_path / "consumer.toml"
    file.write_text(f'[journal]\nurl = "sqlite:{tmp_path}/journal.db"\n')
    asyncio.run(_fill(tmp_path / "journal.db"))
    return file


@pytest.fixture
def journal(config: Path) -> str:
    return f"sqlite:{config.parent}/journal.db"


def held(call: Call, config: Path) -> set[str]:
    """The names of the payloads that are in quarantine."""
    listed = call("quarantine", "list", "-c", config, "--json").out.splitlines()
    ids = {json.loads(line)["id"] for line in listed}
    return {name for name, id_ in IDS.items() if id_ in ids}


# --- looking ---------------------------------------------------------------------------------


def test_list_shows_the_first_problem_of_each(call: Call, journal: str) -> None:
    done = call("quarantine", "list", "--journal", journal)
    assert done.status == 0
    title, good, bad, row = done.out.splitlines()
    assert title.split() == ["ID", "SOURCE", "FIRST", "SEEN", "TIMES", "SIZE", "PROBLEM"]
    assert re.match(rf"{IDS['good']}  radial-queue  20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ ", good)
    assert good.endswith(f"1  {len(GOOD)}  1: unknown element")
    assert bad.endswith("no ?[2J (and 1 more)")
    assert bad.split()[3] == "2"
    assert row.split()[1] == "mvet"
    assert "jane.doe" not in done.out


def test_list_as_json_holds_everything_but_the_payload(call: Call, journal: str) -> None:
    done = call("quarantine", "list", "--journal", journal, "--source", "mvet", "--json")
    [payload] = map(json.loads, done.out.splitlines())
    assert payload["id"] == IDS["row"]
    assert payload["size"] == len(ROW)
    assert payload["attributes"] == {"page": "3"}
    assert "body" not in payload


def test_list_goes_through_more_than_a_page(call: Call, config: Path) -> None:
    async def fill() -> None:
        async with SqliteJournal(config.parent / "journal.db") as opened:
            await opened.append([entry(refusals=[refusal(b"%d" % n) for n in range(600)])])

    asyncio.run(fill())
    listed = call("quarantine", "list", "-c", config, "--json").out.splitlines()
    assert len({json.loads(line)["id"] for line in listed}) == 603


def test_list_of_a_source_that_does_not_exist(call: Call, config: Path) -> None:
    done = call("quarantine", "list", "-c", config, "--source", "mvett")
    assert (done.status, done.out) == (1, "")
    assert "no source of this name: mvett" in done.err


def test_show_tells_every_reason_and_no_payload(call: Call, journal: str) -> None:
    done = call("quarantine", "show", IDS["bad"][:6], "--journal", journal)
    lines = dict(line.split(maxsplit=1) for line in done.out.splitlines())
    assert lines["id"] == IDS["bad"]
    assert lines["times"] == "2"
    assert lines["problem"] == "nor this"
    assert "problem     no ?[2J" in done.out
    assert "jane.doe" not in done.out
    as_json = json.loads(call("quarantine", "show", IDS["bad"], "--journal", journal, "--json").out)
    assert as_json["problems"][1]["reason"] == "nor this"


def test_show_raw_is_the_payload_byte_for_byte(
    journal: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["quarantine", "show", IDS["bad"], "--raw", "--journal", journal]) == 0
    assert capfdbinary.readouterr().out == BAD


def test_an_id_must_name_one_payload(call: Call, config: Path) -> None:
    async def fill() -> str:
        async with SqliteJournal(config.parent / "journal.db") as opened:
            many = [refusal(b"%d" % n) for n in range(100)]
            await opened.append([entry(refusals=many)])
            return many[0].id[:1]

    prefix = asyncio.run(fill())
    for command in (["show"], ["retry"], ["discard", "--yes"]):
        done = call("quarantine", command[0], prefix, *command[1:], "-c", config)
        assert (done.status, done.out) == (1, "")
        assert f"the ids of several payloads begin with {prefix}: {prefix}" in done.err
    assert call("quarantine", "show", "", "-c", config).status == 2
    assert "not in quarantine: zz" in call("quarantine", "show", "zz", "-c", config).err
    lost = call("quarantine", "discard", *(f"z{n}" for n in range(7)), "-c", config)
    assert lost.status == 1
    assert "not in quarantine: z0, z1, z2, z3, z4 and 2 more. " in lost.err


# --- another try -----------------------------------------------------------------------------


def test_retry_all_makes_events_of_what_is_understood_now(call: Call, config: Path) -> None:
    done = call("quarantine", "retry", "--all", "-c", config)
    assert done.status == 1  # for the bad one
    good, bad, summary = done.out.splitlines()
    assert good == f"{IDS['good']}  accepted: 1 new event"
    assert bad.startswith(f"{IDS['bad']}  refused again: ")
    assert summary == (
        "1 accepted (1 new event), 1 refused again, 1 not tried, from polled upstreams"
    )
    assert done.err == ""
    assert held(call, config) == {"bad", "row"}
    events = call("events", "-c", config, "--json").out.splitlines()
    assert [json.loads(line)["event"]["type"] for line in events] == ["backorder.opened"]
    assert call("quarantine", "retry", "--all", "-c", config).status == 1
    assert len(call("events", "-c", config, "--json").out.splitlines()) == 1


def test_what_stays_of_a_divided_list_is_named(call: Call, config: Path) -> None:
    halved = listed(OF_2016, changed(DOCUMENTED, 'quantity="1"', 'quantity="x"'))

    async def fill() -> None:
        async with SqliteJournal(config.parent / "journal.db") as opened:
            await opened.append([entry(refusals=[refusal(halved)])])

    asyncio.run(fill())
    done = call("quarantine", "retry", refusal(halved).id, "-c", config)
    assert done.status == 1
    told = re.fullmatch(
        rf"{refusal(halved).id}  divided: 3 new events of it accepted;"
        r" still refused: ([0-9a-f]{16}) \(.*\)\n",
        done.out,
    )
    assert told, done.out
    assert call("quarantine", "show", told[1], "-c", config).status == 0
    assert "1 refused again" in call("quarantine", "retry", told[1], IDS["good"], "-c", config).out


def test_retry_by_id_tells_each(call: Call, config: Path) -> None:
    done = call("quarantine", "retry", IDS["good"][:8], IDS["row"], "feed", "-c", config)
    assert done.status == 1
    assert done.out.splitlines()[:3] == [
        f"{IDS['good']}  accepted: 1 new event",
        f"{IDS['row']}  not tried: its upstream is polled, and tells at each poll what is true",
        "feed  not in quarantine",
    ]


def test_retry_of_what_is_understood_is_success(call: Call, config: Path) -> None:
    done = call("quarantine", "retry", IDS["good"], "-c", config)
    assert (done.status, done.err) == (0, "")
    assert done.out == f"{IDS['good']}  accepted: 1 new event\n"


def test_retry_of_an_empty_quarantine(call: Call, config: Path) -> None:
    assert call("quarantine", "discard", *IDS.values(), "-c", config).status == 0
    done = call("quarantine", "retry", "--all", "-c", config)
    assert (done.status, done.out) == (0, "nothing is in quarantine\n")
    assert call("quarantine", "list", "-c", config).out == "nothing is in quarantine\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "name the payloads to try again, or say --all"),
        (["aa", "--all"], "name the payloads to try again, or say --all"),
    ],
)
def test_retry_wants_ids_or_all(
    call: Call, config: Path, arguments: Sequence[str], told: str
) -> None:
    done = call("quarantine", "retry", *arguments, "-c", config)
    assert done.status == 2
    assert told in done.err


def test_retry_wants_the_configuration(call: Call, journal: str) -> None:
    done = call("quarantine", "retry", "--all", "--journal", journal)
    assert done.status == 2
    assert "name it with -c FILE" in " ".join(done.err.split())


async def test_a_retry_goes_in_small_steps(capfd: pytest.CaptureFixture[str]) -> None:
    class Recorder:
        def __init__(self) -> None:
            self.steps: list[list[str]] = []

        async def retry_quarantined(self, ids: Sequence[str]) -> Sequence[Retried]:
            self.steps.append(list(ids))
            return [Retried(id=id_, result="accepted", events=1) for id_ in ids]

    recorder = Recorder()
    small = [Wanted(f"s{n}", 100) for n in range(101)]
    large = [Wanted(f"l{n}", 10 << 20) for n in range(3)]
    done = await retry_all(cast(Repairs, recorder), [*small, *large], quiet=True)
    assert [len(step) for step in recorder.steps] == [50, 50, 2, 1, 1]
    assert [each.id for each in done] == [each.id for each in [*small, *large]]
    assert len(capfd.readouterr().out.splitlines()) == 104


# --- the end ---------------------------------------------------------------------------------


def test_discard_removes_all_or_nothing(call: Call, journal: str, config: Path) -> None:
    refused = call("quarantine", "discard", IDS["good"], "feed", "--journal", journal)
    assert (refused.status, refused.out) == (1, "")
    assert "not in quarantine: feed" in refused.err
    assert held(call, config) == {"good", "bad", "row"}
    done = call("quarantine", "discard", IDS["good"], IDS["bad"][:8], "--journal", journal)
    assert (done.status, done.out, done.err) == (0, "2 payloads discarded\n", "")
    assert held(call, config) == {"row"}


def test_at_a_terminal_discard_asks_first(call: Call, at_terminal: Call, config: Path) -> None:
    for typed, status, left in (("n\n", 1, 3), ("y\n", 0, 2)):
        done = at_terminal("quarantine", "discard", IDS["row"], "-c", config, typed=typed)
        assert done.status == status
        assert "Remove 1 payload for good? [y/N]" in done.err
        assert len(held(call, config)) == left


def test_discard_need_not_ask(call: Call, at_terminal: Call, config: Path) -> None:
    done = at_terminal("quarantine", "discard", IDS["row"], "-c", config, "--yes")
    assert (done.status, done.err) == (0, "")
    assert held(call, config) == {"good", "bad"}


def test_progress_is_seen_at_a_terminal_only(call: Call, at_terminal: Call, config: Path) -> None:
    seen = at_terminal("quarantine", "retry", "--all", "-c", config)
    assert seen.status == 1
    assert "Trying again" in seen.err
    assert "3/3" in seen.err
    assert seen.out.startswith(f"{IDS['good']}  accepted")
    piped = call("quarantine", "retry", "--all", "-c", config)
    assert (piped.status, piped.err) == (1, "")


# --- beside a daemon -------------------------------------------------------------------------


async def test_beside_a_daemon_it_is_the_daemon_that_repairs(call: Call, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.touch()
    sink = f'[[sinks]]\ntype = "file"\nname = "archive"\npath = "{out}"\n'
    daemon = DaemonProcess(tmp_path, sink)
    await _fill(daemon.journal)

    async def ask(*arguments: str) -> Any:
        return await asyncio.to_thread(call, "quarantine", *arguments, "-c", daemon.config)

    async with running(daemon):
        listed = await ask("list")
        assert listed.status == 0
        assert IDS["good"] in listed.out
        lost = await asyncio.to_thread(
            call, "quarantine", "discard", IDS["bad"], "--journal", f"sqlite:{daemon.journal}"
        )
        assert lost.status == 1
        assert "has it open" in lost.err
        assert "-c FILE" in lost.err
        retried = await ask("retry", "--all")
        assert retried.out.splitlines()[0] == f"{IDS['good']}  accepted: 1 new event"
        assert retried.status == 1
        assert "restart it after a change" in retried.err  # at rest nothing of that is said: above
        await until(lambda: out.read_bytes().endswith(b"\n"), what="the event in the file")
        discarded = await ask("discard", IDS["bad"][:6])
        assert discarded.out == "1 payload discarded\n"
        assert IDS["row"] in (await ask("list")).out
    delivered = json.loads(out.read_text())
    assert delivered["type"] == "backorder.opened"
    assert "replay" not in delivered
