"""SQL that stands in files beside the modules that use it.

A file of statements is cut at its `-- name: NAME` lines; each part is one statement with its
comment. A file of a schema is one step of the migration to the version that its name ends in, and
there is one for every version from 1 on.
"""

import re
from collections.abc import Mapping
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def _text(file: str) -> str:
    return files(__package__).joinpath(file).read_text(encoding="utf-8")


def statements(file: str) -> Mapping[str, str]:
    """The statements of a file by name; a name that is given twice is an error."""
    _, *parts = _NAME.split(_text(file))
    named = dict(zip(parts[::2], parts[1::2], strict=True))
    if len(named) != len(parts) // 2:
        raise ValueError(f"{file} names a statement twice")
    return named


def migrations(stem: str) -> tuple[str, ...]:
    """The schema files `{stem}_1.sql`, `{stem}_2.sql` and so on, in order."""
    pattern = re.compile(rf"{re.escape(stem)}_(\d+)\.sql")
    found = [pattern.fullmatch(file.name) for file in files(__package__).iterdir()]
    numbers = sorted(int(match[1]) for match in found if match)
    if numbers != list(range(1, len(numbers) + 1)):
        raise ValueError(f"the schema files {stem}_*.sql are not numbered one after the other")
    return tuple(_text(f"{stem}_{number}.sql") for number in numbers)
