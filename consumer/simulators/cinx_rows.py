"""Back-orders made up as CINX lists them: a new row, what becomes of it, the same in other words.

The published traps are all here: `""` and null for what is not known, numbers as numbers and as
strings, an `update_count` that is `""`, a number or a string, a delivery location that only the
detail knows. All firms, people and articles are made up.
"""

import random
from collections.abc import Mapping
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID
from zlib import crc32

from msgspec import Struct

Row = Mapping[str, Any]
_frozen = MappingProxyType[str, Any]

LOCATIONS = ("JOB SITE", "FABRICATION SHOP", "OFFICE", "WAREHOUSE", "FABRICATOR")
REASONS = (
    "Out of stock at the regional warehouse",
    "Manufacturer on allocation",
    "Casting defect, lot returned",
    "Awaiting container: customs hold",
    "Minimum order quantity not reached",
)
_MAKERS = ("ALDERTON", "BRASSWELL", "CORVANE", "DUNMORE & SON", "EVERFLO", "FENWICK")
ARTICLES = (
    ("Floor Drain, F1200 Adjustable", "4"),
    ("Elbow 90 Cast No-Hub", "3"),
    ('Pipe Copper Type "L" Hard', '1-1/2"'),
    ("Coupling SS 4-Band", "6"),
    ("Ball Valve 600# WOG <full port>", '3/4"'),
    ("Hanger Clevis & Rod 3/8", None),
    ("Backflow Preventer RPZ", "2"),
    ('Insulation Fiberglass 1"  ASJ', "2 x 36"),
)
_PEOPLE = ("Robin Hale", "Nils Ostergaard", "Priya Raman", "June O'Dell", "Marco Vitale")
_SITES = ("Gate 3", "Level 2 laydown", "Shop bay 4", "", None)
_WHOLE = (1, 1, 2, 4, 6, 10, 25, 100)
_CHANCE_UNKNOWN = 0.3
_CHANCE_AS_TEXT = 0.15
_CHANCE_OF_A_PART = 0.05
_OLDEST_ORDER = 90


# The row of the list, in its order.
FIELDS = (
    "cinx_guid",
    "date_expected_delivery",
    "date_need_by",
    "date_informed",
    "date_last_updated",
    "back_order_reason",
    "quantity_back_ordered",
    "quantity_shipped",
    "quantity_ordered",
    "org_item_id",
    "vendor_item_id",
    "mfr_part_number",
    "hph_code",
    "upc",
    "description",
    "mfr_name",
    "delivery_location_type",
    "delivery_location_name",
    "vendor_number",
    "vendor_name",
    "work_order_id",
    "work_order_name",
    "spool_id",
    "spool_name",
    "project_number",
    "project_name",
    "po_number",
    "po_name",
    "po_submitter",
    "update_count",
)


class Firm(Struct, frozen=True, kw_only=True):
    """Whom and what an organisation orders for: (number, name) of its projects and vendors."""

    name: str
    projects: tuple[tuple[str, str], ...]
    vendors: tuple[tuple[str, str], ...]


class Line(Struct, frozen=True, kw_only=True):
    """A back-order: its row of the list, and what the list does not say of it.

    `delivery` is the type of its delivery location, also where the row leaves it out. `detail` is
    one that was given; otherwise it follows from the row. `cleared`: the day on which it was over.
    """

    guid: str
    row: Row
    delivery: str | None = None
    detail: Row | None = None
    cleared: str = ""


def written(numbers: random.Random, number: float) -> float | str:
    """A number, now and then as a string."""
    return str(number) if numbers.random() < _CHANCE_AS_TEXT else number


def number_in(value: object) -> float:
    """The number that stands in a field, however it is written; 0 where there is none."""
    try:
        found = float(str(value))
    except ValueError:
        return 0
    return int(found) if found.is_integer() else found


def invent(numbers: random.Random, firm: Firm, today: date) -> Line:
    """A new back-order of a firm."""
    guid = str(UUID(int=numbers.getrandbits(128), version=4))
    need_by = today - timedelta(days=numbers.randrange(_OLDEST_ORDER))
    delivery = numbers.choice(LOCATIONS)
    said = {
        **_order(numbers, firm, need_by),
        **_article(numbers, need_by),
        **_quantities(numbers),
        "cinx_guid": guid,
        "date_need_by": need_by.isoformat(),
        "date_informed": need_by.isoformat(),
        "date_last_updated": today.isoformat(),
        "delivery_location_type": delivery if numbers.random() > _CHANCE_UNKNOWN else None,
        "update_count": "",
    }
    return Line(guid=guid, row=_frozen({name: said[name] for name in FIELDS}), delivery=delivery)


def _order(numbers: random.Random, firm: Firm, day: date) -> dict[str, Any]:
    """The purchase order of a day: the same for the same project and vendor."""
    project, project_name = numbers.choice(firm.projects)
    vendor, vendor_name = numbers.choice(firm.vendors)
    order = f"P{day.year % 100}-{crc32(f'{project}{vendor}'.encode()) % 1000:03d}{day:%m%d}"
    return {
        "project_number": project,
        "project_name": project_name,
        "vendor_number": vendor,
        "vendor_name": vendor_name,
        "po_number": order,
        "po_name": order,
        "po_submitter": _PEOPLE[crc32(order.encode()) % len(_PEOPLE)],
    }


def _article(numbers: random.Random, need_by: date) -> dict[str, Any]:
    """What was ordered, and what may be known of it or not."""
    number, pick = numbers.randrange, numbers.choice
    text, size = pick(ARTICLES)
    known = {
        "date_expected_delivery": (need_by + timedelta(days=number(1, 60))).isoformat(),
        "back_order_reason": pick(REASONS),
        "org_item_id": f"{number(10_000):05d}",
        "vendor_item_id": f"A-{number(100_000):06d}",
        "mfr_part_number": f"{number(1000, 9999)}-{size or 'A'}",
        "hph_code": f"{number(1000):03d}ZU{number(10_000):04d}",
        "upc": f"{number(10**11):012d}",
        "description": f"{text}, {size}" if size else text,
        "mfr_name": pick(_MAKERS),
        "delivery_location_name": pick(_SITES),
        "work_order_id": f"WO-{number(500):04d}",
        "spool_id": f"SP-{number(50)}",
    }
    said: dict[str, Any] = {
        name: pick(("", None)) if numbers.random() < _CHANCE_UNKNOWN else value
        for name, value in known.items()
    }
    work, spool = said["work_order_id"], said["spool_id"]
    said["work_order_name"] = f"Order {work}" if work else None
    said["spool_name"] = f"Spool {spool}" if spool else None
    return said


def _quantities(numbers: random.Random) -> dict[str, Any]:
    ordered: float = numbers.choice(_WHOLE)
    if numbers.random() < _CHANCE_OF_A_PART:
        ordered += 0.5
    shipped = numbers.randrange(int(ordered)) if numbers.random() < _CHANCE_UNKNOWN else 0
    return {
        "quantity_back_ordered": written(numbers, ordered - shipped),
        "quantity_shipped": written(numbers, shipped),
        "quantity_ordered": written(numbers, ordered),
    }


def move_on(numbers: random.Random, row: Row, today: date) -> Row:
    """What a row becomes: a part was shipped, the date has slipped, or there is a reason."""
    waiting = number_in(row.get("quantity_back_ordered"))
    shipped = number_in(row.get("quantity_shipped"))
    changed: dict[str, Any] = {"date_last_updated": today.isoformat()}
    what = numbers.choice(("shipped", "slipped", "reason"))
    if what == "shipped" and waiting > 1:
        part = numbers.randrange(1, max(2, int(waiting)))
        changed["quantity_back_ordered"] = written(numbers, waiting - part)
        changed["quantity_shipped"] = written(numbers, shipped + part)
    elif what == "reason":
        others = [reason for reason in REASONS if reason != row.get("back_order_reason")]
        changed["back_order_reason"] = numbers.choice(others)
    else:
        later = timedelta(days=numbers.randrange(7, 60))
        changed["date_expected_delivery"] = _later(row, today, later)
    count = int(number_in(row.get("update_count"))) + 1
    changed["update_count"] = written(numbers, count)
    return _frozen({**row, **changed})


def _later(row: Row, today: date, by: timedelta) -> str:
    try:
        before = date.fromisoformat(str(row.get("date_expected_delivery")))
    except ValueError:
        before = today
    return (before + by).isoformat()


def in_other_words(numbers: random.Random, row: Row) -> Row:
    """The same row, with a number as a string or the other way round, or `""` for null."""
    name = numbers.choice(("quantity_ordered", "update_count", "spool_id", "org_item_id"))
    value = row.get(name)
    if value is None or value == "":
        return _frozen({**row, name: None if value == "" else ""})
    if name in {"spool_id", "org_item_id"}:
        name, value = "quantity_ordered", row.get("quantity_ordered")
    return _frozen({**row, name: number_in(value) if isinstance(value, str) else str(value)})
