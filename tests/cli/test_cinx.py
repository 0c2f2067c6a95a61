"""`cinx template`: as a table for people and as JSON, and which source is meant."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
import pytest_asyncio

from cinx_bench import ACME, PASSWORD, TOKEN, USER, server, world
from consumer.simulators.cinx import CinxServer
from program import Call

SOURCE = """
[[sources]]
type = "cinx"
name = "{name}"
base_url = "{url}"
username = "{user}"
password = '{password}'
attempts = 1
{more}
"""


@pytest_asyncio.fixture
async def upstream() -> AsyncIterator[CinxServer]:
    async with server(world(1, tokens={ACME: TOKEN, "Beta": "token-of-beta"})) as at:
        yield at


def configured(directory: Path, at: CinxServer, **sources: str) -> Path:
    file = directory / "consumer.toml"
    text = "".join(
        SOURCE.format(name=name, url=at.url, user=USER, password=PASSWORD, more=more)
        for name, more in sources.items()
    )
    file.write_text(text)
    return file


async def test_the_template_as_a_table(call: Call, tmp_path: Path, upstream: CinxServer) -> None:
    file = configured(tmp_path, upstream, cinx=f"api_token = '{TOKEN}'")
    done = await asyncio.to_thread(call, "cinx", "template", "-c", file)
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0].split() == ["FIELD", "REQUIRED", "EXAMPLE", "OPTIONS"]
    fields = {line.split()[0]: line for line in lines[1:] if line and not line.startswith(" ")}
    assert fields["cinx_guid"].split()[1:] == ["PUT", "-", "-"]
    assert "PUT" in fields["dates.expected_delivery"]
    assert "JOB SITE, FABRICATION SHOP" in fields["delivery.location_type"]
    assert "attibutes.type" in fields
    assert lines.index("doc_info") < lines.index("api_calls")
    assert "  description: Modify a back-order" in lines
    assert TOKEN not in done.out
    assert quote(TOKEN, safe="") not in done.out
    assert f"  url: {upstream.url}/2.0/sub/…/back-orders" in lines


async def test_the_template_as_json(call: Call, tmp_path: Path, upstream: CinxServer) -> None:
    file = configured(tmp_path, upstream, cinx=f"api_token = '{TOKEN}'\nformat = \"xml\"")
    done = await asyncio.to_thread(call, "cinx", "template", "--json", "-c", file)
    assert (done.status, done.err) == (0, "")
    found = json.loads(done.out)
    assert found["doc_info"]["type"] == "BACK-ORDER"
    assert "…" in json.dumps(found["api_calls"], ensure_ascii=False)
    assert TOKEN not in done.out


async def test_a_template_cannot_steer_a_terminal(
    call: Call, tmp_path: Path, upstream: CinxServer
) -> None:
    evil = {"template": {"a\x1b[2J": "\x1b[1m"}, "\x1b]0;owned\x07doc": {"k\x9b": "v\x1b"}}
    upstream.verbatim["template"] = json.dumps({"response": {}, "rows": [evil]}).encode()
    file = configured(tmp_path, upstream, cinx=f"api_token = '{TOKEN}'")
    done = await asyncio.to_thread(call, "cinx", "template", "-c", file)
    assert (done.status, done.err) == (0, "")
    assert "\n?]0;owned?doc\n  k?: v?\n" in done.out
    assert all(line.isprintable() for line in done.out.splitlines())


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--source", "one"], ""),
        (["--source", "all", "--organisation", "Beta"], ""),
        ([], "error: there are several sources of type cinx. Choose with --source: one, all"),
        (["--source", "two"], "error: no CINX source two. Choose with --source: one, all"),
        (["--source", "all"], f"error: choose one with --organisation: {ACME}, Beta"),
        (["--source", "all", "--organisation", "X"], "error: no organisation X here; there are"),
    ],
)
async def test_it_has_to_be_clear_whose_template(
    arguments: list[str], error: str, call: Call, tmp_path: Path, upstream: CinxServer
) -> None:
    file = configured(tmp_path, upstream, one="api_token = 'token-of-beta'", all="")
    done = await asyncio.to_thread(call, "cinx", "template", *arguments, "-c", file)
    assert done.status == bool(error)
    assert done.err.startswith(error)
    assert bool(done.out) == (not error)


def test_without_a_source_of_that_type(call: Call, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("")
    done = call("cinx", "template", "-c", tmp_path / "c.toml")
    assert done.status == 1
    assert done.err == 'error: no source of type cinx is configured. Add one: type = "cinx"\n'


async def test_credentials_that_are_not_accepted(
    call: Call, tmp_path: Path, upstream: CinxServer
) -> None:
    file = configured(tmp_path, upstream, cinx="api_token = 'not/the one'")
    done = await asyncio.to_thread(call, "cinx", "template", "-c", file)
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("error: CINX's update template: HTTP 401, it does not accept our")
    assert "not/the one" not in done.err
    assert upstream.requests == {"template": 1}
