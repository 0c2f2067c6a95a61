"""Who may ask, and from where; and what a browser is told about every answer."""

import re
from typing import Any

import pytest

from consumer.admin.answers import SAFE_HEADERS
from consumer.admin.routes import ROUTES
from consumer.testing import builders

GUARDED = [route for route in ROUTES if not route.open]
CHANGES = [route for route in GUARDED if route.method != "GET"]
BODIES = [route for route in CHANGES if route.method == "POST"]
PARTS = {"sink": "archive", "seq": "3", "id": "0123456789abcdef"}


def address(route: Any) -> str:
    return re.sub(r"{(\w+)}", lambda part: PARTS[part[1]], route.path)


def name(route: Any) -> str:
    return f"{route.method} {route.path}"


# --- the token -------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ROUTES, ids=name)
async def test_a_token_guards_everything_but_the_probes(bench: Any, route: Any) -> None:
    opened = await bench(token="open-sesame")
    body = b"{}" if route.method == "POST" else None
    for shown in (None, "Bearer wrong", "Bearer open-sesam", "Bearer open-sesame2"):
        answer = await opened.ask(route.method, address(route), body, Authorization=shown)
        assert (answer.status == 401) == (not route.open)
        if not route.open:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["www-authenticate"] == "Bearer"
    right = await opened.ask(
        route.method, address(route), body, Authorization="Bearer open-sesame", Host="any.example"
    )
    assert right.status not in {401, 403}


@pytest.mark.parametrize("path", ["/", "/nothing", "/api/v1/nothing", "/healthz/"])
async def test_a_token_guards_what_is_not_there_too(bench: Any, path: str) -> None:
    opened = await bench(token="open-sesame")
    assert (await opened.get(path)).status == 401
    assert (await opened.get(path, Authorization="Bearer open-sesame")).status == 404


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        ("bearer open-sesame", 200),
        ("BEARER  open-sesame ", 200),
        ("open-sesame", 401),
        ("Basic open-sesame", 401),
        ("Bearer", 401),
        ("Beareropen-sesame", 401),
        ("Bearer \udcff\udcfe", 401),
    ],
)
async def test_a_token_is_shown_by_its_scheme_in_any_case(
    bench: Any, shown: str, status: int
) -> None:
    opened = await bench(token="open-sesame")
    async with opened.wire() as connection:
        head = f"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: {shown}\r\n\r\n"
        await connection.send(head.encode("utf-8", "surrogateescape"))
        assert (await connection.answer()).status == status


# --- DNS rebinding ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "admitted"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1:9999", True),
        ("127.8.8.8", True),
        ("LOCALHOST:8081", True),
        ("[::1]:8081", True),
        ("evil.example", False),
        ("evil.example:8081", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("127.0.0.1@evil.example", False),
        ("192.0.2.1", False),
        ("10.0.0.7:8081", False),
        ("", False),
    ],
)
async def test_without_a_token_only_a_loopback_name_is_answered(
    bench: Any, host: str, admitted: bool
) -> None:
    opened = await bench()
    for path in ("/metrics", "/api/v1/sinks", "/api/v1/openapi.json"):
        assert (await opened.get(path, Host=host)).status == (200 if admitted else 403)
    for path in ("/healthz", "/readyz"):
        assert (await opened.get(path, Host=host)).status == 200


@pytest.mark.parametrize(
    "head",
    [
        "GET /metrics HTTP/1.0\r\n",
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n",
        "GET http://evil.example/metrics HTTP/1.1\r\nHost: localhost\r\n",
    ],
)
async def test_a_host_that_is_not_clear_is_none(bench: Any, head: str) -> None:
    opened = await bench()
    async with opened.wire() as connection:
        await connection.send(f"{head}\r\n".encode())
        assert (await connection.answer()).status in {400, 403, 404}


# --- other sites -----------------------------------------------------------------------------


@pytest.mark.parametrize("route", CHANGES, ids=name)
@pytest.mark.parametrize("token", ["", "open-sesame"])
async def test_nothing_is_changed_for_another_site(bench: Any, route: Any, token: str) -> None:
    opened = await bench(token=token)
    before = (await opened.journal.positions(), await opened.journal.parked())
    known = {"Authorization": f"Bearer {token}"}
    for told in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": f"http://{opened.admin.address}.evil.example"},
        {"Origin": f"http://{opened.admin.address}", "Sec-Fetch-Site": "cross-site"},
    ):
        body = {"sink": "warehouse", "seqs": None, "ids": opened.ids}
        answer = await opened.ask(route.method, address(route), body, **known, **told)
        assert answer.status == 403
    assert (await opened.journal.positions(), await opened.journal.parked()) == before


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "ours", "Sec-Fetch-Site": "same-origin"},
    ],
)
async def test_our_own_pages_may_change_something(bench: Any, told: dict[str, str]) -> None:
    opened = await bench()
    if "Origin" in told:
        told = told | {"Origin": opened.url}
    assert (await opened.post("/api/v1/sinks/archive/pause", {}, **told)).status == 200


@pytest.mark.parametrize("route", BODIES, ids=name)
@pytest.mark.parametrize(
    "told",
    [
        {"Content-Type": None},
        {"Content-Type": ""},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "text/plain; application/json"},
        {"Content-Encoding": "gzip"},
    ],
)
async def test_changes_are_asked_for_in_json(
    bench: Any, route: Any, told: dict[str, str | None]
) -> None:
    opened = await bench()
    answer = await opened.post(address(route), {}, **told)
    assert answer.status == 415
    assert answer.headers["accept"] == "application/json"


async def test_a_preflight_is_granted_nothing(bench: Any) -> None:
    opened = await bench()
    answer = await opened.ask(
        "OPTIONS",
        "/api/v1/sinks/archive/replay",
        Origin="https://evil.example",
        Access_Control_Request_Method="DELETE",
    )
    assert answer.status == 204
    assert answer.headers["allow"] == "POST, DELETE, OPTIONS"
    assert "access-control" not in answer.head.lower()


# --- every answer ----------------------------------------------------------------------------


async def test_every_answer_has_safe_headers(bench: Any) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("s3cret")

    opened = await bench(token="t")
    known = {"Authorization": "Bearer t"}
    answers = [
        await opened.get("/healthz"),
        await opened.get("/metrics"),
        await opened.get("/metrics", **known),
        await opened.get("/nothing", **known),
        await opened.ask("HEAD", "/api/v1/sinks", **known),
        await opened.ask("OPTIONS", "/api/v1/sinks", **known),
        await opened.ask("PUT", "/api/v1/sinks", **known),
        await opened.get(f"/api/v1/quarantine/{opened.ids[0]}/body", **known),
        await opened.post("/api/v1/quarantine/retry", b"{", **known),
        await opened.post("/api/v1/sinks/none/pause", {}, **known),
    ]
    opened.journal.positions = broken
    answers.append(await opened.get("/api/v1/sinks", **known))
    async with opened.wire() as connection:
        await connection.send(b"NONSENSE\r\n\r\n")
        answers.append(await connection.answer())
    assert [a.status for a in answers] == [
        200,
        401,
        200,
        404,
        200,
        204,
        405,
        200,
        400,
        404,
        500,
        400,
    ]
    for answer in answers:
        assert {name: answer.headers[name.lower()] for name in SAFE_HEADERS} == SAFE_HEADERS
        assert answer.headers["server"] == "backorder-consumer"
        assert "access-control" not in answer.head.lower()


async def test_a_bug_is_told_to_the_owner_and_not_to_the_asker(bench: Any) -> None:
    error = RuntimeError("s3cret")

    async def broken(*_: object) -> None:
        raise error

    opened = await bench()
    opened.journal.positions = broken
    answer = await opened.get("/api/v1/sinks")
    assert answer.status == 500
    assert "s3cret" not in answer.body.decode()
    assert set(answer.document) == {"type", "title", "status", "detail"}
    assert opened.errors == [error]
    assert (await opened.get("/healthz")).status == 200


async def test_no_token_and_nothing_personal_is_logged(
    bench: Any, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """The log holds what was done; the answers that must not quote are looked at too."""
    opened = await bench(token="open-sesame")
    private = builders.refusal(b"<Nonsense email='jane.doe@example.com'").id
    said = []
    for token in ("open-sesame", "wrong-sesame"):
        known = {"Authorization": f"Bearer {token}"}
        said += [
            await opened.get("/api/v1/quarantine", **known),
            await opened.post("/api/v1/quarantine/retry", {"ids": [private]}, **known),
            await opened.post("/api/v1/quarantine/discard", {"ids": [private]}, **known),
            await opened.post("/api/v1/quarantine/discard", {"ids": [private]}, **known),
            await opened.post("/api/v1/parked/retry", b'{"sink": "jane.doe@x"}', **known),
        ]
    assert {answer.status for answer in said} == {200, 400, 401, 409}
    logged = "".join([*capfd.readouterr(), caplog.text])
    assert "quarantine.retried" in logged
    for text in (logged, *(answer.head + answer.body.decode() for answer in said)):
        assert "sesame" not in text
        assert "jane" not in text
