"""What was answered, and what a status means for whoever asked: one table.

Refused   the question is wrong, or the address: the same again brings the same.
Denied    credentials: a person must look; trying on may lock the account.
Unavailable   it passes by itself.
"""

from collections.abc import Mapping
from http import HTTPStatus

from msgspec import Struct

from consumer.errors import ConsumerError, Denied, Refused, Unavailable


class Validators(Struct, frozen=True, kw_only=True):
    """What tells one version of an answer from another (RFC 9110, section 8.8), as it was sent."""

    etag: str | None = None
    last_modified: str | None = None

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> "Validators | None":
        """Those in an answer's headers; None where there is none that can be sent back."""
        found = [_sendable(headers.get(name)) for name in ("ETag", "Last-Modified")]
        return cls(etag=found[0], last_modified=found[1]) if any(found) else None

    @property
    def conditions(self) -> Mapping[str, str]:
        """The headers that ask for an answer only where it would be another one."""
        pairs = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in pairs.items() if value}


class Answer(Struct, frozen=True, kw_only=True):
    """A whole answer. `status` is 200; 304 or 404 where the caller asked for that.

    `body` is decompressed, and empty for 304. `media_type` is in lower case and without
    parameters; empty where none was told. `validators` are for asking again.
    """

    status: int
    body: bytes
    media_type: str
    validators: Validators | None = None


_MEANING: Mapping[int, tuple[type[ConsumerError], str]] = {
    # a class of statuses, where the status itself is not below
    1: (Refused, "does not answer the question"),
    2: (Refused, "does not send a whole answer"),
    3: (Refused, "redirects, which is not followed; put the final address in the configuration"),
    4: (Refused, "does not accept the request"),
    5: (Unavailable, "has a problem of its own"),
    # what a person has to look at
    401: (Denied, "does not accept our credentials"),
    403: (Denied, "does not let us in; check the credentials and what they are good for"),
    404: (Refused, "knows no such thing; check the address and what is asked for"),
    407: (Denied, "sits behind a proxy that wants credentials"),
    # what passes by itself
    304: (Unavailable, "says that nothing has changed, though there was nothing to compare"),
    408: (Unavailable, "gave up waiting for the request"),
    425: (Unavailable, "wants the request later"),
    429: (Unavailable, "wants fewer requests"),
    502: (Unavailable, "gets no good answer from what is behind it"),
    503: (Unavailable, "is out of order for now"),
    504: (Unavailable, "gets no answer in time from what is behind it"),
}


def rejection(what: str, status: int, retry_after: float | None) -> ConsumerError:
    """The error that a status amounts to; `what` names the call."""
    kind, reason = _MEANING.get(status) or _MEANING.get(status // 100) or _MEANING[4]
    text = f"{what}: HTTP {int(status)}, it {reason}"
    if issubclass(kind, Unavailable):
        return kind(text, retry_after=retry_after)
    return Refused(text)


def wanted(status: int, *, conditional: bool, missing_ok: bool) -> bool:
    """Whether a status is an answer to what was asked."""
    return (
        status == HTTPStatus.OK
        or (conditional and status == HTTPStatus.NOT_MODIFIED)
        or (missing_ok and status == HTTPStatus.NOT_FOUND)
    )


def _sendable(value: str | None) -> str | None:
    """A validator, where it is one that a header can carry back."""
    return value if value and value.isascii() and value.isprintable() else None
