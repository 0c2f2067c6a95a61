"""The back-orders of some organisations at CINX, made up.

Pure and repeatable. A list is told in an order of its own, which `shift` and `shuffle` disturb as
other people's work would: what they open or end has really opened or ended.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from types import MappingProxyType
from typing import Literal, Self
from uuid import UUID

from msgspec import Struct, structs

from consumer.simulators.cinx_details import detail_of, order_of, project_of, with_row
from consumer.simulators.cinx_rows import Firm, Line, Row, in_other_words, invent, move_on
from consumer.simulators.polled_world import Lines, Rates, Step

_START = date(2026, 1, 5)
_VENDORS = ("Alder Supply", "Brook & Pike", "Cask Industrial", "Dover Pipe", "Elm Fasteners")
_PROJECTS = ("HQ Renovation", "North Clinic", "Dock 9 Rebuild", "School Wing B")
_DEFAULT = ("Harbor Mechanical",)


class _Organisation(Struct):
    firm: Firm
    lines: Lines[Line]


class CinxWorld:
    """What the CINX API knows. Not for several threads at once.

    `organisations` are names with their API tokens, or names alone: then tokens are made up.
    `lines` is how many back-orders each has at first.
    """

    def __init__(
        self,
        seed: int,
        organisations: Mapping[str, str] | Sequence[str] = _DEFAULT,
        lines: int = 120,
        rates: Rates = Rates(),  # noqa: B008 - a frozen value
    ) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose, no secret
        self._today = _START
        self._by_token: dict[str, _Organisation] = {}
        for name in organisations:
            made_up = str(UUID(int=self._random.getrandbits(128), version=4))
            token = organisations[name] if isinstance(organisations, Mapping) else made_up
            own = Lines[Line](self._random, rates, lines)
            self._by_token[token] = _Organisation(_firm(name), own)
            for _ in range(lines):
                own.put(*self._new(_firm(name)))

    @classmethod
    def of(
        cls,
        rows: Mapping[str, Sequence[Row]],
        *,
        tokens: Mapping[str, str] | None = None,
        details: Iterable[Row] = (),
        seed: int = 0,
    ) -> Self:
        """Exactly these rows, by organisation, with these details; a step goes on from them."""
        world = cls(seed, tokens or tuple(rows), lines=0)
        by_guid = {str(detail["cinx_guid"]): detail for detail in details}
        for name, given in rows.items():
            world._named(name).lines.usual = len(given)
            for row in given:
                world.put(name, row, by_guid.get(str(row["cinx_guid"])))
        return world

    # --- what is true ------------------------------------------------------------------------

    @property
    def organisations(self) -> Mapping[str, str]:
        """API tokens by the names of organisations."""
        return {one.firm.name: token for token, one in self._by_token.items()}

    def rows(self, token: str, filters: Mapping[str, str] = {}) -> Sequence[Row]:
        """The rows that an organisation's list holds at present, in its order.

        `filters` are `delivery`, `project`, `vendor` and `po-guid`, as the list service takes them.
        """
        return [line.row for line in self.lines(token, filters)]

    def lines(self, token: str, filters: Mapping[str, str] = {}) -> Sequence[Line]:
        """The same with what the list does not say."""
        one = self._by_token[token]
        if not filters:
            return one.lines.listed
        asked = [(_MATCHES[name], value) for name, value in filters.items()]
        name = one.firm.name
        return [
            line for line in one.lines.listed if all(of(line, name) == value for of, value in asked)
        ]

    def detail(self, guid: str, token: str | None = None) -> Row | None:
        """What the detail service knows of a back-order: over or not, or None.

        With a `token` only of that organisation's.
        """
        for known, one in self._by_token.items():
            line = one.lines.present(guid) or one.lines.ended(guid)
            if line is not None and token in {None, known}:
                return detail_of(line, one.firm.name)
        return None

    # --- what changes it ---------------------------------------------------------------------

    def put(self, name: str, row: Row, detail: Row | None = None, *, at: int | None = None) -> None:
        """Open a back-order of an organisation, or replace it; `at` is the place of a new one."""
        guid = str(row["cinx_guid"])
        place = (detail or {}).get("delivery", {}).get("location_type")
        delivery = place or row.get("delivery_location_type")
        frozen = MappingProxyType(dict(row))
        line = Line(guid=guid, row=frozen, delivery=delivery, detail=detail)
        self._named(name).lines.put(guid, line, at=at)

    def change(self, guid: str, **fields: object) -> None:
        """Change fields of a row; its detail says the same. `KeyError` where it is not there."""
        lines = self._holder(guid).lines
        line = lines[guid]
        lines.put(guid, _with(line, MappingProxyType({**line.row, **fields})))

    def end(self, guid: str) -> None:
        """End a back-order: the list has it no more, its detail says that it was cleared.

        `KeyError` where it is not there.
        """
        lines = self._holder(guid).lines
        lines.end(guid, self._over(lines[guid]))

    def forget(self, guid: str) -> None:
        """Let a back-order go without a trace: its detail is not found any more."""
        self._holder(guid).lines.forget(guid)

    def shift(self, token: str, offset: int, how: Literal["inserted", "removed", "moved"]) -> None:
        """What somebody else does while a list is read beyond `offset`: a back-order opens, ends,
        or is told earlier. Where there is none that could, nothing happens.
        """
        one = self._by_token[token]
        before = self._random.randrange(offset) if offset else 0
        keys = tuple(one.lines)
        if how == "inserted":
            one.lines.put(*self._new(one.firm), at=before)
        elif how == "removed" and before < len(keys):
            self.end(keys[before])
        elif how == "moved" and offset < len(keys):
            one.lines.move(keys[self._random.randrange(offset, len(keys))], before)

    def shuffle(self, token: str) -> None:
        """Tell an organisation's list in another order from now on."""
        self._by_token[token].lines.shuffle(self._random)

    def step(self) -> Step:
        """A day goes by for every organisation; keys are `cinx_guid`s."""
        self._today += timedelta(days=1)
        steps = (
            one.lines.step(
                new=partial(self._new, one.firm),
                changed=self._moved_on,
                over=self._over,
                rephrased=self._rephrased,
            )
            for one in self._by_token.values()
        )
        return sum(steps, Step())

    def _new(self, firm: Firm) -> tuple[str, Line]:
        line = invent(self._random, firm, self._today)
        return line.guid, line

    def _moved_on(self, line: Line) -> Line:
        return _with(line, move_on(self._random, line.row, self._today))

    def _rephrased(self, line: Line) -> Line:
        return _with(line, in_other_words(self._random, line.row))

    def _over(self, line: Line) -> Line:
        return _with(line, line.row, self._today.isoformat())

    def _named(self, name: str) -> _Organisation:
        return next(one for one in self._by_token.values() if one.firm.name == name)

    def _holder(self, guid: str) -> _Organisation:
        for one in self._by_token.values():
            if one.lines.present(guid) or one.lines.ended(guid):
                return one
        raise KeyError(guid)


def _with(line: Line, row: Row, cleared: str = "") -> Line:
    """A line with another row; a detail that was given says the same."""
    detail = line.detail and with_row(line.detail, row, cleared)
    return structs.replace(line, row=row, detail=detail, cleared=cleared)


def _firm(name: str) -> Firm:
    """What an organisation orders for, and from whom."""
    mark = "".join(word[0] for word in name.split()).upper()
    return Firm(
        name=name,
        projects=tuple((f"{mark}-26-{number:02d}", text) for number, text in enumerate(_PROJECTS)),
        vendors=tuple((f"V{number:03d}", text) for number, text in enumerate(_VENDORS, 1)),
    )


_MATCHES: Mapping[str, Callable[[Line, str], str | None]] = {
    "delivery": lambda line, _: line.delivery,
    "vendor": lambda line, _: line.row.get("vendor_number"),
    "project": project_of,
    "po-guid": order_of,
}
