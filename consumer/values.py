"""The values that a configuration is written in: durations, sizes, secrets, addresses.

Each reads itself from what the file says (`parse`, which raises ValueError with what it should look
like) and describes itself for the JSON Schema (`schema`).
"""

import ipaddress
import re
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

_HIGHEST_PORT = 65_535
_UNITS_OF_TIME = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_UNITS_OF_SIZE = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


class Duration(float):
    """Seconds, written as a number with a unit: `250ms`, `5s`, `5m`, `12h`, `7d`."""

    __slots__ = ()
    schema: ClassVar = {
        "type": "string",
        "pattern": r"^\d+(\.\d+)?(ms|s|m|h|d)$",
        "examples": ["5s"],
    }

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read what the configuration says; ValueError tells what a duration looks like."""
        match = isinstance(text, str) and re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text)
        if not match:
            raise ValueError('not a duration; write a number with a unit, such as "250ms" or "5m"')
        return cls(float(match[1]) * _UNITS_OF_TIME[match[2]])


class PositiveDuration(Duration):
    """A duration above zero, for deadlines and periods: at zero nothing could ever happen in time.

    Written as every duration is.
    """

    __slots__ = ()
    schema: ClassVar = Duration.schema | {"pattern": r"^(?=.*[1-9])\d+(\.\d+)?(ms|s|m|h|d)$"}

    @classmethod
    def parse(cls, text: object) -> Self:
        """As for every duration; ValueError also where it is zero."""
        duration = super().parse(text)
        if not duration > 0:
            raise ValueError('must be above zero, such as "250ms" or "5m"')
        return duration


class Size(int):
    """Bytes, written as a number with a unit: `512B`, `64KiB`, `10MiB`, `1GiB`."""

    __slots__ = ()
    schema: ClassVar = {"type": "string", "pattern": r"^\d+(B|KiB|MiB|GiB)$", "examples": ["10MiB"]}

    @classmethod
    def parse(cls, text: object) -> "Size":
        """Read what the configuration says; ValueError tells what a size looks like."""
        match = isinstance(text, str) and re.fullmatch(r"(\d+)(B|KiB|MiB|GiB)", text)
        if not match:
            raise ValueError('not a size; write a number with a unit, such as "64KiB" or "10MiB"')
        return cls(int(match[1]) * _UNITS_OF_SIZE[match[2]])


class Secret(str):
    """A string that does not show itself: use `reveal()` where it is really needed."""

    __slots__ = ()
    schema: ClassVar = {"type": "string", "writeOnly": True}

    @classmethod
    def parse(cls, text: object) -> "Secret":
        """Any string."""
        if not isinstance(text, str):
            raise ValueError("not a string")  # noqa: TRY004 - all of these parsers raise ValueError
        return cls(text)

    def reveal(self) -> str:
        """The secret itself."""
        return str.__str__(self)

    def __repr__(self) -> str:
        return "Secret('…')" if len(self) else "Secret('')"

    def __str__(self) -> str:
        return "…" if len(self) else ""

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)


def parse_value(type_: type, value: object) -> Any:
    """The decoding hook for the types above."""
    return type_.parse(value)  # type: ignore[attr-defined]  # only the types above get here


def redacted(url: str) -> str:
    """A URL as it may be shown: scheme, host and port; many receivers have a token in the path."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def split_listen(listen: str) -> tuple[str, int]:
    """`host:port` in two; ValueError where it is neither. IPv6 hosts stand in brackets."""
    match = re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^:\[\]]+):(\d{1,5})", listen)
    if not match or int(match[2]) > _HIGHEST_PORT or not _is_host(match[1]):
        raise ValueError('not an address to listen on; write "host:port", such as "127.0.0.1:8081"')
    return match[1].strip("[]"), int(match[2])


def join_listen(host: str, port: int) -> str:
    """The reverse of `split_listen`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_host(host: str) -> bool:
    """Whether a host can be looked up: its labels are neither empty nor too long."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
