"""What of the people in an event is kept: `[privacy] parties = "full" | "hashed" | "none"`.

Personal data is in `data.parties` only, so that is all that changes. The event's id stays: it was
worked out from the whole fact, so that changing the setting does not turn facts that are known
already into new ones. Being a digest, it tells nobody a value, but who knows all else of a fact can
test a guess at what is missing.

Two places stay as they are: elements that the schemas do not know, outside of people and addresses,
end in `data.extra`, where nobody can tell whether they are personal; and payloads in quarantine are
kept as they came.

Hashing replaces values, not names of fields, and tells equal values from different ones. The key
keeps anybody without it from trying names and telephone numbers until the hash fits. What is hashed
already stays as it is: the events of a poller repeat what the events before them kept.
"""

import hmac
import re
from collections.abc import Callable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from consumer.event import Event, Parties
from consumer.settings import PrivacySettings

_PREFIX = "hmac-sha256:"
_DIGITS = 32
_is_pseudonym = re.compile(rf"{_PREFIX}[0-9a-f]{{{_DIGITS}}}").fullmatch


def protect(event: Event, settings: PrivacySettings) -> Event:
    """The event as the settings let it be kept; with `full`, the very same object."""
    if settings.parties == "full":
        return event
    parties = Parties()
    if settings.parties == "hashed":
        key = settings.key.reveal().encode()

        def pseudonym(value: object) -> str:
            if isinstance(value, str) and _is_pseudonym(value):
                return value
            return _PREFIX + hmac.digest(key, str(value).encode(), "sha256").hex()[:_DIGITS]

        parties = _each(event.data.parties, pseudonym)
    return replace(event, data=replace(event.data, parties=parties))


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
