"""What was answered, and what a status means for whoever asked: one table.

Refused   the question is wrong, or the address: the same again brings the same.
Denied    credentials: a person must look; trying on may lock the account.
Unavailable   it passes by itself.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from msgspec import Struct

from consumer.errors import ConsumerError, Denied, Refused, Unavailable

# How long before the answer the last change must have been, for its date to stand for one version
# of it: dates have whole seconds, and one server's clocks may differ (RFC 9110, section 8.8.2.2).
_SETTLED = timedelta(seconds=60)


# Servers bound the headers of a request, and answer 431 beyond that.
_LONGEST_VALIDATOR = 512


class Validators(Struct, frozen=True, kw_only=True):
    """What tells one version of an answer from another (RFC 9110, section 8.8), as it was sent."""

    etag: str | None = None
    last_modified: str | None = None

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> "Validators | None":
        """Those in an answer's headers; None where there is none that can be sent back.

        A Last-Modified counts only where it is a minute before the answer's Date: what changed
        again in the same second would have the same.
        """
        etag, modified = (_sendable(headers.get(name)) for name in ("ETag", "Last-Modified"))
        if not _settled(modified, headers.get("Date")):
            modified = None
        return cls(etag=etag, last_modified=modified) if etag or modified else None

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
    """A validator, where it is one that a header can carry back, and a server takes back."""
    fits = value and value.isascii() and value.isprintable() and len(value) <= _LONGEST_VALIDATOR
    return value if fits else None


def _settled(modified: str | None, answered: str | None) -> bool:
    """Whether the last change was so long before the answer that its date tells versions apart."""
    then, now = _moment(modified), _moment(answered)
    return then is not None and now is not None and now - then >= _SETTLED


def _moment(date: str | None) -> datetime | None:
    """A header's HTTP date; None where it is missing or none."""
    try:
        moment = parsedate_to_datetime(date or "")
    except (ValueError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
