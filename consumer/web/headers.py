"""Headers that the configuration adds to every request."""

import re
from collections.abc import Collection, Mapping

from consumer.values import Secret

# RFC 9110, section 5.6.2: what a header's name is made of.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def check_headers(
    headers: Mapping[str, Secret], *, ours: Collection[str], who: str, prefix: str | None = None
) -> None:
    """Raise ValueError, without a value in it, where a header cannot be sent.

    `ours` (lower case), and what begins with `prefix`, are set by `who`: "the sink".
    """
    for name, value in headers.items():
        if name.lower() in ours or (prefix and name.lower().startswith(prefix)):
            raise ValueError(f"headers: {name} is set by {who} itself")
        if not _TOKEN.fullmatch(name) or not value.reveal().isprintable():
            raise ValueError(f"headers: {name!r} is not a header, or its value has a line break")
