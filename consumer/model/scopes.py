"""What pollers know: scopes, their lines, and what one poll makes known about them."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

System = Literal["radial", "mvet", "cinx"]

MARK = "#"  # no natural key holds one (`consumer.normalisation.polled`)


def numbered(key: str, occurrence: int = 1) -> str:
    """The subject of the nth line with one natural key: `key`, `key#2` and so on."""
    return key if occurrence == 1 else f"{key}{MARK}{occurrence}"


class Known(Struct, frozen=True):
    """What is known of one line that a poller has told.

    `digest` is that of the upstream's row as it was last looked at; empty: look at it again
    whatever it says. `revision` is the number of the line's newest fact, which its id is made with:
    the first one has the scope's floor as it was then (`Watched.floor`), each one more than that
    before it. One below the floor: it was over before anything was told of it.

    `view` is how the poller that saw it last looks at the scope (`Scope.view`). A line that two
    pollers see in two views belongs to whichever saw it last, so each of their polls writes it.
    """

    digest: bytes
    revision: int
    view: str
    ended: bool = False


class Watch(Struct, frozen=True, kw_only=True):
    """What a poll makes known about a scope, committed together with the events of its entry.

    `source` is the CloudEvents attribute. `lines` are those that were looked at, by subject: those
    of the entry's events, and others that said nothing new. `held` replaces the subjects that are
    missing and held (`consumer.snapshot`); None leaves them as they are.

    The scope belongs to the configured source of the entry's message from then on, and so do its
    lines: a source that was given another name takes them along.
    """

    source: str
    view: str
    lines: Mapping[str, Known] = {}
    held: frozenset[str] | None = None


class Watched(Struct, frozen=True, kw_only=True):
    """What the journal knows of a scope. `floor` is the revision that a new line begins with,
    `origin` the name of the source that polled it last; None: it was never polled.
    """

    lines: Mapping[str, Known] = {}
    held: frozenset[str] = frozenset()
    floor: int = 0
    origin: str | None = None


class Scope(Struct, frozen=True, kw_only=True):
    """Lines that a poller sees together.

    `source` is the CloudEvents attribute (`/mvet/0002789`), `origin` the name of the configured
    source. `view` is a short digest of how it is looked at (address, filters): a line that was seen
    in another view is not missing because it is not in this one.

    Where more than `hold_count` lines, and more than `hold_share` of them (0 to 1), or all of them
    are missing at once, that is not believed until a second complete answer agrees; with a share of
    1 it always is.
    """

    source: str
    origin: str
    system: System
    view: str
    hold_share: float = 0.5
    hold_count: int = 20


class ScopeCount(Struct, frozen=True, kw_only=True):
    """How many lines of a scope are open, by who polled it last (`origin`) and in which view."""

    source: str
    origin: str
    view: str
    open: int
