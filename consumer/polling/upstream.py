"""What polled upstreams have in common: an address, HTTP Basic, and a way of being looked at."""

import base64
import hashlib
from collections.abc import Iterable
from urllib.parse import urlsplit

from consumer.values import Secret

_VIEW_BYTES = 6


def check_base_url(url: str) -> None:
    """Raise ValueError, naming the key, where this is no address that paths can be added to."""
    wanted = 'base_url must be like "https://host" or "http://host:6569"'
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        (parts.hostname or "").encode("idna")  # as the resolver does, too late to refuse it
    except ValueError:
        raise ValueError(wanted) from None
    if not usable or parts.query or parts.fragment:
        raise ValueError(wanted)
    if parts.username or parts.password:
        raise ValueError("base_url: no credentials in there; set username and password")


def check_basic(username: str, password: Secret, headers: Iterable[str] = ()) -> None:
    """Raise ValueError, naming the keys, where HTTP Basic could not carry these.

    `headers` are the names of those that are configured besides.
    """
    if bool(username) != bool(len(password)):
        raise ValueError("username and password belong together; give both or neither")
    if ":" in username:
        raise ValueError("username: HTTP Basic allows no colon in it")
    if username and any(name.lower() == "authorization" for name in headers):
        raise ValueError("headers: Authorization is made of username and password; keep one")


def basic(username: str, password: Secret) -> Secret:
    """The Authorization header of HTTP Basic (RFC 7617, in UTF-8)."""
    pair = f"{username}:{password.reveal()}".encode()
    return Secret(f"Basic {base64.b64encode(pair).decode()}")


def view_of(*parts: str) -> str:
    """A short digest of how a scope is looked at: its address and its filters."""
    told = "\n".join(parts).encode()
    return hashlib.blake2b(told, digest_size=_VIEW_BYTES).hexdigest()
