"""What upstreams write cannot forge a line of the log, nor steer the terminal that shows it."""

import asyncio
import json
import string
from collections.abc import Callable
from pathlib import Path

import pytest
import structlog

from consumer.__main__ import main
from consumer.errors import Unavailable
from consumer.event import Data, Line, Order, Quantity
from consumer.journal.sqlite import SqliteJournal
from consumer.model import Problem, Refusal
from consumer.settings import LogSettings
from consumer.sinks.stdout import harmless, pretty
from consumer.telemetry import Log, configure_log
from consumer.testing.builders import entry, event, message, record

# Another line of the log, the terminal's title, the screen cleared, C1 controls, a line for
# JavaScript and for some viewers, text that runs backwards, characters that nobody sees.
HOSTILE = (
    'x\r\n{"event": "forged"}\n2026-01-01T00:00:00Z [info] forged\x1b]0;title\x07\x1b[2J\x9b31m\x9d'
    "\x85\u2028\u2029\u202etxt.exe\u2066\u200b\u200f\u061c\ufeff\x7f\x00\x08"
)
# What a terminal obeys: XML has no way to say some of it.
IN_XML = "x\x9b31m\x9d\x85\u2028\u2029\u202e\u2066\u200b\u200f\u061c\ufeff\x7f&#10;&#13;forged"
RADIAL = Path(__file__).parent.parent / "data" / "radial" / "OrderBackorder-Backorder.xml"


def lines_of(text: str) -> list[str]:
    """The lines, none of which holds anything that cannot be seen."""
    assert set(text) - {"\n"} == {char for char in text if char.isprintable()}
    return text.split("\n")[:-1]


# --- the log ---------------------------------------------------------------------------------

EVENTS: dict[str, Callable[[Log, str], None]] = {
    "schema.drift": lambda log, text: log.drift(source=text, name=text),
    "part.down": lambda log, text: log.part_down(text, text),
    "poll.broken": lambda log, text: log.poll_broken(source="s", scope=text, reason=text),
    "event.parked": lambda log, text: log.parked(sink="s", seq=1, reason=text),
    "subscription.ends": lambda log, text: log.subscription_ends(
        source="s", organisation=text, date=text
    ),
    "message.quarantined": lambda log, text: log.quarantined(
        source="s", origin=text, ids=[text], problems=1
    ),
    "daemon.started": lambda log, text: log.started(
        version="1", sources=[text], sinks=[text], xml_reader="python"
    ),
    "poll.done": lambda log, text: log.poll_done(source="s", scope=text, opened=1),
}


@pytest.mark.parametrize("text", [HOSTILE, *"\x1b\x9b\x85\u2028\u202e\n\0"])
def test_a_line_of_the_log_is_one_event(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The console format, and JSON, which shows all of it all the same."""
    configure_log(LogSettings(format="json"))
    for say in EVENTS.values():
        say(Log(), text)
    written = lines_of(capsys.readouterr().err)
    assert [json.loads(line)["event"] for line in written] == list(EVENTS)
    assert json.loads(written[0])["name"] == text
    structlog.reset_defaults()
    configure_log(LogSettings(format="console"))
    for say in EVENTS.values():
        say(Log(), text)
    written = lines_of(capsys.readouterr().err)
    assert [line.split("]")[1].split()[0] for line in written] == list(EVENTS)


# --- commands --------------------------------------------------------------------------------


@pytest.fixture
def journal(tmp_path: Path) -> str:
    """A journal in which every text is hostile."""
    hostile = Data(
        order=Order(number=HOSTILE, account=HOSTILE),
        line=Line(number="1", item=HOSTILE, description=HOSTILE),
        quantity=Quantity(backordered="1"),
        reason=HOSTILE,
        extra={HOSTILE: HOSTILE},
    )
    refusal = Refusal(body=HOSTILE.encode(), problems=(Problem(reason=HOSTILE, path=HOSTILE),))
    arrived = message(
        origin=HOSTILE, source="radial-queue", attributes={HOSTILE: HOSTILE, "user-agent": HOSTILE}
    )

    async def fill() -> None:
        async with SqliteJournal(tmp_path / "journal.db") as opened:
            await opened.enroll({"archive": True})
            told = event(1, subject=HOSTILE, source=f"/radial/{HOSTILE}", data=hostile)
            await opened.append([entry(told, refusals=[refusal], message=arrived)])
            await opened.advance("archive", 1, {1: HOSTILE})

    asyncio.run(fill())
    return f"sqlite:{tmp_path / 'journal.db'}"


COMMANDS = (
    "events",
    "events --json",
    "backorders",
    "backorders --json",
    "sinks list",
    "sinks list --json",
    "quarantine list",
    "quarantine list --json",
    "quarantine show {id}",
    "parked list",
    "parked list --json",
    "parked show archive 1",
)


def test_no_command_steers_a_terminal(journal: str, capfd: pytest.CaptureFixture[str]) -> None:
    refused = Refusal(body=HOSTILE.encode(), problems=()).id
    for command in COMMANDS:
        arguments = [*command.format(id=refused).split(), "--journal", journal]
        status = main(arguments)
        done = capfd.readouterr()
        assert status == 0, done.err
        shown = lines_of(done.out)
        assert shown, command
        assert not any(line.startswith(('{"event": "forged', "2026-01-01")) for line in shown)
        assert lines_of(done.err) == []
        if "--json" in command:
            assert all(json.loads(line) for line in shown)


def test_json_says_the_same_though_it_steers_nothing() -> None:
    everything = json.dumps({HOSTILE: HOSTILE + string.printable}, ensure_ascii=False).encode()
    shown = harmless(everything)
    assert json.loads(shown) == json.loads(everything)
    assert shown.decode().isprintable()
    plain = record(1).body
    assert harmless(plain) == plain


def test_a_line_for_people_is_one_line() -> None:
    assert pretty(record(1, event(1, subject=HOSTILE))).isprintable()


def test_files_do_not_steer_a_terminal_either(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sample = RADIAL.read_text(encoding="utf-8")
    assert "001198000610" in sample
    good = tmp_path / "\x1b[31mgood\n.xml"
    good.write_text(sample.replace("001198000610", IN_XML), encoding="utf-8")
    bad = tmp_path / "bad.xml"
    bad.write_text(sample.replace("USD", IN_XML), encoding="utf-8")
    strange = tmp_path / "strange.xml"
    strange.write_text("<x\u3000\ufeff>" + IN_XML, encoding="utf-8")
    for command in ("validate", "validate --json", "normalize --source radial"):
        main([*command.split(), str(good), str(bad), str(strange)])
        done = capfd.readouterr()
        assert lines_of(done.out)
        assert not any(line.startswith("forged") for line in lines_of(done.out + done.err))


def test_an_error_that_quotes_an_upstream_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise Unavailable(f"no organisation of this name: {HOSTILE}")

    monkeypatch.setattr("consumer.cli.cli.main", fails)
    assert main(["events"]) == 1
    (line,) = lines_of(capfd.readouterr().err)
    assert line.startswith("error: no organisation of this name: x??{")


def test_a_bug_shows_its_places_and_none_of_its_words(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    person, street = "Jane Doe", "1 Main Street"

    def stumbles() -> None:
        raise KeyError(person)

    def fails(*_: object, **__: object) -> None:
        try:
            stumbles()
        except KeyError as error:
            raise RuntimeError(street) from error

    monkeypatch.setattr("consumer.cli.cli.main", fails)
    assert main(["events"]) == 1
    said = capfd.readouterr().err
    assert "Jane" not in said
    assert "Main Street" not in said
    assert said.index("KeyError\n") < said.index("RuntimeError\n")
    assert "test_injection.py" in said
