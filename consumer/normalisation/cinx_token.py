"""CINX's API token in what CINX says: masked, however it is spelt.

The token stands in the path of every call, and CINX repeats the path in its answers. There it may
be as it is, percent-encoded (in either case, or twice), or escaped as JSON or XML escape it; a
token in an address may even be spelt in several of these ways at once.
"""

import re
from typing import AnyStr

from consumer.values import Secret

SHORTEST = 8
"""Characters of a token. What is shorter could not be told from other text."""

_MASK = "…"
_UNRESERVED = frozenset("-._~")  # beside letters and digits: these are written in one way only
_ENTITIES = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}


def masked(text: AnyStr, token: Secret) -> AnyStr:
    """The text without the token. One shorter than `SHORTEST` is masked only behind `sub/`."""
    if not len(token):
        return text
    pattern = "".join(map(_spelt, token.reveal()))
    if len(token) < SHORTEST:
        pattern = rf"(?:(?<=sub/)|(?<=sub\\/)){pattern}"
    if isinstance(text, bytes):
        return re.sub(pattern.encode(), _MASK.encode(), text)
    return re.sub(pattern, _MASK, text)


def _spelt(char: str) -> str:
    """A pattern for one character of a token, in every way that it could be written."""
    if (char.isascii() and char.isalnum()) or char in _UNRESERVED:
        return re.escape(char)
    encoded = "".join(f"%(?:25)*{byte:02x}" for byte in char.encode())
    code, itself = ord(char), re.escape(char)
    ways = [
        itself,
        rf"\\{itself}",
        rf"(?i:{encoded})",
        rf"(?i:\\u{code:04x})",
        rf"(?i:&#(?:0*{code}|x0*{code:x});)",
    ]
    if char in _ENTITIES:
        ways.append(f"&{_ENTITIES[char]};")
    if char == " ":
        ways.append(r"\+")
    return f"(?:{'|'.join(ways)})"
