"""The two systems as scenes for `poller_stage`: small worlds, what happens in them, their truth."""

import random
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

import msgspec
from aiohttp import web
from msgspec import structs

from consumer.event import Data
from consumer.model import Known
from consumer.normalisation.polled import POLLED
from consumer.polling import HoldSettings
from consumer.ports import Poller
from consumer.simulators.cinx import CinxServer
from consumer.simulators.cinx_answers import Counts
from consumer.simulators.cinx_rows import Line, in_other_words, number_in
from consumer.simulators.cinx_world import CinxWorld
from consumer.simulators.mvet import MvetServer
from consumer.simulators.mvet_world import MvetWorld, Row
from consumer.simulators.polled_server import Answer
from consumer.simulators.polled_world import Rates
from consumer.sources.cinx import Cinx, CinxOptions
from consumer.sources.mvet import Mvet, MvetOptions
from consumer.values import PositiveDuration, Secret, Size
from poller_stage import Alter, Restrained, Stage, Staged

# Much happens in a step: the worlds are small.
RATES = Rates(opened=0.2, updated=0.3, cleared=0.2, reopened=0.4, rephrased=0.2, remembered=3)

_LATE = 0.3  # how late `slow` is where the poller does not wait that long
_IMPATIENT = PositiveDuration(0.1)
_PATIENT = PositiveDuration(60)
_HUGE = 128 << 10
_MOST = Size(96 << 10)


def troubles(seed: int, *, patient: bool) -> Restrained:
    """Switches that cost little time."""
    return Restrained(seed, delay=0.005 if patient else _LATE, retry_after=0, huge=_HUGE)


# --- MVET --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MvetSetting:
    """How MVET is and how it is polled; see `MvetOptions`."""

    seed: int = 0
    lines: int = 6
    customers: tuple[str, ...] = ("0002789",)
    hold: HoldSettings = field(default_factory=HoldSettings)
    etag: bool = False
    attempts: int = 1
    concurrency: int = 1
    patient: bool = True


class _MvetServer(Staged, MvetServer):
    scene: "MvetScene"

    def _answer(self, request: web.Request) -> Answer:
        assert isinstance(self.faults, Restrained)
        # A second empty answer after one that was held is as good as true (`snapshot`, rule 2).
        customer = request.query.get("customer", "")
        self.faults.muted = frozenset({"empty"} if customer in self.scene.held else ())
        return super()._answer(request)


class MvetScene:
    """A world of some customers' lines; the natural keys repeat."""

    def __init__(self, setting: MvetSetting) -> None:
        self.setting = setting
        self.world = MvetWorld(setting.seed, setting.customers, setting.lines, RATES)
        faults = troubles(setting.seed, patient=setting.patient)
        self.server = _MvetServer(self.world, faults, etag=setting.etag)
        self.server.scene = self
        self.held: set[str] = set()
        self._gone: list[tuple[str, Row]] = []
        self._serial = 46_000_000
        self._read: dict[bytes, Data] = {}

    def source(self, *, patient: bool) -> Poller:
        setting = self.setting
        return Mvet(
            MvetOptions(
                type="mvet",
                name="mvet",
                base_url=self.server.url,
                customers=setting.customers,
                hold=setting.hold,
                attempts=setting.attempts,
                concurrency=setting.concurrency,
                timeout=_PATIENT if patient else _IMPATIENT,
                max_body=_MOST,
            )
        )

    async def expect(self, stage: Stage) -> None:
        self.held = {
            customer
            for customer in self.setting.customers
            if (await stage.journal.known(_mvet(customer))).held
        }

    def truth(self) -> list[tuple[str, str, Data]]:
        return [
            (_mvet(customer), *self._line(customer, row))
            for customer in self.setting.customers
            for row in self.world.lines(customer)
        ]

    def _line(self, customer: str, row: Row) -> tuple[str, Data]:
        body = msgspec.json.encode(dict(row))
        key = f"{row['orderNumber']}/{row['itemNumber']}"
        if body not in self._read:
            self._read[body] = POLLED["mvet"].line(body, account=customer)
        return key, self._read[body]

    # --- what happens ------------------------------------------------------------------------

    async def alter(
        self,
        alter: Alter,
        stage: Stage,  # noqa: ARG002 - for others
        *,
        polling: bool,  # noqa: ARG002 - likewise
    ) -> None:
        customer = self.setting.customers[alter.nth % len(self.setting.customers)]
        rows = self.world.lines(customer)
        at = alter.nth % len(rows) if rows else 0
        match alter.what:
            case "opened":
                self._serial += 1
                self.world.put(customer, _row(customer, self._serial, alter.nth))
            case "returned" if self._gone:
                self.world.put(*self._gone.pop(alter.nth % len(self._gone)))
            case "stepped":
                self.world.step()
            case "emptied":
                for _ in rows:
                    self._end(customer, 0)
            case "repeated" if rows:
                self.world.put(customer, rows[at])
            case "varied" if rows:
                self.world.put(customer, {**rows[at], "orderedQuantity": alter.nth})
            case "changed" if rows:
                self.world.change(customer, at, backorderedQuantity=alter.nth)
            case "ended" if rows:
                self._end(customer, at)

    def _end(self, customer: str, at: int) -> None:
        self._gone.append((customer, self.world.lines(customer)[at]))
        self.world.end(customer, at)


def _mvet(customer: str) -> str:
    return f"/mvet/{customer}"


def _row(customer: str, order: int, nth: int) -> Row:
    return {
        "date": 20260105,
        "orderNumber": order,
        "accountNumber": customer,
        "itemNumber": f"350.{nth:05d}.2",
        "description": "OPENED",
        "backorderedQuantity": 1,
        "orderedQuantity": 1,
        "shippedQuantity": 0,
    }


# --- CINX --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CinxSetting:
    """How CINX is and how it is polled; see `CinxServer` and `CinxOptions`."""

    seed: int = 0
    lines: int = 6
    organisations: tuple[str, ...] = ("Harbor & Söhne",)
    looked_up: bool = False
    authentication: Literal["basic", "bearer"] = "basic"
    detail: Literal["never", "changed"] = "changed"
    format: Literal["json", "xml"] = "json"
    page_size: int = 3
    largest: int | None = None
    counts: Counts = "true"
    hold: HoldSettings = field(default_factory=HoldSettings)
    etag: bool = False
    attempts: int = 1
    concurrency: int = 1
    patient: bool = True


class _CinxServer(Staged, CinxServer):
    pass


class CinxScene:
    """A world of some organisations' back-orders."""

    def __init__(self, setting: CinxSetting) -> None:
        self.setting = setting
        self.world = CinxWorld(setting.seed, setting.organisations, setting.lines, RATES)
        self.server = _CinxServer(
            self.world,
            troubles(setting.seed, patient=setting.patient),
            largest=setting.largest,
            counts=setting.counts,
            etag=setting.etag,
        )
        self._gone: dict[str, tuple[str, Line]] = {}
        self._read: dict[tuple[str, bytes, bytes], Data] = {}

    @property
    def _polled(self) -> dict[str, str]:
        """API tokens by the names of the organisations that are polled."""
        all_ = dict(self.world.organisations)
        return all_ if self.setting.looked_up else dict(list(all_.items())[:1])

    def source(self, *, patient: bool) -> Poller:
        setting = self.setting
        [(name, token), *_] = self._polled.items()
        return Cinx(
            CinxOptions(
                type="cinx",
                name="cinx",
                base_url=self.server.url,
                username="me@example.com",
                password=Secret("secret"),
                authentication=setting.authentication,
                api_token=Secret("" if setting.looked_up else token),
                organisation="" if setting.looked_up else name,
                detail=setting.detail,
                format=setting.format,
                page_size=setting.page_size,
                hold=setting.hold,
                attempts=setting.attempts,
                concurrency=setting.concurrency,
                timeout=_PATIENT if patient else _IMPATIENT,
                max_body=_MOST,
            )
        )

    async def expect(self, stage: Stage) -> None:
        """Nothing: that a line is over is its detail's to say, so a list may lie as it likes."""

    def truth(self) -> list[tuple[str, str, Data]]:
        return [
            (_cinx(name), line.guid, self._line(name, token, line))
            for name, token in self._polled.items()
            for line in self.world.lines(token)
        ]

    def _line(self, name: str, token: str, line: Line) -> Data:
        body, detail = msgspec.json.encode(dict(line.row)), b""
        if self.setting.detail == "changed":
            detail = msgspec.json.encode(self.world.detail(line.guid, token))
        told = (name, body, detail)
        if told not in self._read:
            account = quote(name, safe="")
            said = POLLED["cinx"].line(body, account=account, detail=detail or None)
            self._read[told] = said
        return self._read[told]

    # --- what happens ------------------------------------------------------------------------

    async def alter(self, alter: Alter, stage: Stage, *, polling: bool) -> None:
        names = list(self._polled)
        name = names[alter.nth % len(names)]
        token = self._polled[name]
        lines = self.world.lines(token)
        match alter.what:
            case "opened":
                self.world.shift(token, 0, "inserted")
            case "stepped":
                self.world.step()
            case "shuffled":
                self.world.shuffle(token)
            case "emptied":
                for each in lines:
                    self._end(name, each)
            case "returned" if self._gone:
                guid = list(self._gone)[alter.nth % len(self._gone)]
                await self._return(guid, stage, same=alter.nth % 2 == 0 and not polling)
            case _ if lines:
                self._alter_line(alter, name, lines[alter.nth % len(lines)])

    def _alter_line(self, alter: Alter, name: str, line: Line) -> None:
        match alter.what:
            case "changed":
                self.world.change(line.guid, **_news(line, quantity_back_ordered=alter.nth))
            case "rephrased":
                again = in_other_words(random.Random(alter.nth), line.row)  # noqa: S311 - repeatable
                self.world.change(line.guid, **again)
            case "ended":
                self._end(name, line)
            case "forgotten":
                self._gone[line.guid] = name, line
                self.world.forget(line.guid)

    def _end(self, name: str, line: Line) -> None:
        self._gone[line.guid] = name, line
        self.world.end(line.guid)

    async def _return(self, guid: str, stage: Stage, *, same: bool) -> None:
        """A line comes back; `same`: as if it had never been away, where a poller can notice."""
        name, line = self._gone.pop(guid)
        lines = self.world._named(name).lines
        if lines.present(guid) is not None:
            return
        known = await remembered(stage, _cinx(name), guid)
        if not same or (known is not None and known.ended and known.digest):
            row = {**line.row, **_news(line)}
            line = structs.replace(line, row=row)
        lines.put(guid, line)


def _cinx(name: str) -> str:
    return f"/cinx/{quote(name, safe='')}"


def _news(line: Line, **fields: object) -> dict[str, Any]:
    """A change as CINX makes it: the row says that there was one."""
    return {**fields, "update_count": int(number_in(line.row.get("update_count"))) + 1}


async def remembered(stage: Stage, source: str, subject: str) -> Known | None:
    """What the poller knows of a line, in memory or in the journal."""
    memory = stage.surveyor._memories.get(source)
    if memory is not None and memory.lines is not None:
        return memory.lines.known.get(subject)
    return (await stage.journal.known(source)).lines.get(subject)
