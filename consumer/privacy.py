"""What of the people in an event is kept: `[privacy] parties = "full" | "hashed" | "none"`.

Personal data is in `data.parties` only, so that is all that changes. The event's id stays: it was
worked out from the whole fact, so that changing the setting does not turn facts that are known
already into new ones. Being a digest, it tells nobody a value, but who knows all else of a fact can
test a guess at what is missing.

Three places stay as they are: elements that the schemas do not know, outside of people and
addresses, end in `data.extra`, where nobody can tell whether they are personal; so does CINX's
history of a line (`data.extra.updates`), of which nothing but the name is published: it may name
those who wrote it, though what changed in it is never repeated in `data.changes`; and payloads in
quarantine are kept as they came.

Hashing replaces values, not names of fields, and tells equal values from different ones. The key
keeps anybody without it from trying names and telephone numbers until the hash fits. What is hashed
already stays as it is: the events of a poller repeat what the events before them kept.
"""

import hmac
import re
from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from consumer.event import Data, Event, Parties
from consumer.settings import PrivacySettings

_PREFIX = "hmac-sha256:"
_DIGITS = 32
_is_pseudonym = re.compile(rf"{_PREFIX}[0-9a-f]{{{_DIGITS}}}").fullmatch


def protect(event: Event, settings: PrivacySettings) -> Event:
    """The event as the settings let it be kept; with `full`, the very same object."""
    data = protected(event.data, settings)
    return event if data is event.data else replace(event, data=data)


def protected(data: Data, settings: PrivacySettings) -> Data:
    """An event's data as the settings let it be kept; with `full`, the very same object."""
    if settings.parties == "full":
        return data
    parties = Parties()
    if settings.parties == "hashed":
        key = settings.key.reveal().encode()

        def pseudonym(value: object) -> str:
            if isinstance(value, str) and _is_pseudonym(value):
                return value
            return _PREFIX + hmac.digest(key, str(value).encode(), "sha256").hex()[:_DIGITS]

        parties = _each(data.parties, pseudonym)
    return replace(data, parties=parties)


def are_comparable(before: Parties, after: Parties) -> bool:
    """Whether it can be told what changed in the parties. It cannot where of those before nothing
    was kept, or nothing but pseudonyms none of which is there now: then the settings changed, or
    the key did, and what the people in question are called may be what it was.
    """
    kept = set(_texts(before))
    return bool(kept) and not (
        all(_is_pseudonym(text) for text in kept) and kept.isdisjoint(_texts(after))
    )


def _each(value: Any, change: Callable[[object], str]) -> Any:
    """The value with every scalar inside it changed, whatever its type; None stays None."""
    if value is None:
        return None
    if isinstance(value, Struct):
        fields = {name: _each(getattr(value, name), change) for name in value.__struct_fields__}
        return type(value)(**fields)
    if isinstance(value, dict):
        return {name: _each(each, change) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_each(each, change) for each in value)
    return change(value)


def _texts(value: Any) -> Iterator[str]:
    """Every scalar inside a value, as a text."""
    if isinstance(value, Struct):
        value = {name: getattr(value, name) for name in value.__struct_fields__}
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        if value is not None:
            yield str(value)
        return
    for each in value:
        yield from _texts(each)
