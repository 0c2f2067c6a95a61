"""What can be configured about the sink `http`, and what is refused before it ever runs."""

import base64
import binascii
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta, field

from consumer.settings import SinkOptions
from consumer.values import PositiveDuration, Secret
from consumer.web import Tls, check_headers

# Standard Webhooks asks for 24 bytes or more; some receivers hand out 16.
_SHORTEST_KEY = 16

_OURS = (
    "content-type",
    "content-length",
    "host",
    "transfer-encoding",
    "traceparent",
    "backorder-replay",
)


class HttpOptions(SinkOptions, frozen=True, kw_only=True):
    """`type = "http"`: POSTs each event to `url`.

    `secret` signs it (Standard Webhooks, `whsec_` and base64); without one it goes unsigned. While
    rotating, `previous_secret` signs it too. `headers` are sent along. `timeout` bounds one
    request. `concurrency` above 1 sends that many at once, and gives up their order within a batch.
    `batched` sends a batch as one CloudEvents batch, for receivers that ask for it.
    """

    url: Secret
    secret: Secret = Secret("")
    previous_secret: Secret = Secret("")
    headers: dict[str, Secret] = field(default_factory=dict)
    timeout: PositiveDuration = PositiveDuration(10)
    concurrency: Annotated[int, Meta(ge=1, le=100)] = 1
    batched: bool = False
    tls: Tls = Tls()

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url.reveal())
            usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
            (parts.hostname or "").encode("idna")  # as the resolver does, too late to refuse it
        except ValueError:
            usable = False
        if not usable:
            raise ValueError('url must be like "https://host/path"')
        named = {name.lower() for name in self.headers}
        if "authorization" in named and "@" in urlsplit(self.url.reveal()).netloc:
            raise ValueError("headers: Authorization is what the credentials in url become")
        for key in ("secret", "previous_secret"):
            if len(value := getattr(self, key)) and signing_key(value) is None:
                raise ValueError(
                    f"{key} must be whsec_ and the base64 of at least 16 random bytes, such as from"
                    ' echo "whsec_$(openssl rand -base64 24)"'
                )
        check_headers(self.headers, ours=_OURS, prefix="webhook-", who="the sink")


def signing_key(secret: Secret) -> bytes | None:
    """The key in a Standard Webhooks secret; None where there is none that is good enough."""
    try:
        key = base64.b64decode(secret.reveal().removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) >= _SHORTEST_KEY else None
