"""What the tests of the surveyor share: rows, polls as a source makes them, and the folded stream.

`Bench` polls one scope; `fold` replays events and fails at a transition that cannot be.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from consumer.event import Data, Event
from consumer.model import Entry, Outcome, Scope
from consumer.ports import Journal
from consumer.settings import PrivacySettings
from consumer.survey import Page, Survey, Tally
from consumer.surveyor import Surveyor
from consumer.telemetry import Log, Metrics

MVET = Scope(source="/mvet/0002789", origin="mvet", system="mvet", view="v1")
CINX = Scope(source="/cinx/WTS", origin="cinx", system="cinx", view="v1")

Row = dict[str, Any]


def mvet(order: int = 1, item: str = "a", quantity: int = 1, **fields: Any) -> Row:
    return {
        "orderNumber": order,
        "accountNumber": "0002789",
        "itemNumber": item,
        "backorderedQuantity": quantity,
        **fields,
    }


def cinx(guid: str, quantity: int = 1, **fields: Any) -> Row:
    return {"cinx_guid": guid, "quantity_back_ordered": quantity, **fields}


def detail(guid: str, *, cleared: str = "", **fields: Any) -> bytes:
    return encoded(
        {"cinx_guid": guid, "dates": {"cleared": cleared}, "item_type": "MATERIAL", **fields}
    )


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


def page(rows: Sequence[Row]) -> Page:
    content = encoded(rows)
    return Page(content=content, body=b'{"rows": ' + content + b"}")


class Bench:
    """Surveys of one scope over a journal. `commits` counts, `restart` forgets all but the journal.

    `before_commit` and `after_commit` may raise.
    """

    def __init__(
        self, journal: Journal, scope: Scope = MVET, privacy: PrivacySettings | None = None
    ) -> None:
        self.journal = journal
        self.scope = scope
        self.privacy = privacy or PrivacySettings()
        self.commits = 0
        self.before_commit: Callable[[], Awaitable[None]] = _nothing
        self.after_commit: Callable[[], Awaitable[None]] = _nothing
        self.restart()

    def restart(self) -> None:
        self.metrics = Metrics()
        self.surveyor = Surveyor(
            self.journal,
            commit=self._commit,
            privacy=self.privacy,
            metrics=self.metrics,
            log=Log(),
        )

    async def _commit(self, entries: Sequence[Entry]) -> Sequence[Outcome]:
        self.commits += 1
        await self.before_commit()
        outcomes = await self.journal.append(entries)
        await self.after_commit()
        return outcomes

    @asynccontextmanager
    async def survey(self) -> AsyncIterator[Survey]:
        async with self.surveyor.survey(self.scope) as survey:
            yield survey

    async def poll(
        self,
        *pages: Sequence[Row],
        details: Mapping[str, bytes | None] | None = None,
        ended: Mapping[str, bytes | None] | None = None,
        broken: str | None = None,
    ) -> Tally:
        """A poll as a source makes it. Without `ended` everything missing is believed to be over;
        `details` are those of the rows that are fresh.
        """
        async with self.survey() as survey:
            for rows in pages:
                reading = await survey.see(page(rows))
                await survey.tell(reading.fresh, details or {})
            if broken:
                await survey.broken(broken)
            missing = dict.fromkeys(subject for subject, _ in survey.missing())
            return await survey.finish(missing if ended is None else ended)

    async def events(self) -> Sequence[Event]:
        records = await self.journal.read(0, limit=1_000_000, max_bytes=1 << 40)
        return [msgspec.json.decode(record.body, type=Event) for record in records]

    async def facts(self) -> Sequence[str]:
        """Every event as `type subject`, without `backorder.`."""
        return [
            f"{event.type.removeprefix('backorder.')} {event.subject}"
            for event in await self.events()
        ]

    async def open_lines(self) -> Mapping[str, Data]:
        """What the stream says is open."""
        return fold(await self.events())

    def counted(self, line: str) -> bool:
        return f"\n{line}\n".encode() in self.metrics.render()


async def _nothing() -> None:
    """Commits go through."""


def fold(events: Sequence[Event]) -> Mapping[str, Data]:
    """The open lines and what was said of them last; every transition has to be a possible one."""
    lines: dict[str, Data] = {}
    assert len({event.id for event in events}) == len(events)
    for event in events:
        was_open = event.subject in lines
        assert was_open == (event.type != "backorder.opened"), event
        data = replace(event.data, changes=UNSET)
        if event.type == "backorder.updated":
            assert lines[event.subject] != data
            assert event.data.changes
        if event.type == "backorder.cleared":
            del lines[event.subject]
        else:
            lines[event.subject] = data
    return lines


def quantities(lines: Mapping[str, Data]) -> Mapping[str, str | None]:
    return {subject: data.quantity.backordered for subject, data in lines.items()}
