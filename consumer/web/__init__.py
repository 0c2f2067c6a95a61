"""Asking over HTTP: the one edge between this program and aiohttp's client.

One file an idea: `client` asks, bounds and tries again, `answers` says what a status means,
`trouble` puts into words why no answer came, `tls` and `headers` are what can be configured about
every request. Whoever posts (the sink `http`) shares the last three.
"""

from consumer.web.answers import Answer, Validators
from consumer.web.client import Client
from consumer.web.headers import check_headers
from consumer.web.tls import Tls, context
from consumer.web.trouble import discard, failure, retry_after

__all__ = [
    "Answer",
    "Client",
    "Tls",
    "Validators",
    "check_headers",
    "context",
    "discard",
    "failure",
    "retry_after",
]
