"""Which payloads in quarantine a person means: by id, by the beginning of one, or all of them."""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from consumer.cli import table
from consumer.errors import Unusable
from consumer.journal.sqlite import SqliteJournal
from consumer.model import Quarantined

_PAGE = 500
_SHOWN = 5


class Wanted(NamedTuple):
    """A payload to do something with; `size` in bytes."""

    id: str
    size: int

    @classmethod
    def of(cls, payload: Quarantined) -> "Wanted":
        """What there is to know of a payload."""
        return cls(payload.id, payload.size)


async def known(journal: SqliteJournal, ids: Sequence[str]) -> tuple[list[Wanted], list[str]]:
    """The payloads that ids name, and the ids that name none."""
    found = {id_: await meant(journal, id_) for id_ in ids}
    payloads = {each.id: Wanted.of(each) for each in found.values() if each}
    return list(payloads.values()), [id_ for id_, each in found.items() if each is None]


async def everything_in(journal: SqliteJournal) -> AsyncIterator[Quarantined]:
    """All that is in quarantine, without the payloads themselves."""
    after = 0
    while page := await journal.quarantined(limit=_PAGE, after=after, bodies=False):
        for payload in page:
            yield payload
        after = page[-1].position


async def meant(journal: SqliteJournal, id_: str) -> Quarantined | None:
    """The payload whose id begins so; None where there is none, `Unusable` where there are more."""
    found = await journal.quarantined(id_.lower(), limit=_SHOWN + 1, bodies=False)
    if len(found) > 1:
        names = [payload.id for payload in found[:_SHOWN]] + ["…"] * (len(found) > _SHOWN)
        raise Unusable(
            f"the ids of several payloads begin with {id_}: {', '.join(names)}",
            "Give more of the one that is meant",
        )
    return found[0] if found else None


def missing(ids: Sequence[str]) -> Unusable:
    """The error for ids that name no payload."""
    return Unusable(
        f"not in quarantine: {table.plain(table.first_of(ids))}", "`quarantine list` shows what is"
    )
