"""A TOML document to typed, frozen values, with every mistake collected instead of the first.

Rules
- A table becomes the Struct that its annotation names; a key that the Struct lacks is a mistake.
- In a string `${NAME}` and `${NAME:-default}` take the value of an environment variable, the
  default where that is unset or empty; `$${` is a literal `${`. Without a default both are
  mistakes: an empty secret would switch off what it was meant to switch on. Where a number or a
  boolean is wanted, a string that was written so is read as one.
- Any key whose value is a string may be given as `KEY_file = "path"` instead: the content of that
  file, without one line break at its end. Relative paths start at the configuration file.
- What came out of the environment or out of a file is never shown: a reason that would quote it
  shows how the file wrote it.
"""

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import Struct

from consumer.annotations import arms, is_array, is_struct, is_table, is_text
from consumer.errors import Mistake
from consumer.toml_lines import KeyPath, dotted, nearest_line
from consumer.values import parse_value

S = TypeVar("S", bound=Struct)

_VARIABLE = re.compile(r"\$\$\{|\$\{(?:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\})?")
_CREDENTIALS = re.compile(r"://[^\s\"']*@")
_LARGEST_FILE = 1 << 16
_EXPECTED = re.compile(r"Expected `([^`]+)`(?:, got `([^`]+)`)?(?P<rest>.*?)(?: - at .*)?")
_WORDS = {
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "an array",
    "object": "a table",
    "null": "nothing",
    "datetime": "a date with time",
    "date": "a date",
    "time": "a time",
}


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean …?` where a known name is close, else nothing."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean `{close[0]}`?" if close else ""


def listed(names: Iterable[str]) -> str:
    """Names in a sentence."""
    return ", ".join(f"`{name}`" for name in names)


class Decoder:
    """Decodes the parts of one document; `mistakes` grows meanwhile.

    What could not be decoded comes back as None, with at least one more mistake.
    """

    def __init__(
        self, lines: Mapping[KeyPath, int], environ: Mapping[str, str], directory: Path
    ) -> None:
        self.mistakes: list[Mistake] = []
        self._lines = lines
        self._environ = environ
        self._directory = directory
        self._hidden: list[tuple[KeyPath, str, str]] = []

    def line(self, path: KeyPath) -> int | None:
        """Where a key, or the innermost table around it, stands."""
        return nearest_line(self._lines, path)

    def mistake(self, path: KeyPath, reason: str) -> None:
        """Note a mistake at a key."""
        self.mistakes.append(Mistake(dotted(path), reason, self.line(path)))

    def mistaken_value(self, path: KeyPath, reason: str, *, key: KeyPath | None = None) -> None:
        """Note a mistake whose reason may quote values of `path` or of keys below it.

        What came from outside the file is shown as the file wrote it, credentials not at all.
        `key` is where the mistake is, if not at `path`.
        """
        written = {value: how for at, value, how in self._hidden if at[: len(path)] == path}
        if written:
            longest_first = sorted(written, key=len, reverse=True)
            values = "|".join(rf"(?<!\w){re.escape(value)}(?!\w)" for value in longest_first)
            reason = re.sub(values, lambda match: written[match[0]], reason)
        self.mistake(key or path, _CREDENTIALS.sub("://…@", reason))

    # --- tables ------------------------------------------------------------------------------

    def table(self, type_: type[S], table: object, path: KeyPath) -> S | None:
        """A table as the Struct `type_`."""
        if not isinstance(table, dict):
            self.mistake(path, "must be a table")
            return None
        before = len(self.mistakes)
        fields = {field.encode_name: field for field in msgspec.structs.fields(type_)}
        given: dict[str, Any] = {}
        for key, item in table.items():
            stem = key.removesuffix("_file")
            if key in fields:
                given[fields[key].name] = self.value(fields[key].type, item, (*path, key))
            elif stem in fields and is_text(fields[stem].type):
                given[fields[stem].name] = self._from_file(fields[stem].type, item, (*path, key))
                if stem in table:
                    self.mistake((*path, key), f"given together with `{stem}`; keep one of them")
            else:
                self.mistake((*path, key), _unknown(key, fields))
        for key, field in fields.items():
            if field.required and key not in table and f"{key}_file" not in table:
                self.mistake((*path, key), "missing; this key is required")
        if len(self.mistakes) != before:
            return None
        try:
            return type_(**given)
        except ValueError as error:
            key, reason = _culprit(str(error), fields, table)
            self.mistaken_value(path, reason, key=(*path, key) if key else path)
            return None

    # --- values ------------------------------------------------------------------------------

    def value(self, annotation: Any, item: object, path: KeyPath) -> Any:
        """One value as its annotation wants it; tables and arrays are decoded part by part."""
        for arm in arms(annotation):
            origin, inner = get_origin(arm) or arm, get_args(arm)
            if isinstance(item, dict) and is_struct(origin):
                return self.table(origin, item, path)
            if isinstance(item, list) and is_array(origin) and inner:
                return self._parts(annotation, origin, inner[0], enumerate(item), path)
            if isinstance(item, dict) and is_table(origin) and inner:
                return self._parts(annotation, origin, inner[1], item.items(), path)
        return self._leaf(annotation, item, path)

    def _parts(
        self,
        annotation: Any,
        origin: Any,
        inner: Any,
        parts: Iterable[tuple[str | int, object]],
        path: KeyPath,
    ) -> Any:
        """An array or a free table, each part by itself so that each mistake has its own line."""
        before = len(self.mistakes)
        items = {key: self.value(inner, part, (*path, key)) for key, part in parts}
        if len(self.mistakes) != before:
            return None
        plain: Any = items if is_table(origin) else list(items.values())
        if any(is_struct(arm) for arm in arms(inner)):
            return plain if isinstance(plain, dict) else _collected(origin, plain)
        return self._convert(annotation, plain, path, strict=True)

    def _leaf(self, annotation: Any, item: object, path: KeyPath) -> Any:
        before = len(self.mistakes)
        text = self.text(item, path)
        if len(self.mistakes) != before:
            return None
        return self._convert(annotation, text, path, strict=text == item)

    def _convert(self, annotation: Any, item: object, path: KeyPath, *, strict: bool) -> Any:
        try:
            return msgspec.convert(item, annotation, strict=strict, dec_hook=_parse)
        except msgspec.ValidationError as error:
            self.mistaken_value(path, _reason(annotation, item, str(error)))
            return None

    # --- strings from elsewhere --------------------------------------------------------------

    def text(self, item: object, path: KeyPath) -> Any:
        """An item with the variables in its strings replaced, however deep they stand."""
        if isinstance(item, dict):
            return {key: self.text(part, (*path, key)) for key, part in item.items()}
        if isinstance(item, list):
            return [self.text(part, (*path, index)) for index, part in enumerate(item)]
        if not isinstance(item, str):
            return item

        def replaced(match: re.Match[str]) -> str:
            return self._variable(match, path)

        whole = _VARIABLE.sub(replaced, item)
        if whole != item:
            self._hide(path, whole, item)
        return whole

    def _variable(self, match: re.Match[str], path: KeyPath) -> str:
        if match[0] == "$${":
            return "${"
        name, default = match[1], match[2]
        if name is None:
            self.mistake(path, "write ${NAME} or ${NAME:-default}, and $${ for a literal ${")
            return ""
        value = self._environ.get(name)
        if default is not None:
            value = value or default
        if not value and default is None:
            reason = f"the environment variable {name} is {'not set' if value is None else 'empty'}"
            self.mistake(path, f"{reason}; set it, or write ${{{name}:-default}}")
            return ""
        value = value or ""
        if not _is_text(value):
            self.mistake(path, f"the environment variable {name} is not UTF-8 text")
            return ""
        self._hide(path, value, match[0])
        return value

    def _hide(self, path: KeyPath, value: str, written: str) -> None:
        if value:
            self._hidden.append((path, value, written))

    def _from_file(self, annotation: Any, item: object, path: KeyPath) -> Any:
        before = len(self.mistakes)
        name = self._leaf(str, item, path)
        if len(self.mistakes) != before:
            return None
        text = self._content(self._directory / name, path)
        if text is None:
            return None
        self._hide(path, text, f"the content of {item}")
        return self._convert(annotation, text, path, strict=False)

    def _content(self, file: Path, path: KeyPath) -> str | None:
        """The value in a file; None, after a mistake, where there is none."""
        reason = None
        text = ""
        try:
            with file.open("rb") as opened:
                content = opened.read(_LARGEST_FILE + 1)
            text = content.decode().removesuffix("\n").removesuffix("\r")
            if len(content) > _LARGEST_FILE:
                reason = f"{file} is larger than 64 KiB; that is no value for a key"
            elif not text:
                reason = f"{file} is empty; write the value into it"
        except OSError as error:
            reason = f"{file} cannot be read: {error.strerror}"
        except UnicodeDecodeError:
            reason = f"{file} is not UTF-8 text"
        except ValueError:  # about the name itself
            reason = "must be the name of a file; it has a null character in it"
        if reason:
            self.mistaken_value(path, reason)
            return None
        return text


# --- single values ---------------------------------------------------------------------------


def _is_text(value: str) -> bool:
    """Whether there are only characters in it; bytes that were none become half a pair each."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _collected(origin: Any, items: list[Any]) -> Any:
    return items if origin is Sequence else origin(items)


def _parse(type_: type, value: object) -> Any:
    return value if type(value) is type_ else parse_value(type_, value)


def _culprit(
    reason: str, fields: Iterable[str], table: Mapping[str, object]
) -> tuple[str | None, str]:
    """The key, as the table writes it, that a reason begins with, and the reason without it."""
    name = re.split(r"\W", reason, maxsplit=1)[0]
    if name not in fields:
        return None, reason
    key = f"{name}_file" if f"{name}_file" in table and name not in table else name
    return key, re.sub(rf"^{name}(?:: | (?=must ))", "", reason)


def _unknown(key: str, fields: Mapping[str, msgspec.structs.FieldInfo]) -> str:
    files = [f"{name}_file" for name, field in fields.items() if is_text(field.type)]
    return f"unknown key{nearest(key, [*fields, *files]) or f'; known are {listed(fields)}'}"


def _reason(annotation: Any, item: object, message: str) -> str:
    """What msgspec says, in the words of somebody who writes TOML; never with the value."""
    for arm in arms(annotation):
        if get_origin(arm) is Literal:
            names = [json.dumps(name) for name in get_args(arm)]
            return f"must be one of {', '.join(names)}{nearest(json.dumps(item), names)}"
    match = _EXPECTED.fullmatch(message)
    if match is None:
        return message
    if match["rest"] == " of length >= 1":
        return "must not be empty"
    wanted = " or ".join(_WORDS.get(name, name) for name in match[1].split(" | "))
    got = f", not {_WORDS.get(match[2], match[2])}" if match[2] else ""
    rest = match["rest"].replace("matching regex", "that matches").replace(">=", "of at least")
    return f"must be {wanted}{rest}{got}".replace("<=", "of at most")
