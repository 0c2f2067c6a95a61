"""A configuration file to frozen, typed settings, or all of its mistakes at once.

This file finds and reads the file, and knows that names are unique and types are installed. What
else must hold between tables says `consumer.coherence`; what holds within a table is said by the
values of `consumer.settings` themselves, and `consumer.decoding` reads a table into them.

Paths in the settings, such as that of `sqlite:PATH`, are relative to the directory that the
program is started in; only the path of a `KEY_file` is relative to the configuration file.
"""

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from consumer.coherence import (
    check_files,
    check_filters,
    check_ports,
    check_scopes,
    check_webhook_paths,
)
from consumer.decoding import Decoder, listed, nearest
from consumer.errors import ConfigurationError, ConsumerError, Mistake
from consumer.settings import JournalSettings, Settings, SinkOptions, SourceOptions
from consumer.toml_lines import KeyPath, dotted, key_lines

Options = TypeVar("Options", SourceOptions, SinkOptions)

VARIABLE = "BACKORDER_CONFIG"
DEFAULT_FILE = Path("consumer.toml")

_NONE_YET = (
    f"there is no such file; name another one with -c FILE or ${VARIABLE}, or write one:"
    " `backorder-consumer check --help` shows a complete example"
)
_PARTS = ("sources", "sinks")


def find(path: Path | None, environ: Mapping[str, str]) -> Path:
    """The file to read: the one named, that in `$BACKORDER_CONFIG`, or `./consumer.toml`."""
    return path or Path(environ.get(VARIABLE) or DEFAULT_FILE)


def load(
    path: Path,
    *,
    environ: Mapping[str, str],
    source_types: Mapping[str, type[SourceOptions]],
    sink_types: Mapping[str, type[SinkOptions]],
) -> Settings:
    """Read a configuration file; ConfigurationError names every mistake in it.

    `source_types` and `sink_types` map what `type` may say to the options of that type; looking
    one up may raise a ConsumerError, which then is a mistake of the table that asked for it.
    """
    return loads(
        _text(path),
        file=str(path),
        environ=environ,
        source_types=source_types,
        sink_types=sink_types,
    )


class Glance(NamedTuple):
    """What a command that works on a journal needs of a configuration.

    `journal` is its URL; `sources` and `sinks` are the names of what is configured.
    """

    journal: str
    sources: Sequence[str]
    sinks: Sequence[str]


def glance(path: Path, *, environ: Mapping[str, str]) -> Glance:
    """Read no more of a configuration file than a `Glance`; ConfigurationError as from `load`.

    Other tables may be mistaken, or name secrets that the environment does not have.
    """
    document, lines = _parsed(_text(path), str(path))
    decoder = Decoder(lines, environ, path.parent)
    journal = decoder.table(JournalSettings, document.get("journal", {}), ("journal",))
    _check_journal(decoder, journal)
    if journal is None or decoder.mistakes:
        raise ConfigurationError(str(path), decoder.mistakes)
    return Glance(journal.url, *(_glanced(document.get(kind)) for kind in _PARTS))


def _glanced(tables: object) -> Sequence[str]:
    """The names that some tables have, whatever else is in them."""
    found = [each for each in tables if isinstance(each, dict)] if isinstance(tables, list) else []
    return [name for name in (each.get("name") for each in found) if isinstance(name, str)]


def excerpt(path: Path, *, environ: Mapping[str, str], tables: Collection[str]) -> Settings:
    """The settings of some `tables`, everything else as if the file did not have it.

    ConfigurationError as from `load`. Other tables may be mistaken, or name secrets that the
    environment does not have: a command that repairs needs none of them.
    """
    document, lines = _parsed(_text(path), str(path))
    decoder = Decoder(lines, environ, path.parent)
    sections: dict[str, Any] = {
        field.name: decoder.table(field.type, document[field.name], (field.name,))
        for field in msgspec.structs.fields(Settings)
        if field.name in tables and field.name in document
    }
    if decoder.mistakes:
        raise ConfigurationError(str(path), decoder.mistakes)
    return Settings(file=str(path), **sections)


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ConfigurationError(str(path), [Mistake("file", _NONE_YET)]) from None
    except IsADirectoryError:
        reason = "this is a directory; name the TOML file in it"
        raise ConfigurationError(str(path), [Mistake("file", reason)]) from None
    except OSError as error:
        reason = f"it cannot be read: {error.strerror}"
        raise ConfigurationError(str(path), [Mistake("file", reason)]) from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        mistake = Mistake("file", "this is not UTF-8 text; save it as UTF-8", line)
        raise ConfigurationError(str(path), [mistake]) from None


def loads(
    text: str,
    *,
    file: str,
    environ: Mapping[str, str],
    source_types: Mapping[str, type[SourceOptions]],
    sink_types: Mapping[str, type[SinkOptions]],
) -> Settings:
    """Read a configuration from its text; as `load`. `file` is named in errors."""
    document, lines = _parsed(text, file)
    decoder = Decoder(lines, environ, Path(file).parent)
    tables = {
        field.name: field.type
        for field in msgspec.structs.fields(Settings)
        if field.name not in {"file", *_PARTS}
    }
    for key in document:
        if key not in tables and key not in _PARTS:
            known = [*tables, *_PARTS]
            hint = nearest(key, known) or f"; known are {listed(known)}"
            decoder.mistake((key,), f"unknown key{hint}")
    sections: dict[str, Any] = {
        key: decoder.table(type_, document[key], (key,))
        for key, type_ in tables.items()
        if key in document
    }
    sources = _parts(decoder, document, "sources", source_types)
    sinks = _parts(decoder, document, "sinks", sink_types)
    check_webhook_paths(decoder, sources)
    check_scopes(decoder, sources)
    check_filters(decoder, sinks, _names(document.get("sources"), sources))
    check_ports(decoder, sections, sources)
    check_files(decoder, sections, sources, sinks)
    _check_journal(decoder, sections.get("journal"))
    if decoder.mistakes:
        raise ConfigurationError(file, sorted(decoder.mistakes, key=lambda m: m.line or 0))
    return Settings(
        file=file,
        sources=tuple(source for source in sources if source),
        sinks=tuple(sink for sink in sinks if sink),
        **sections,
    )


def journal_path(url: str, *, file: str = "--journal") -> Path:
    """The file that a journal's URL names.

    ConfigurationError, naming `file`, tells what such a URL looks like.
    """
    try:
        return _journal_path(url)
    except ValueError as error:
        raise ConfigurationError(file, [Mistake("url", str(error))]) from None


def _parsed(text: str, file: str) -> tuple[Mapping[str, object], Mapping[KeyPath, int]]:
    try:
        return tomllib.loads(text), key_lines(text)
    except RecursionError:
        reason, line = "arrays or tables are nested too deeply", None
    except ValueError as error:  # also numbers with too many digits, which are no TOMLDecodeError
        reason, line = str(error), None
        if match := re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", reason):
            reason = match[1]
            line = int(match[2]) if match[2] else text.count("\n") + 1
    raise ConfigurationError(file, [Mistake("syntax", f"not TOML: {reason}", line)])


# --- sources and sinks -----------------------------------------------------------------------


def _parts(
    decoder: Decoder,
    document: Mapping[str, object],
    kind: str,
    types: Mapping[str, type[Options]],
) -> list[Options | None]:
    """Every table of `[[sources]]` or `[[sinks]]`; None for one that has mistakes."""
    tables = document.get(kind, [])
    if not isinstance(tables, list):
        decoder.mistake((kind,), f"must be an array of tables; write [[{kind}]]")
        return []
    parts = [_part(decoder, table, (kind, index), types) for index, table in enumerate(tables)]
    taken: dict[str, KeyPath] = {}
    for index, name in enumerate(_names(tables, parts)):
        if isinstance(name, str):
            first = taken.setdefault(name, (kind, index))
            if first != (kind, index):
                place = f"{dotted(first)} on line {decoder.line(first)}"
                reason = f"two {kind} of one name; {place} has it already"
                decoder.mistake((kind, index, "name"), reason)
    return parts


def _part(
    decoder: Decoder, table: object, path: KeyPath, types: Mapping[str, type[Options]]
) -> Options | None:
    key = (*path, "type")
    if not isinstance(table, dict):
        decoder.mistake(path, f"must be a table; write [[{path[0]}]]")
        return None
    if "type" not in table:
        decoder.mistake(key, f"missing; installed are {listed(types)}")
        return None
    name = decoder.value(str, table["type"], key)
    if name is None:
        return None
    if name not in types:
        hint = nearest(name, types) or ";"
        reason = f"there is no type `{name}` of {path[0]}{hint} installed are {listed(types)}"
        decoder.mistaken_value(key, reason)
        return None
    try:
        options = types[name]
    except ConsumerError as error:
        decoder.mistake(key, str(error))
        return None
    return decoder.table(options, table, path)


def _names(tables: object, parts: Sequence[Options | None]) -> list[object]:
    """The name of each part; of one with mistakes what the file says, if it says anything."""
    return [
        part.name if part else table.get("name") if isinstance(table, dict) else None
        for table, part in zip(tables if isinstance(tables, list) else [], parts, strict=True)
    ]


def _journal_path(url: str) -> Path:
    scheme, colon, path = url.partition(":")
    if scheme in {"postgres", "postgresql"} and colon:
        raise ValueError("PostgreSQL is not available in this version; write sqlite:PATH")
    if scheme != "sqlite" or not colon:
        raise ValueError("not a journal; write sqlite:PATH, such as sqlite:var/journal.db")
    if path.startswith("//"):
        raise ValueError(
            "write the path right after `sqlite:` without slashes before it, such as"
            " sqlite:var/journal.db or sqlite:/var/lib/journal.db"
        )
    if not path or path == ":memory:":
        raise ValueError("`sqlite:` needs the path of a file, such as sqlite:var/journal.db")
    if not path.isprintable():
        raise ValueError("the path holds characters that no file name should have")
    return Path(path)


def _check_journal(decoder: Decoder, journal: object) -> None:
    try:
        _journal_path(
            journal.url if isinstance(journal, JournalSettings) else JournalSettings().url
        )
    except ValueError as error:
        decoder.mistake(("journal", "url"), str(error))
