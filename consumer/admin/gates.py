"""Who may ask, and from where.

Rules
1. Where a token is set, everything but the probes asks for it. It is compared in constant time, so
   that answers tell nothing of how much of it was right.
2. Where none is set the listener is on a loopback address (the configuration sees to that), and
   then only a request that names such an address as its host is answered. A web page anywhere can
   have its own name resolve to 127.0.0.1 (DNS rebinding) and read what it asks for then; the name
   it asked for stands in the request.
3. Nothing is changed for another web site. Browsers say where a request comes from (Sec-Fetch-Site,
   Origin), and send a body as `application/json` only after asking first, which is not answered.

Probes are open to whoever reaches the listener, since an orchestrator carries no token and any
name; they hold names from the configuration and reasons, never a secret.
"""

import hmac
import re
from collections.abc import Sequence
from http import HTTPStatus

from multidict import CIMultiDictProxy

from consumer.admin.answers import JSON, Rejection
from consumer.settings import AdminSettings
from consumer.values import is_loopback, split_listen

Headers = CIMultiDictProxy[str]

# RFC 9110, section 9.2.1: methods that change nothing.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
_SAME = frozenset({"same-origin", "none"})


def admit(settings: AdminSettings, headers: Headers) -> None:
    """Rules 1 and 2; raises `Rejection`."""
    token = settings.token.reveal()
    if token:
        _check_token(token, headers)
    else:
        _check_host(settings.listen, headers)


def admit_change(headers: Headers) -> None:
    """Rule 3, as far as browsers tell; raises `Rejection`."""
    sites = headers.getall("Sec-Fetch-Site", ["none"])
    origins = headers.getall("Origin", [])
    host = headers.get("Host", "").lower()
    at_home = all(re.sub("^https?://", "", origin.lower()) == host for origin in origins)
    if not at_home or not _SAME.issuperset(sites):
        raise Rejection(HTTPStatus.FORBIDDEN, "nothing is changed at the request of another site")


def admit_json(headers: Headers) -> None:
    """Rule 3, as far as bodies tell; raises `Rejection`."""
    types = [value.partition(";")[0].strip().lower() for value in _all(headers, "Content-Type")]
    encodings = [value.strip().lower() for value in _all(headers, "Content-Encoding")]
    if types != [JSON] or encodings not in ([], ["identity"]):
        detail = f"changes are asked for with Content-Type: {JSON}, and not compressed"
        raise Rejection(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail, {"Accept": JSON})


def _check_token(token: str, headers: Headers) -> None:
    scheme, _, given = headers.get("Authorization", "").partition(" ")
    given = given.strip() if scheme.lower() == "bearer" else ""
    if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode()):
        raise Rejection(
            HTTPStatus.UNAUTHORIZED,
            "this asks for the token of [admin], as Authorization: Bearer TOKEN",
            {"WWW-Authenticate": "Bearer"},
        )


def _check_host(listen: str, headers: Headers) -> None:
    hosts = _all(headers, "Host")
    match = _HOST.fullmatch(hosts[0].lower()) if len(hosts) == 1 else None
    host = match[1].strip("[]") if match else ""
    if not is_loopback(host) and host != split_listen(listen)[0].lower():
        raise Rejection(
            HTTPStatus.FORBIDDEN,
            "without a token in [admin] only requests to a loopback address are answered,"
            " such as 127.0.0.1 or localhost",
        )


def _all(headers: Headers, name: str) -> Sequence[str]:
    return headers.getall(name, [])
