"""Why no answer came, in words, and what an answer says of trying again.

What aiohttp raises quotes URLs, and some of ours have a secret in the path. Nothing of an exception
is told here but its kind and what the operating system calls it.
"""

import email.utils
import os
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress

import aiohttp

_MOST_DISCARDED = 64 * 1024

_UNVERIFIED = "its TLS certificate does not verify; check the address and tls.ca"
_NO_HANDSHAKE = "the TLS handshake failed; check the address, tls.certificate and tls.key"
_UNRESOLVED = "its name cannot be resolved; check the address"

# The first kind that fits counts.
_FAILURES: Mapping[type[BaseException], str] = {
    TimeoutError: "no answer in time",
    ssl.SSLCertVerificationError: _UNVERIFIED,
    aiohttp.ClientConnectorCertificateError: _UNVERIFIED,
    ssl.SSLError: _NO_HANDSHAKE,
    aiohttp.ClientSSLError: _NO_HANDSHAKE,
    socket.gaierror: _UNRESOLVED,
    aiohttp.ClientConnectorDNSError: _UNRESOLVED,
    aiohttp.ServerDisconnectedError: "it closed the connection without an answer",
    aiohttp.ClientPayloadError: "its answer was cut short or garbled",
    aiohttp.ClientResponseError: "it answers something that is not HTTP/1.1",
}


def failure(error: BaseException) -> str:
    """What kept an answer from coming, without a URL or anything else of the request."""
    for kind, reason in _FAILURES.items():
        if isinstance(error, kind):
            return reason
    cause = getattr(error, "os_error", error)
    number = getattr(cause, "errno", None)
    # What the cause itself calls it depends on the event loop: "Connect call failed (…)".
    if number:
        return os.strerror(number)
    if isinstance(error, aiohttp.ClientConnectorError):  # of several addresses, each in its way
        return "no connection can be made"
    return type(error).__name__


def retry_after(value: str | None, now: float) -> float | None:
    """Seconds to wait, from a Retry-After header: a number of seconds, or an HTTP date.

    `now` in seconds since 1970. None where the header is missing or says neither.
    """
    if value is None:
        return None
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


async def discard(response: aiohttp.ClientResponse) -> None:
    """Read the body away so that the connection can be used again; drop both where it is long.

    The verdict is in the status already: a body that breaks or never ends changes nothing.
    """
    read = 0
    with suppress(aiohttp.ClientError, OSError):
        async for chunk in response.content.iter_any():
            read += len(chunk)
            if read > _MOST_DISCARDED:
                response.close()
                return
