"""On which line each key of a TOML document stands, so that a mistake can be pointed at.

`tomllib` reads a document but forgets where things stood. This scanner reads the same text once
more and remembers nothing else. It trusts that `tomllib` has accepted the text, so it checks
nothing: it only has to tell keys from values, and to step over strings and comments.
"""

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping

KeyPath = tuple[str | int, ...]

_BLANK = re.compile(r"(?:\s|#[^\n]*)*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_SCALAR = re.compile(
    r'''"""(?:\\.|[^\\])*?"""(?:"{0,2})'''  # a multi-line string may end in quotes of its own
    r"|'''.*?'''(?:'{0,2})"
    r'''|"(?:[^"\\\n]|\\.)*"'''
    r"""|'[^'\n]*'"""
    r"""|[^,\]}\n#]+""",
    re.DOTALL,
)


def key_lines(text: str) -> Mapping[KeyPath, int]:
    """The line, counted from 1, of every table, key and array element.

    `text` must be valid TOML. RecursionError where it is nested absurdly deep.
    """
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


def nearest_line(lines: Mapping[KeyPath, int], path: KeyPath) -> int | None:
    """The line of a key or, where it stands nowhere, of the innermost table around it."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path)


def dotted(path: KeyPath) -> str:
    """A key as people write it: `sinks[1].url`; array elements count from 0."""
    written = ""
    for part in path:
        if isinstance(part, int):
            written += f"[{part}]"
        else:
            bare = part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else f'"{part}"'
            written += f".{bare}" if written else bare
    return written


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self._ends = [place.start() for place in re.finditer("\n", text)]
        self._lengths: dict[KeyPath, int] = {}  # how many `[[tables]]` so far

    def document(self) -> None:
        table: KeyPath = ()
        while self._skip_blank():
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _skip_blank(self) -> bool:
        """Step over white space and comments; whether anything is left."""
        blank = _BLANK.match(self.text, self.at)
        self.at = blank.end() if blank else self.at
        return self.at < len(self.text)

    def _remember(self, path: KeyPath) -> None:
        self.lines.setdefault(path, bisect_right(self._ends, self.at - 1) + 1)

    def _header(self) -> KeyPath:
        """`[a.b]` or `[[a.b]]`; where a part names an array of tables, its last one is meant."""
        is_array = self.text.startswith("[[", self.at)
        self.at += 2 if is_array else 1
        self._skip_blank()
        path: KeyPath = ()
        keys = self._keys()
        for place, key in enumerate(keys, start=1):
            path = (*path, key)
            self._remember(path)
            if path in self._lengths and not (is_array and place == len(keys)):
                path = (*path, self._lengths[path] - 1)
        if is_array:
            index = self._lengths.get(path, 0)
            self._lengths[path] = index + 1
            path = (*path, index)
            self._remember(path)
        self._skip_blank()
        self.at += 2 if is_array else 1
        return path

    def _keys(self) -> list[str]:
        keys = []
        while match := _KEY.match(self.text, self.at):
            self.at = match.end()
            token = match[0]
            keys.append(tomllib.loads(f"k={token}")["k"] if token[0] in "\"'" else token)
            dot = _DOT.match(self.text, self.at)
            if dot is None:
                break
            self.at = dot.end()
        return keys

    def _pair(self, table: KeyPath) -> None:
        """`a.b = value`, in a table or within `{}`."""
        start = self.at
        path = table
        keys = self._keys()
        after, self.at = self.at, start
        for key in keys:
            path = (*path, key)
            self._remember(path)
        self.at = self.text.index("=", after) + 1
        self._skip_blank()
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        opening = self.text[self.at]
        if opening in "[{":
            self.at += 1
            self._items(path, in_table=opening == "{")
        elif match := _SCALAR.match(self.text, self.at):
            self.at = match.end()

    def _items(self, path: KeyPath, *, in_table: bool) -> None:
        """What stands between `[` and `]` or `{` and `}`, and the closing bracket."""
        index = 0
        while self._skip_blank():
            if self.text[self.at] in "]}":
                self.at += 1
                return
            if self.text[self.at] == ",":
                self.at += 1
            elif in_table:
                self._pair(path)
            else:
                self._remember((*path, index))
                self._value((*path, index))
                index += 1
