import asyncio
import base64
import json
import re
import socket
import tomllib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import jsonschema
import pytest

from consumer.admin import Admin, Readiness
from consumer.journal.sqlite import SqliteJournal
from consumer.settings import AdminSettings
from consumer.simulators.cinx import CinxServer
from consumer.simulators.cinx_world import CinxWorld
from consumer.simulators.mvet import MvetServer
from consumer.simulators.mvet_world import MvetWorld
from consumer.testing.builders import entry, event
from consumer.testing.journal import MemoryJournal
from program import Call, Done

EXAMPLE = Path(__file__).parents[2] / "deploy" / "consumer.example.toml"

GOOD = """
[journal]
url = "sqlite:{directory}/journal.db"
[admin]
listen = "127.0.0.1:0"
[webhooks]
listen = "127.0.0.1:0"
[[sources]]
type = "radial-webhook"
name = "webhook"
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


def test_what_a_source_or_sink_says_about_a_key_is_told_at_that_key(call: Call, good: Path) -> None:
    good.write_text(
        """[[sources]]
type = "radial-amqp"
name = "q"
store_codes = ["TMS_US"]
urls = ["http://me:hunter2@h/"]
[[sinks]]
type = "http"
name = "h"
url = "https://h/"
secret = "hunter2"
[[sinks]]
type = "amqp"
name = "one"
exchange = "x"
url = "amqp://h:x/"
[[sinks]]
type = "amqp"
name = "two"
exchange = "x"
url = "amqp://h/"
routing_key = "{system.{type}"
"""
    )
    done = call("check", "-c", good)
    assert done.status == 2
    told = [line.removeprefix(f"{good}: ").split(": ", 2) for line in done.err.splitlines()]
    assert [(line, key) for line, key, _ in told] == [
        ("line 5", "sources[0].urls"),
        ("line 10", "sinks[0].secret"),
        ("line 15", "sinks[1].url"),
        ("line 21", "sinks[2].routing_key"),
    ]
    assert told[1][2].startswith("must be whsec_")
    assert told[3][2].startswith("its { and } do not pair up; placeholders are {system}, {type}")
    assert "hunter2" not in done.err


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
            "  webhooks  127.0.0.1:0, auth none\n"
            "  admin     127.0.0.1:0\n"
            "  schemas   shipped, tolerant\n"
            "  sources   webhook (radial-webhook)\n"
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
    assert parts(done.out) == dict.fromkeys(
        ["journal", "schemas", "admin", "webhooks", "sources.webhook", "sinks.archive"], "ok"
    )
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
        [admin]
        listen = "127.0.0.1:{nobody}"
        [webhooks.tls]
        certificate = "{tmp_path}/file"
        key = "{tmp_path}/file"
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
        "admin": "FAIL",
        "webhooks.tls": "FAIL",
        "sources.queue": "FAIL",
        "sinks.downstream": "FAIL",
        "sinks.stdout": "ok",
    }
    assert (done.status, done.err) == (1, "")
    assert f"127.0.0.1:{nobody}" in done.out
    assert "hunter2" not in done.out


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never says anything."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_connect_goes_on_to_the_next_url_as_a_run_does(
    call: Call, good: Path, silent: int, nobody: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first URL that never answers uses up none of the time that the second needs."""
    monkeypatch.setattr("consumer.cli.check._PATIENCE", 0.5)
    good.write_text(
        f"""
        [journal]
        url = "sqlite:{good.parent}/journal.db"
        [[sources]]
        type = "radial-amqp"
        name = "queue"
        urls = ["amqp://127.0.0.1:{silent}/", "amqp://127.0.0.1:{nobody}/"]
        connect_timeout = "700ms"
        store_codes = ["TMS_US"]
        """
    )
    done = call("check", "--connect", "-c", good)
    [said] = [line for line in done.out.splitlines() if "sources.queue" in line]
    assert f"127.0.0.1:{silent}: no answer in time" in said
    assert f"127.0.0.1:{nobody}: connection refused" in said


async def test_connect_reads_a_journal_that_is_there(tmp_path: Path, program: Call) -> None:
    async with SqliteJournal(tmp_path / "journal.db") as journal:
        await journal.append([entry(event(1), event(2))])
    (tmp_path / "consumer.toml").write_text(
        '[journal]\nurl = "sqlite:journal.db"\n[admin]\nlisten = "127.0.0.1:0"\n'
    )
    done = program("check", "--connect")
    assert done.status == 0
    assert "ok    journal  journal.db: events 1 to 2" in done.out.splitlines()


@pytest.mark.parametrize("path", ["/proc/nothing/journal.db", "/proc/journal.db"])
def test_connect_tells_that_a_journal_cannot_be_made(call: Call, good: Path, path: str) -> None:
    """Permissions alone would allow it to a privileged user."""
    good.write_text(f'[journal]\nurl = "sqlite:{path}"\n')
    done = call("check", "--connect", "-c", good)
    assert (done.status, parts(done.out)["journal"]) == (1, "FAIL")
    assert call("run", "-c", good).status == 1
    if path == "/proc/nothing/journal.db":
        assert "the directory /proc/nothing cannot be created: No such file" in done.out


def test_connect_tells_of_a_journal_that_is_none(call: Call, good: Path, tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"no database at all" * 100)
    done = call("check", "--connect", "-c", good)
    assert done.status == 1
    assert parts(done.out)["journal"] == "FAIL"


async def test_connect_tells_of_a_daemon_that_listens_already(good: Path, program: Call) -> None:
    async def nothing() -> bytes:
        return b""

    async def ready() -> Readiness:
        return Readiness(ready=True, parts={})

    listener = Admin(
        AdminSettings(listen="127.0.0.1:0"),
        readiness=ready,
        metrics=nothing,
        journal=MemoryJournal(),
        repairs=None,  # type: ignore[arg-type]  # nothing is repaired here
    )
    async with listener as here:
        text = good.read_text().replace("127.0.0.1:0", here.address, 1)
        good.write_text(text)
        done = await asyncio.to_thread(program, "check", "--connect", "-c", good)
    assert done.status == 0
    assert f"ok    admin  {here.address}: in use; a daemon answers" in done.out


def test_what_is_hardly_meant_is_a_warning(call: Call, good: Path) -> None:
    good.write_text("")
    done = call("check", "-c", good)
    assert done.status == 0
    assert done.err.splitlines() == [
        "warning: no [[sources]]: nothing would be received",
        "warning: no [[sinks]]: nothing would be delivered",
    ]


def test_a_variable_without_braces_is_a_warning(call: Call, good: Path) -> None:
    good.write_text(
        """
        [admin]
        token = "$TOKEN"
        [webhooks.auth]
        type = "token"
        token = "pa$$word$A1"
        [[sources]]
        type = "radial-amqp"
        name = "q"
        urls = ["amqp://me:$PASSWORD@127.0.0.1/"]
        store_codes = ["TMS_US"]
        [[sinks]]
        type = "stdout"
        name = "s"
        """
    )
    done = call("check", "-c", good)
    assert done.status == 0
    assert [line.split(": ")[:2] for line in done.err.splitlines()] == [
        ["warning", "admin.token"],
        ["warning", "sources[0].urls[0]"],
    ]
    assert "write ${NAME}" in done.err


def test_the_example_that_is_shipped_is_good(program: Call) -> None:
    secret = f"whsec_{base64.b64encode(bytes(24)).decode()}"
    names = re.findall(r"\$\{(\w+)", EXAMPLE.read_text())
    done = program("check", "-c", EXAMPLE, **dict.fromkeys(names, secret))
    assert (done.status, done.err) == (0, "")
    assert secret not in done.out


def test_the_example_that_is_shipped_pleases_an_editor(call: Call) -> None:
    schema = json.loads(call("schema", "config").out)
    jsonschema.validate(tomllib.loads(EXAMPLE.read_text()), schema)


# --- polled upstreams: what is wrong shows as what it is -------------------------------------

POLLED = """
[journal]
url = "sqlite:{directory}/journal.db"
[admin]
listen = "127.0.0.1:0"
[[sources]]
name = "polled"
{source}
"""
MVET = 'type = "mvet"\nbase_url = "{url}"\n'
CINX = 'type = "cinx"\nbase_url = "{url}"\nusername = "me@example.com"\n'
LONG_AGO = "2024-02-29"
OVER = (
    "CINX's list: HTTP 401, it does not accept our credentials; Ours: the CINX subscription is not"
    f" active (it ended on {LONG_AGO}); renew it with CINX"
)


@pytest.fixture
def check_polled(call: Call, tmp_path: Path) -> Callable[[str], Awaitable[Done]]:
    async def checked(source: str) -> Done:
        file = tmp_path / "consumer.toml"
        file.write_text(POLLED.format(directory=tmp_path, source=source))
        return await asyncio.to_thread(call, "check", "--connect", "-c", file)

    return checked


def said(done: Done) -> tuple[str, str]:
    """`ok` or `FAIL` of the source, and what was said last."""
    *_, line = (line for line in done.out.splitlines() if "sources.polled" in line)
    state, _, rest = line.split(maxsplit=2)
    return state, rest


@pytest.mark.parametrize(
    ("path", "customer", "reason"),
    [
        ("/elsewhere", "0002789", "HTTP 404, it knows no such thing; check the address"),
        ("", "0000002", "$[0].accountNumber: a line of another account than the one asked for"),
        ("", "0000003", "not JSON (byte 4)"),
    ],
)
async def test_connect_tells_what_is_wrong_with_a_customer(
    path: str, customer: str, reason: str, check_polled: Callable[[str], Awaitable[Done]]
) -> None:
    async with MvetServer(MvetWorld(1, ("0002789",))) as server:
        if customer == "0000002":
            rows = [dict(row) for row in server.world.lines("0002789")]
            server.verbatim["list"] = json.dumps(rows).encode()
        if customer == "0000003":
            server.verbatim["list"] = b"no such customer"
        source = MVET.format(url=server.url + path) + f'customers = ["{customer}"]'
        done = await check_polled(source)
    state, told = said(done)
    assert (done.status, state) == (1, "FAIL")
    assert told.startswith(f"the inquiry for customer {customer}: {reason}")


async def test_connect_tells_of_a_customer_who_waits_for_nothing(
    check_polled: Callable[[str], Awaitable[Done]],
) -> None:
    async with MvetServer(MvetWorld(1, ("0002789",), lines=3)) as server:
        done = await check_polled(MVET.format(url=server.url) + 'customers = ["0002789"]')
        assert (done.status, said(done)) == (0, ("ok", "customer 0002789: 3 lines on backorder"))
        done = await check_polled(MVET.format(url=server.url) + 'customers = ["0002780"]')
    assert done.status == 0
    assert "nothing on backorder (a customer number that MVET does not know" in said(done)[1]


@pytest.mark.parametrize(
    ("keys", "ends", "reason"),
    [
        ('password = "secret"\napi_token = "t0ken-of-ours"', "", ""),
        ('password = "secret"', "", ""),
        (
            'password = "secret"\napi_token = "expired-token"',
            "",
            "CINX's list: HTTP 401, it does not accept our credentials; api_token is of no",
        ),
        (
            'password = "wr0ng"\napi_token = "t0ken-of-ours"',
            "",
            "CINX's list: HTTP 401, it does not accept our credentials; check username, password",
        ),
        (
            'password = "secret"\napi_token = "t0ken-of-ours"',
            LONG_AGO,
            OVER,
        ),
        (
            'password = "secret"',
            LONG_AGO,
            "there is no organisation to poll; Ours: the CINX subscription is not active",
        ),
    ],
)
async def test_connect_tells_what_is_wrong_with_cinx(
    keys: str, ends: str, reason: str, check_polled: Callable[[str], Awaitable[Done]]
) -> None:
    world = CinxWorld(1, {"Ours": "t0ken-of-ours"}, lines=2)
    async with CinxServer(world, ends={"Ours": ends} if ends else {}) as server:
        done = await check_polled(CINX.format(url=server.url) + keys)
    state, told = said(done)
    assert (done.status, state) == ((1, "FAIL") if reason else (0, "ok"))
    assert told.startswith(reason)
    assert "t0ken-of-ours" not in done.out + done.err
    assert "wr0ng" not in done.out + done.err


async def test_an_organisation_cannot_steer_a_terminal(
    check_polled: Callable[[str], Awaitable[Done]],
) -> None:
    world = CinxWorld(1, {"Ours\x1b[2J": "t0ken-of-ours"}, lines=2)
    async with CinxServer(world) as server:
        done = await check_polled(CINX.format(url=server.url) + 'password = "secret"')
    assert "Ours?[2J: 2 lines on backorder" in done.out
    assert all(line.isprintable() for line in done.out.splitlines())


@pytest.mark.parametrize(
    "source",
    [
        MVET + 'customers = ["0002789", "0000001"]',
        CINX + 'password = "wr0ng"\napi_token = "t0ken-of-ours"',
        CINX + 'password = "wr0ng"',
    ],
)
async def test_connect_tells_that_nobody_listens(
    source: str, nobody: int, check_polled: Callable[[str], Awaitable[Done]]
) -> None:
    done = await check_polled(source.format(url=f"http://127.0.0.1:{nobody}"))
    state, told = said(done)
    assert (done.status, state) == (1, "FAIL")
    assert ": Connection refused" in told
    assert "t0ken-of-ours" not in done.out + done.err
    assert "wr0ng" not in done.out + done.err
