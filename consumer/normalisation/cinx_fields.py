"""Where the fields of CINX's back-orders go in an event: one table for the list and the detail.

`part` is a part of an event's data: `order`, `line`, `quantity`, `dates`, one of the parties, or
`data` itself. `name` is the field there, `row` the list's name of it (None where the list does not
tell it), `detail` the path to it in a detail. What stands in no line of the table goes to `extra`
under its own name.

The published spelling `customer.numer` is a mistake that is part of the format; `number` is read
as well, in case it is mended one day.

Source: the CINX API documentation, "Back-Orders".
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import asdict

from consumer.event import Data, Dates, Line, Order, Parties, Party, Quantity
from consumer.normalisation.json_values import day, day_of, number, text

Parts = dict[str, dict[str, Any]]
Read = Callable[[object, str], str | None]


class Field(NamedTuple):
    """One line of the table."""

    part: str
    name: str
    row: str | None
    detail: str
    read: Read


FIELDS = (
    Field("order", "number", "po_number", "purchase_order.number", text),
    Field("order", "date", None, "dates.po_submitted", day),
    Field("order", "purchase_order", "po_name", "purchase_order.name", text),
    Field("order", "currency", None, "currency", text),
    Field("line", "item", "org_item_id", "org_item_id", text),
    Field("line", "description", "description", "description", text),
    Field("line", "upc", "upc", "upc", text),
    Field("line", "manufacturer", "mfr_name", "mfr_name", text),
    Field("line", "manufacturer_part", "mfr_part_number", "mfr_part_number", text),
    Field("line", "vendor_item", "vendor_item_id", "vendor.item_id", text),
    Field("line", "size", None, "size", text),
    Field("line", "unit_price", None, "unit_price", number),
    Field("quantity", "backordered", "quantity_back_ordered", "quantities.back_ordered", number),
    Field("quantity", "ordered", "quantity_ordered", "quantities.ordered", number),
    Field("quantity", "shipped", "quantity_shipped", "quantities.shipped", number),
    Field("data", "reason", "back_order_reason", "vendor.back_order_reason", text),
    Field("dates", "need_by", "date_need_by", "dates.need_by", day),
    Field("dates", "informed", "date_informed", "dates.informed", day),
    Field("dates", "expected_delivery", "date_expected_delivery", "dates.expected_delivery", day),
    Field("dates", "updated", "date_last_updated", "dates.last_updated", day),
    Field("dates", "cleared", None, "dates.cleared", day_of),
    Field("customer", "id", None, "customer.cinx_commerce_guid", text),
    Field("customer", "number", None, "customer.numer", text),
    Field("customer", "number", None, "customer.number", text),
    Field("customer", "name", None, "customer.name", text),
    Field("vendor", "id", None, "vendor.cinx_commerce_guid", text),
    Field("vendor", "number", "vendor_number", "vendor.number", text),
    Field("vendor", "name", "vendor_name", "vendor.name", text),
    Field("project", "id", None, "project.cinx_guid", text),
    Field("project", "number", "project_number", "project.number", text),
    Field("project", "name", "project_name", "project.name", text),
    Field("submitter", "id", None, "purchase_order.submitter.cinx_guid", text),
    Field("submitter", "name", "po_submitter", "purchase_order.submitter.name", text),
    Field("submitter", "email", None, "purchase_order.submitter.email", text),
    Field("ship_to", "name", "delivery_location_name", "delivery.location_name", text),
)

PARTIES = ("customer", "vendor", "project", "submitter", "ship_to")

# Fields of the list that only the list has and that have no place in an event: in a detail they
# stand elsewhere (`work_breakdown`, `delivery`).
ONLY_IN_ROWS = frozenset(
    {"delivery_location_type", "work_order_id", "work_order_name", "spool_id", "spool_name"}
)
# Fields that both have and that have no place in an event either.
IN_BOTH = frozenset({"hph_code", "update_count"})

# In `extra`, and in that of a party: what the list's row says otherwise than the detail.
LIST_ROW = "list_row"


def extra_of(parts: Parts, part: str) -> dict[str, Any]:
    """The `extra` beside the fields of a part: a party has its own, the others have the data's."""
    holder = parts.setdefault(part if part in PARTIES else "data", {})
    extra: dict[str, Any] = holder.setdefault("extra", {})
    return extra


def build(parts: Parts) -> Data:
    """The data of an event from its parts."""
    own = parts.get("data", {})
    return Data(
        order=Order(**parts.get("order", {})),
        line=Line(**parts.get("line", {})),
        quantity=Quantity(**parts.get("quantity", {})),
        delay="backorder",
        reason=own.get("reason"),
        dates=Dates(**parts.get("dates", {})),
        parties=Parties(**{name: Party(**parts[name]) for name in PARTIES if parts.get(name)}),
        extra=own.get("extra", {}),
    )


def parts_of(data: Data) -> Parts:
    """The reverse of `build`; every dict of it, and `list_row`, is a new one."""
    parts: Parts = {
        name: _fields(getattr(data, name)) for name in ("order", "line", "quantity", "dates")
    }
    parts["data"] = {"reason": data.reason} if data.reason is not None else {}
    held = [(parts["data"], data.extra)]
    for name in PARTIES:
        party: Party | None = getattr(data.parties, name)
        if party is not None:
            parts[name] = _fields(party)
            held.append((parts[name], party.extra))
    for part, extra in held:
        part.pop("extra", None)
        if extra:
            part["extra"] = {
                key: dict(value) if key == LIST_ROW else value for key, value in extra.items()
            }
    return parts


def _fields(struct: Struct) -> dict[str, Any]:
    return {name: value for name, value in asdict(struct).items() if value is not None}
