"""Who may post.

Rules
1. Whoever lacks proof is turned away before a byte of the body is read. An HMAC can be verified
   only with the body; a request without the header that carries it ends just as early.
2. Secrets are compared in constant time, as digests, so that not even their length shows.
3. A refusal is 401 with WWW-Authenticate (RFC 9110, section 11.6.1) and says nothing about which
   half of the proof was wrong.

Client certificates are the business of the TLS handshake and come on top of all this.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from http import HTTPStatus
from typing import Protocol

from consumer.listener.answers import Rejection
from consumer.settings import AuthSettings

Headers = Mapping[str, str]


class Gate(Protocol):
    """One way to prove who is posting. Both verbs raise a `Rejection` where the proof fails."""

    def admit(self, headers: Headers) -> None:
        """Look at the headers, before the body is read."""
        ...

    def verify(self, headers: Headers, body: bytes) -> None:
        """Look at the body, as received: before it is decompressed."""
        ...


def gate(settings: AuthSettings) -> Gate:
    """The gate that `[webhooks.auth]` asks for."""
    return _GATES[settings.type](settings)


class _Open:
    """`none`: everybody may post."""

    def __init__(self, settings: AuthSettings) -> None:
        pass

    def admit(self, headers: Headers) -> None:
        pass

    def verify(self, headers: Headers, body: bytes) -> None:
        pass


class _Basic(_Open):
    """`basic`: RFC 7617, with UTF-8."""

    def __init__(self, settings: AuthSettings) -> None:
        self._expected = f"{settings.username}:{settings.password.reveal()}".encode()

    def admit(self, headers: Headers) -> None:
        scheme, _, credentials = headers.get("Authorization", "").partition(" ")
        try:
            shown = base64.b64decode(credentials.strip(), validate=True)
        except (binascii.Error, ValueError):
            shown = b""
        if scheme.lower() != "basic" or not _same(shown, self._expected):
            raise _unproven('Basic realm="webhooks", charset="UTF-8"')


class _Token(_Open):
    """`token`: `Authorization: Bearer …` (RFC 6750), or the token alone in a header of its own."""

    def __init__(self, settings: AuthSettings) -> None:
        self._expected = settings.token.reveal().encode()
        self._header = settings.header

    def admit(self, headers: Headers) -> None:
        if self._header:
            shown, challenge = headers.get(self._header, ""), f'Token header="{self._header}"'
        else:
            scheme, _, shown = headers.get("Authorization", "").partition(" ")
            shown = shown if scheme.lower() == "bearer" else ""
            challenge = 'Bearer realm="webhooks"'
        if not _same(_octets(shown.strip()), self._expected):
            raise _unproven(challenge)


class _Hmac(_Open):
    """`hmac`: a header carries the HMAC of the body as received, hexadecimal or base64.

    `sha256=` may stand before it, as many senders have it.
    """

    def __init__(self, settings: AuthSettings) -> None:
        self._secret = settings.secret.reveal().encode()
        self._algorithm = settings.algorithm
        self._header = settings.header or "X-Signature"
        self._challenge = f'HMAC header="{self._header}", algorithm="{settings.algorithm}"'

    def admit(self, headers: Headers) -> None:
        if not headers.get(self._header):
            raise _unproven(self._challenge)

    def verify(self, headers: Headers, body: bytes) -> None:
        expected = hmac.digest(self._secret, body, self._algorithm)
        if not hmac.compare_digest(self._shown(headers), expected):
            raise _unproven(self._challenge)

    def _shown(self, headers: Headers) -> bytes:
        text = headers[self._header].strip().removeprefix(f"{self._algorithm}=")
        try:
            if len(text) == 2 * hashlib.new(self._algorithm).digest_size:
                return bytes.fromhex(text)
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            return b""


_GATES = {"none": _Open, "basic": _Basic, "token": _Token, "hmac": _Hmac}


def _same(shown: bytes, expected: bytes) -> bool:
    """Whether two secrets are equal; takes as long whatever they are."""
    return hmac.compare_digest(hashlib.sha256(shown).digest(), hashlib.sha256(expected).digest())


def _octets(text: str) -> bytes:
    """A header value as it came: aiohttp turns bytes that are not UTF-8 into surrogates."""
    return text.encode("utf-8", "surrogateescape")


def _unproven(challenge: str) -> Rejection:
    detail = "the credentials or the signature of this request are missing or wrong"
    return Rejection(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": challenge})
