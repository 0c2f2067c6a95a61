"""What must hold between the tables of a configuration, and between it and this machine's files.

Here stands what would otherwise end a daemon that has just been started. Whether a peer answers,
and whether a certificate is any good, is found out later, by `check --connect`.
"""

import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from consumer.decoding import Decoder, listed, nearest
from consumer.event import EventType
from consumer.settings import AdminSettings, SinkOptions, SourceOptions, WebhooksSettings
from consumer.toml_lines import KeyPath, dotted
from consumer.values import split_listen

_EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104 - compared with, not listened on
_FILES_OF_TLS = ("ca", "client_ca", "certificate", "key")


def check_webhook_paths(decoder: Decoder, sources: Sequence[SourceOptions | None]) -> None:
    """A path of the public listener belongs to one source."""
    taken: dict[str, KeyPath] = {}
    for index, source in enumerate(sources):
        if source is None or not source.type.endswith("-webhook"):
            continue
        here: KeyPath = ("sources", index, "path")
        path = getattr(source, "path", None)
        if isinstance(path, str) and (first := taken.setdefault(path, here)) != here:
            reason = f"two webhooks on one path; {dotted(first[:2])} has it already"
            decoder.mistake(here, f"{reason} (line {decoder.line(first)})")


def check_scopes(decoder: Decoder, sources: Sequence[SourceOptions | None]) -> None:
    """What is polled belongs to one upstream: two that both tell what is there clear each other's.

    Two sources may share a scope where they ask the same `upstream` for different parts of it
    (`filters`). For the same part each would be the other's second witness, a moment later.
    """
    taken: dict[str, list[tuple[KeyPath, object, object]]] = {}
    for index, source in enumerate(sources):
        here: KeyPath = ("sources", index)
        upstream, part = getattr(source, "upstream", None), getattr(source, "filters", {})
        for scope in getattr(source, "scopes", ()):
            for first, asked, filters in taken.setdefault(scope, []):
                if asked == upstream and filters != part:
                    continue
                place = f"{dotted(first)} (line {decoder.line(first)})"
                wrong = "but asks somebody else for it; give both the same address and token"
                if asked == upstream:
                    wrong = "for the same lines; poll them once"
                decoder.mistake(here, f"polls {scope}, as does {place}, {wrong}")
                break
            taken[scope].append((here, upstream, part))


def check_filters(
    decoder: Decoder, sinks: Sequence[SinkOptions | None], sources: Sequence[object]
) -> None:
    """A filter that names what does not exist would withhold events without a word."""
    types = list(get_args(EventType))
    short = [name.removeprefix("backorder.") for name in types]
    names = [name for name in sources if isinstance(name, str)]
    for index, sink in enumerate(sinks):
        if sink is None:
            continue
        path: KeyPath = ("sinks", index, "filter")
        for place, name in enumerate(sink.filter.types):
            if name not in types and name not in short:
                reason = f"no event type{nearest(name, short) or f'; known are {listed(short)}'}"
                decoder.mistake((*path, "types", place), reason)
        for place, name in enumerate(sink.filter.sources):
            if name not in names:
                known = f"; there are {listed(names)}" if names else "; there is none"
                reason = f"no source of this name{nearest(name, names) or known}"
                decoder.mistake((*path, "sources", place), reason)


def check_ports(
    decoder: Decoder, sections: Mapping[str, Any], sources: Sequence[SourceOptions | None]
) -> None:
    """The two listeners need an address each; the one of webhooks opens where a source needs it."""
    webhooks = sections.get("webhooks", WebhooksSettings())
    admin = sections.get("admin", AdminSettings())
    needed = any(source and source.type.endswith("-webhook") for source in sources)
    if not needed or webhooks is None or admin is None:
        return
    (host, port), (other, taken) = split_listen(webhooks.listen), split_listen(admin.listen)
    if port == taken != 0 and (host == other or {host, other} & _EVERYWHERE):
        ours: KeyPath = ("webhooks", "listen")
        theirs: KeyPath = ("admin", "listen")
        if (decoder.line(ours) or 0) < (decoder.line(theirs) or 0):
            ours, theirs = theirs, ours
        reason = f"port {port} is that of {dotted(theirs)} too; give each listener its own"
        decoder.mistake(ours, reason)


def check_files(
    decoder: Decoder,
    sections: Mapping[str, Any],
    sources: Sequence[SourceOptions | None],
    sinks: Sequence[SinkOptions | None],
) -> None:
    """Files and directories that are named have to be there."""
    schemas = sections.get("schemas")
    if schemas and schemas.directory:
        path: KeyPath = ("schemas", "directory")
        name = schemas.directory
        mode = _mode(decoder, path, name, wanted="directory")
        if mode and not stat.S_ISDIR(mode):
            decoder.mistaken_value(path, f"{name} is no directory; name the one with the XSDs")
    for path, tls in _tls_tables(sections, sources, sinks):
        for key in _FILES_OF_TLS:
            name = getattr(tls, key, "")
            if not isinstance(name, str) or not name:
                continue
            mode = _mode(decoder, (*path, key), name, wanted="file")
            if mode and stat.S_ISDIR(mode):
                decoder.mistaken_value((*path, key), f"{name} is a directory; name a PEM file")


def _mode(decoder: Decoder, path: KeyPath, name: str, *, wanted: str) -> int | None:
    """The mode of what stands at `name`; None, after a mistake, where nothing can be found there.

    `Path.exists` and its like raise where a directory above may not be searched.
    """
    try:
        return Path(name).stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a null character
        decoder.mistaken_value(path, f"there is no {wanted} {name}")
    except OSError as error:
        decoder.mistaken_value(path, f"{name} cannot be read: {error.strerror}")
    return None


def _tls_tables(
    sections: Mapping[str, Any],
    sources: Sequence[SourceOptions | None],
    sinks: Sequence[SinkOptions | None],
) -> Iterator[tuple[KeyPath, object]]:
    yield ("webhooks", "tls"), getattr(sections.get("webhooks"), "tls", None)
    for kind, parts in (("sources", sources), ("sinks", sinks)):
        for index, part in enumerate(parts):
            yield (kind, index, "tls"), getattr(part, "tls", None)
