"""Every way to prove who is posting, over real connections."""

import base64
import hashlib
import hmac
from typing import Any

import pytest

from consumer.settings import AuthSettings
from consumer.values import Secret

BODY = "<OrderBackorder>é</OrderBackorder>".encode()
BASIC = AuthSettings(type="basic", username="rädial", password=Secret("pass:word"))
BEARER = AuthSettings(type="token", token=Secret("t0ken"))
OWN_HEADER = AuthSettings(type="token", token=Secret("t0ken"), header="X-Api-Key")
HMAC = AuthSettings(type="hmac", secret=Secret("shared"))
HMAC512 = AuthSettings(
    type="hmac", secret=Secret("shared"), header="X-Hub-Signature", algorithm="sha512"
)


def basic(credentials: str) -> str:
    return f"Basic {base64.b64encode(credentials.encode()).decode()}"


def signature(algorithm: str = "sha256", body: bytes = BODY, secret: bytes = b"shared") -> bytes:
    return hmac.new(secret, body, algorithm).digest()


@pytest.mark.parametrize(
    ("auth", "headers"),
    [
        (AuthSettings(), {}),
        (BASIC, {"Authorization": basic("rädial:pass:word")}),
        (BASIC, {"Authorization": basic("rädial:pass:word").replace("Basic", "bAsIc")}),
        (BEARER, {"Authorization": "Bearer t0ken"}),
        (OWN_HEADER, {"X_Api_Key": "t0ken"}),
        (HMAC, {"X_Signature": signature().hex()}),
        (HMAC, {"X_Signature": signature().hex().upper()}),
        (HMAC, {"X_Signature": f"sha256={signature().hex()}"}),
        (HMAC, {"X_Signature": base64.b64encode(signature()).decode()}),
        (HMAC512, {"X_Hub_Signature": f"sha512={signature('sha512').hex()}"}),
    ],
)
async def test_who_proves_it_may_post(bench: Any, auth: AuthSettings, headers: Any) -> None:
    opened = await bench(auth=auth)
    assert (await opened.post(BODY, **headers)).status == 200
    assert [posted.body for posted in opened.recorder.posts] == [BODY]


@pytest.mark.parametrize(
    ("auth", "headers", "challenge"),
    [
        (BASIC, {}, "Basic "),
        (BASIC, {"Authorization": basic("rädial:password")}, "Basic "),
        (BASIC, {"Authorization": basic("radial:pass:word")}, "Basic "),
        (BASIC, {"Authorization": "Basic not-base64!"}, "Basic "),
        (BASIC, {"Authorization": "Bearer " + basic("rädial:pass:word")[6:]}, "Basic "),
        (BEARER, {}, "Bearer "),
        (BEARER, {"Authorization": "Bearer"}, "Bearer "),
        (BEARER, {"Authorization": "Bearer T0KEN"}, "Bearer "),
        (BEARER, {"Authorization": "Basic t0ken"}, "Bearer "),
        (OWN_HEADER, {"Authorization": "Bearer t0ken"}, "Token "),
        (OWN_HEADER, {"X_Api_Key": "t0kenn"}, "Token "),
        (HMAC, {}, "HMAC "),
        (HMAC, {"X_Signature": ""}, "HMAC "),
        (HMAC, {"X_Signature": "\u00ff" * 64}, "HMAC "),
        (HMAC, {"X_Signature": signature(body=b"other").hex()}, "HMAC "),
        (HMAC, {"X_Signature": signature(secret=b"other").hex()}, "HMAC "),
        (HMAC, {"X_Signature": signature().hex()[:-2]}, "HMAC "),
        (HMAC512, {"X_Hub_Signature": f"sha256={signature().hex()}"}, "HMAC "),
    ],
)
async def test_who_does_not_is_turned_away(
    bench: Any, auth: AuthSettings, headers: Any, challenge: str
) -> None:
    opened = await bench(auth=auth)
    answer = await opened.post(BODY, **headers)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith(challenge)
    assert answer.headers["content-type"] == "application/problem+json"
    assert not opened.recorder.posts


@pytest.mark.parametrize("auth", [BASIC, BEARER, OWN_HEADER, HMAC])
async def test_without_proof_no_body_is_read(bench: Any, auth: AuthSettings) -> None:
    opened = await bench(auth=auth)
    async with opened.wire() as connection:
        await connection.send(b"POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        assert (await connection.answer()).status == 401


async def test_strangers_do_not_learn_which_paths_there_are(bench: Any) -> None:
    opened = await bench(auth=BASIC)
    assert (await opened.post(path="/elsewhere")).status == 401


async def test_a_signature_covers_the_bytes_as_received(bench: Any) -> None:
    """That is before decompression: the only bytes both sides are sure to have in common."""
    import gzip

    packed = gzip.compress(BODY)
    opened = await bench(auth=HMAC)
    signed = hmac.new(b"shared", packed, hashlib.sha256).hexdigest()
    answer = await opened.post(packed, Content_Encoding="gzip", X_Signature=signed)
    assert answer.status == 200
    assert opened.recorder.posts[0].body == BODY
