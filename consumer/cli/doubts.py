"""What is allowed in a configuration, and yet is hardly meant: warnings of `check`."""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from consumer.polling import PollOptions
from consumer.settings import Settings
from consumer.toml_lines import KeyPath, dotted
from consumer.values import Secret, is_loopback

# `$NAME` as a whole, or as a part of a URL. Never quoted: it may be a password after all.
_NO_BRACES = re.compile(r"(?:^|(?<=[:/@]))\$[A-Z_][A-Z0-9_]*(?=$|[:/@])")


def doubts(settings: Settings) -> Iterator[str]:
    """Each doubt in a line; without any secret."""
    if not settings.sources:
        yield "no [[sources]]: nothing would be received"
    if not settings.sinks:
        yield "no [[sinks]]: nothing would be delivered"
    for source in settings.sources:
        if isinstance(source, PollOptions):
            yield from (f"{source.name}: {doubt}" for doubt in _about_polling(source))
    for path, secret in _secrets(settings, ()):
        if _NO_BRACES.search(secret.reveal()):
            yield f"{dotted(path)}: taken as it stands; for a variable write ${{NAME}}, with braces"


def _about_polling(source: PollOptions) -> Iterator[str]:
    if not source.cron and source.timezone != "UTC":
        yield "timezone counts for cron only, and there is none"
    if not source.cron and source.jitter > source.interval:
        yield "jitter is longer than interval: rounds come when they come"
    address = urlsplit(str(getattr(source, "base_url", "")))
    if (
        address.scheme == "http"
        and len(getattr(source, "password", ""))
        and not is_loopback(address.hostname or "")
    ):
        yield "base_url is plain HTTP: everybody on the way can read the password"


def _secrets(value: object, path: KeyPath) -> Iterator[tuple[KeyPath, Secret]]:
    """Every secret below a value, with its key."""
    parts: list[tuple[str | int, object]] = []
    if isinstance(value, Secret):
        yield path, value
    elif isinstance(value, Struct):
        fields = msgspec.structs.fields(value)
        parts = [(field.encode_name, getattr(value, field.name)) for field in fields]
    elif isinstance(value, Mapping):
        parts = list(value.items())
    elif isinstance(value, list | tuple):
        parts = list(enumerate(value))
    for key, part in parts:
        yield from _secrets(part, (*path, key))
