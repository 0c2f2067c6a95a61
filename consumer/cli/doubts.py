"""What is allowed in a configuration, and yet is hardly meant: warnings of `check`."""

import re
from collections.abc import Iterator, Mapping

import msgspec
from msgspec import Struct

from consumer.settings import Settings
from consumer.toml_lines import KeyPath, dotted
from consumer.values import Secret

# `$NAME` as a whole, or as a part of a URL. Never quoted: it may be a password after all.
_NO_BRACES = re.compile(r"(?:^|(?<=[:/@]))\$[A-Z_][A-Z0-9_]*(?=$|[:/@])")


def doubts(settings: Settings) -> Iterator[str]:
    """Each doubt in a line; without any secret."""
    if not settings.sources:
        yield "no [[sources]]: nothing would be received"
    if not settings.sinks:
        yield "no [[sinks]]: nothing would be delivered"
    for path, secret in _secrets(settings, ()):
        if _NO_BRACES.search(secret.reveal()):
            yield f"{dotted(path)}: taken as it stands; for a variable write ${{NAME}}, with braces"


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
