"""Tables for people: columns as wide as their widest cell, numbers to the right.

Text from upstreams cannot steer a terminal: control characters show as `?`.
"""

from collections.abc import Sequence
from datetime import timedelta

import click

from consumer.sinks.stdout import harmless, plain

__all__ = ["counted", "first_of", "harmless", "plain", "show", "span"]

# Things that a line names at the most.
_NAMED = 5


def show(titles: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Print rows under titles, or `empty` where there are none. None shows as `-`."""
    if not rows:
        click.echo(empty)
        return
    cells = [[_text(cell) for cell in row] for row in rows]
    widths = [
        max(len(title), *(len(row[index]) for row in cells)) for index, title in enumerate(titles)
    ]
    numeric = [isinstance(cell, int) for cell in rows[0]]
    for line in (titles, *cells):
        padded = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ]
        click.echo("  ".join(padded).rstrip())


def span(length: timedelta) -> str:
    """A length of time as people say it: the two largest units of it, `12m 54s`."""
    seconds = max(0, int(length.total_seconds()))
    parts = (
        ("d", seconds // 86_400),
        ("h", seconds // 3_600 % 24),
        ("m", seconds // 60 % 60),
        ("s", seconds % 60),
    )
    first = next((place for place, (_, count) in enumerate(parts) if count), len(parts) - 1)
    return " ".join(f"{count}{unit}" for unit, count in parts[first : first + 2])


def counted(number: int, thing: str) -> str:
    """So many of a thing: `1 event`, `2 events`."""
    return f"{number} {thing if number == 1 else thing + 's'}"


def first_of(things: Sequence[object]) -> str:
    """The first few of many, and how many more there are."""
    named = ", ".join(map(str, things[:_NAMED]))
    return named if len(things) <= _NAMED else f"{named} and {len(things) - _NAMED} more"


def _text(cell: object) -> str:
    return "-" if cell is None else plain(str(cell))
