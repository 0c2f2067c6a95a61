import base64
import json
import re
import socket
import tomllib
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from consumer.journal.sqlite import SqliteJournal
from consumer.testing.builders import entry, event
from program import Call

EXAMPLE = Path(__file__).parents[2] / "deploy" / "consumer.example.toml"

GOOD = """
[journal]
url = "sqlite:{directory}/journal.db"
[[sinks]]
type = "file"
name = "archive"
path = "{directory}/events.jsonl"
"""


@pytest.fixture
def good(tmp_path: Path) -> Path:
    file = tmp_path / "consumer.toml"
    file.write_text(GOOD.format(directory=tmp_path))
    return file


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port that refuses connections for as long as the test runs: bound, never listening."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def parts(out: str) -> dict[str, str]:
    """`ok` or `FAIL` of each part in the output."""
    lines = [line.split() for line in out.splitlines()]
    return {words[1]: words[0] for words in lines if words[0] in {"ok", "FAIL"}}


def test_every_mistake_is_a_line_with_file_line_key_and_reason(program: Call) -> None:
    text = b"""[journal]
retension = "30"
[[sinks]]
type = "file"
name = "f"
[[sinks]]
type = "fil"
"""
    done = program("check", "-c", "/dev/stdin", stdin=text)
    assert done.status == 2
    assert done.out == ""
    mistakes = done.err.splitlines()
    assert [mistake.rpartition(": ")[0] for mistake in mistakes] == [
        "/dev/stdin: line 2: journal.retension",
        "/dev/stdin: line 3: sinks[0].path",
        "/dev/stdin: line 7: sinks[1].type",
    ]
    assert mistakes[0].endswith(": unknown key; did you mean `retention`?")
    assert "did you mean `file`?" in mistakes[2]


def test_no_file_at_all_tells_how_to_get_one(program: Call) -> None:
    done = program("check", BACKORDER_CONFIG="")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("consumer.toml: file: there is no such file;")
    assert "check --help" in done.err


def test_the_example_in_the_help_is_complete(program: Call, tmp_path: Path) -> None:
    helped = program("check", "--help").out
    _, _, example = helped.partition("start from:\n")
    toml, _, _ = example.partition("\n\n")
    (tmp_path / "consumer.toml").write_text(toml)
    done = program("check", RADIAL_PASSWORD="made-up")
    assert (done.status, done.err) == (0, "")
    assert "made-up" not in done.out


def test_the_file_is_found_through_the_environment(
    program: Call, good: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere.toml"
    good.rename(elsewhere)
    done = program("check", BACKORDER_CONFIG=str(elsewhere))
    assert done.status == 0
    assert done.out.startswith(f"{elsewhere}: good\n")


def test_a_good_file_is_summed_up(call: Call, good: Path, tmp_path: Path) -> None:
    assert call("check", "-c", good) == (
        0,
        (
            f"{good}: good\n"
            f"  journal   sqlite:{tmp_path}/journal.db\n"
            "  webhooks  127.0.0.1:8080, auth none\n"
            "  admin     127.0.0.1:8081\n"
            "  schemas   shipped, tolerant\n"
            "  sources   none\n"
            "  sinks     archive (file)\n"
        ),
        "",
    )


def test_a_broken_plug_in_is_a_warning_unless_it_is_used(
    call: Call, good: Path, broken_plugin: str
) -> None:
    done = call("check", "-c", good)
    assert done.status == 0
    assert done.err.startswith(f"warning: not used here: `{broken_plugin}` of acme")
    good.write_text(f'[[sinks]]\ntype = "{broken_plugin}"\nname = "w"\n')
    used = call("check", "-c", good)
    assert (used.status, used.out) == (2, "")
    assert used.err.startswith(f"{good}: line 2: sinks[0].type: `{broken_plugin}` of acme")


def test_connect_finds_what_is_there_and_leaves_no_trace(
    call: Call, good: Path, tmp_path: Path
) -> None:
    done = call("check", "--connect", "-c", good)
    assert parts(done.out) == {"journal": "ok", "schemas": "ok", "sinks.archive": "ok"}
    assert (done.status, done.err) == (0, "")
    assert f"{tmp_path}/journal.db: will be created on the first run" in done.out
    assert list(tmp_path.iterdir()) == [good]


def test_connect_names_everything_that_does_not_answer(
    call: Call, good: Path, nobody: int, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    good.write_text(
        f"""
        [journal]
        url = "sqlite:{tmp_path}/file/journal.db"
        [schemas]
        directory = "{tmp_path}"
        [webhooks.tls]
        certificate = "{tmp_path}/absent.pem"
        key = "{tmp_path}/absent.pem"
        [[sources]]
        type = "radial-amqp"
        name = "queue"
        urls = ["amqp://me:hunter2@127.0.0.1:{nobody}/"]
        store_codes = ["TMS_US"]
        [[sinks]]
        type = "amqp"
        name = "downstream"
        url = "amqp://me:hunter2@127.0.0.1:{nobody}/"
        exchange = "x"
        [[sinks]]
        type = "stdout"
        name = "stdout"
        """
    )
    done = call("check", "--connect", "-c", good)
    assert parts(done.out) == {
        "journal": "FAIL",
        "schemas": "FAIL",
        "webhooks.tls": "FAIL",
        "sources.queue": "FAIL",
        "sinks.downstream": "FAIL",
        "sinks.stdout": "ok",
    }
    assert (done.status, done.err) == (1, "")
    assert f"127.0.0.1:{nobody}" in done.out
    assert "hunter2" not in done.out


async def test_connect_reads_a_journal_that_is_there(tmp_path: Path, program: Call) -> None:
    async with SqliteJournal(tmp_path / "journal.db") as journal:
        await journal.append([entry(event(1), event(2))])
    (tmp_path / "consumer.toml").write_text('[journal]\nurl = "sqlite:journal.db"\n')
    done = program("check", "--connect")
    assert done.status == 0
    assert "ok    journal  journal.db: events 1 to 2" in done.out.splitlines()


def test_connect_tells_of_a_journal_that_is_none(call: Call, good: Path, tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"no database at all" * 100)
    done = call("check", "--connect", "-c", good)
    assert done.status == 1
    assert parts(done.out)["journal"] == "FAIL"


def test_the_example_that_is_shipped_is_good(program: Call) -> None:
    secret = f"whsec_{base64.b64encode(bytes(24)).decode()}"
    names = re.findall(r"\$\{(\w+)", EXAMPLE.read_text())
    done = program("check", "-c", EXAMPLE, **dict.fromkeys(names, secret))
    assert (done.status, done.err) == (0, "")
    assert secret not in done.out


def test_the_example_that_is_shipped_pleases_an_editor(call: Call) -> None:
    schema = json.loads(call("schema", "config").out)
    jsonschema.validate(tomllib.loads(EXAMPLE.read_text()), schema)
