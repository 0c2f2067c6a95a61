"""What a user can configure about a link to a broker, the same for sources and sinks."""

from collections.abc import Sequence
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta, Struct
from yarl import URL

from consumer.settings import Section
from consumer.values import Duration, Secret

_SCHEMES = ("amqp", "amqps")

LONGEST_NAME = 255
"""Bytes of a queue's, an exchange's or a virtual host's name, or of a routing key: a "shortstr" of
AMQP 0-9-1. The driver fails on longer ones, and would end the daemon."""


class AmqpTls(Section, frozen=True, kw_only=True):
    """`tls`: how an `amqps://` link is secured; without it the system's CAs are trusted.

    `ca` is a PEM file of CA certificates trusted instead of the system's, `certificate` and `key`
    PEM files of a client certificate, `server_name` the name that the broker's certificate is for
    where that is not the host in the URL. `verify = false` accepts any certificate.
    """

    ca: str = ""
    certificate: str = ""
    key: str = ""
    server_name: str = ""
    verify: bool = True

    def __post_init__(self) -> None:
        if self.key and not self.certificate:
            raise ValueError("key needs a certificate")


class ReconnectSettings(Section, frozen=True, kw_only=True):
    """`reconnect`: waits between attempts double from `initial` to `max`, with jitter.

    What was lost is back within `max` and `connect_timeout` together once it can be reached again;
    as they are, within the 30 seconds that are promised, with a second URL to try before it, too.
    """

    initial: Duration = Duration(0.5)
    max: Duration = Duration(10)

    def __post_init__(self) -> None:
        if not 0 < self.initial <= self.max:
            raise ValueError("initial must be above zero and at most max")


Heartbeat = Annotated[int, Meta(ge=1, le=3600, description="seconds")]


class LinkSettings(Struct, frozen=True, kw_only=True):
    """Everything that is needed to connect. `name` is what the broker shows for the connection."""

    urls: tuple[Secret, ...]
    name: str
    tls: AmqpTls | None = None
    heartbeat: int = 10
    connect_timeout: float = 10.0


def check_urls(urls: Sequence[Secret], tls: AmqpTls | None, *, key: str = "urls") -> None:
    """Raise ValueError, which never quotes a URL, where one of them cannot be meant.

    `key`: where they stand.
    """
    if not urls:
        raise ValueError(f"{key}: give at least one URL, such as amqps://user:password@host/vhost")
    for number, url in enumerate(urls, 1):
        which = f"URL {number}" if len(urls) > 1 else "the URL"
        scheme = _scheme(url)
        if scheme is None:
            raise ValueError(
                f"{key}: {which} is not of the form amqps://user:password@host:port/vhost"
                " (special characters percent-encoded, such as %2F for a slash;"
                " settings behind a ? are not taken)"
            )
        if tls is not None and scheme != "amqps":
            raise ValueError(f"tls is given, but {which} does not begin with amqps://")


def check_names(**names: Sequence[str]) -> None:
    """Raise ValueError where AMQP cannot carry one of the names that stand at a key."""
    for key, given in names.items():
        if any(len(name.encode()) > LONGEST_NAME for name in given):
            raise ValueError(f"{key}: a name has {LONGEST_NAME} bytes at the most")


def _scheme(url: Secret) -> str | None:
    """The scheme of a URL that can be dialled, None for any other."""
    try:
        parts = urlsplit(url.reveal())
        _ = parts.port  # raises where it is no number
        # As the driver and the resolver do later, where the error would end the daemon.
        host, virtual_host = URL(url.reveal()).host or "", URL(url.reveal()).path[1:]
        host.encode("idna")
    except ValueError:
        return None
    # The driver takes settings from a query, and a host with a NUL goes as far as the resolver.
    dialable = host and "\0" not in host and not parts.query
    known = parts.scheme in _SCHEMES and len(virtual_host.encode()) <= LONGEST_NAME
    return parts.scheme if dialable and known else None
