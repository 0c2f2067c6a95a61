"""What MVET's customers wait for, made up: the lines of its back-order inquiry.

Pure and repeatable. A row has the published fields, and the published traps: account and item
numbers with leading zeros, descriptions with quotes, `%`, `/` and double spaces, now and then a
quantity that is no whole number, and now and then the same item twice on one order. All names of
articles are made up.
"""

import random
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import partial
from itertools import count
from types import MappingProxyType
from typing import Any, Self

from consumer.simulators.polled_world import Lines, Rates, Step

Row = Mapping[str, Any]

_START = datetime(2026, 1, 5, 8, 0)  # noqa: DTZ001 - the upstream's own days, without a zone
_HOURS_A_STEP = 6
_CHANCE_OF_THE_SAME_ORDER = 0.7
_CHANCE_OF_THE_SAME_ITEM = 0.03
_CHANCE_OF_A_PART = 0.01

_MAKERS = ("WILLOWBARK", "Vr", "NORTHPAW", "TAMSIN", "OAKHOOF", "BRIAR & CO", "QUILLET", "LUMA")
_GOODS = (
    "MUZZLE SOFT SET/6",
    'POROUS TAPE WHITE 1"',
    "SHOE COVERS XL",
    "OMEGA DROPS 500ml",
    "ADAPTER PLUG 1/4cc -",
    "FLUSH SOLUTION 0.9%",
    "EYE DROPS  5ml",
    "STERILE SLEEVE 5X5ml",
    "CARRIER SLIDING CAT",
    "BOWL STEEL 16oz",
    "CHEW BONE MED",
    "CHLORHEX SCRUB 4%  1gal",
    'SUTURE 3/0 24" (NEEDLE 3/8)',
    "GLOVES 'NITRILE' LG 100/BX",
    "EAR WASH 8oz  ALOE",
    "WIPES HYDRA 7/PK",
)
_QUANTITIES = (1, 1, 1, 2, 2, 3, 4, 5, 6, 12, 24)
_OTHER_WORDS = "  NEW PACK"


class MvetWorld:
    """The back-orders of some customers. Not for several threads at once.

    `lines` is how many each customer has at first.
    """

    def __init__(
        self,
        seed: int,
        customers: Sequence[str] = ("0002789",),
        lines: int = 40,
        rates: Rates = Rates(),  # noqa: B008 - a frozen value
    ) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose, no secret
        self._now = _START
        self._serials = count(1)
        self._order = 45_000_000 + self._random.randrange(900_000)
        self._catalogue = [self._article() for _ in range(max(40, lines // 4))]
        self._accounts = {name: Lines[Row](self._random, rates, lines) for name in customers}
        self._last: dict[str, Row] = {}
        for customer, account in self._accounts.items():
            for _ in range(lines):
                account.put(*self._new(customer))

    @classmethod
    def of(cls, rows: Mapping[str, Sequence[Row]], *, seed: int = 0) -> Self:
        """Exactly these rows, by customer; a step goes on from them."""
        world = cls(seed, tuple(rows), lines=0)
        for customer, given in rows.items():
            world._accounts[customer].usual = len(given)
            for row in given:
                world.put(customer, row)
        return world

    # --- what is true ------------------------------------------------------------------------

    @property
    def customers(self) -> tuple[str, ...]:
        """Whose back-orders these are."""
        return tuple(self._accounts)

    def lines(self, customer: str) -> tuple[Row, ...]:
        """The rows of a customer as they are told at present; none for one that nobody knows."""
        account = self._accounts.get(customer)
        return () if account is None else account.listed

    # --- what changes it ---------------------------------------------------------------------

    def put(self, customer: str, row: Row) -> str:
        """Open a line; the key by which this world knows it."""
        key = str(next(self._serials))
        self._accounts[customer].put(key, MappingProxyType(dict(row)))
        return key

    def change(self, customer: str, index: int, **fields: object) -> None:
        """Change fields of the line that is told at this place."""
        key = tuple(self._accounts[customer])[index]
        row = self._accounts[customer].listed[index]
        self._accounts[customer].put(key, MappingProxyType({**row, **fields}))

    def end(self, customer: str, index: int) -> None:
        """End the line that is told at this place."""
        self._accounts[customer].end(tuple(self._accounts[customer])[index])

    def step(self) -> Step:
        """Six hours go by for every customer; keys of lines are this world's own."""
        self._now += timedelta(hours=_HOURS_A_STEP)
        steps = (
            account.step(new=partial(self._new, customer), changed=self._changed)
            for customer, account in self._accounts.items()
        )
        return sum(steps, Step())

    # --- making things up --------------------------------------------------------------------

    def _article(self) -> tuple[str, str]:
        """An item number and its description."""
        pick, number = self._random.choice, self._random.randrange
        item = f"{number(700):03d}.{number(100_000):05d}.{number(2, 4)}"
        return item, f"{pick(_MAKERS)} {pick(_GOODS)}"

    def _new(self, customer: str) -> tuple[str, Row]:
        """A line of a new order, or one more of the order before."""
        chance = self._random.random
        before = self._last.get(customer)
        if before is None or chance() >= _CHANCE_OF_THE_SAME_ORDER:
            self._order += self._random.randrange(1, 9)
            before = None
        item, description = self._random.choice(self._catalogue)
        if before is not None and chance() < _CHANCE_OF_THE_SAME_ITEM:
            item, description = before["itemNumber"], before["description"]
        ordered: int | float = self._random.choice(_QUANTITIES)
        if chance() < _CHANCE_OF_A_PART:
            ordered += 0.5
        shipped = self._random.randrange(int(ordered)) if chance() < 0.2 else 0  # noqa: PLR2004
        row = MappingProxyType(
            {
                "date": before["date"] if before else _day(self._now.date()),
                "orderNumber": self._order,
                "accountNumber": customer,
                "itemNumber": item,
                "description": description,
                "backorderedQuantity": ordered - shipped,
                "orderedQuantity": ordered,
                "shippedQuantity": shipped,
            }
        )
        self._last[customer] = row
        return str(next(self._serials)), row

    def _changed(self, row: Row) -> Row:
        """A part is shipped, more is ordered, or the article has another name."""
        waiting, ordered = row["backorderedQuantity"], row["orderedQuantity"]
        shipped = row["shippedQuantity"]
        what = self._random.random()
        if waiting > 1 and what < 0.6:  # noqa: PLR2004 - most changes are shipments
            part = self._random.randrange(1, max(2, int(waiting)))
            fields = {"backorderedQuantity": waiting - part, "shippedQuantity": shipped + part}
        elif what < 0.9:  # noqa: PLR2004 - new names are rare
            fields = {"backorderedQuantity": waiting + 1, "orderedQuantity": ordered + 1}
        else:
            plain = str(row["description"])
            fields = {"description": plain.removesuffix(_OTHER_WORDS)}
            if fields["description"] == plain:
                fields = {"description": plain + _OTHER_WORDS}
        return MappingProxyType({**row, **fields})


def _day(day: date) -> int:
    """A date as MVET writes it."""
    return day.year * 10_000 + day.month * 100 + day.day
