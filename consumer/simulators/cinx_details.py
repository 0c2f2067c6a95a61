"""The detail of a back-order as CINX tells it, made up around the row of the list.

What a detail adds to its row follows from the row, so that it is the same at each request. Misspelt
names (`customer.numer`) are CINX's own.
"""

from functools import lru_cache
from typing import Any
from uuid import NAMESPACE_URL, uuid5
from zlib import crc32

from consumer.simulators.cinx_rows import ARTICLES, Line, Row

_SYSTEMS = ("GREASE WASTE UG", "DOMESTIC COLD", "STORM", None)


@lru_cache(maxsize=10_000)
def guid_of(*parts: str | None) -> str:
    """The guid of something that is known by other names: always the same."""
    return str(uuid5(NAMESPACE_URL, "/".join(map(str, parts))))


def project_of(line: Line, firm: str) -> str:
    """The guid of a line's project, as lists are filtered by it."""
    if line.detail is not None:
        return str(line.detail["project"]["cinx_guid"])
    return guid_of(firm, "project", line.row.get("project_number"))


def order_of(line: Line, firm: str) -> str:
    """The guid of a line's purchase order, likewise."""
    if line.detail is not None:
        return str(line.detail["purchase_order"]["cinx_guid"])
    return guid_of(firm, "po", line.row.get("po_number"))


def detail_of(line: Line, firm: str) -> Row:
    """The detail of a line of this firm: the one that was given, or one that goes with its row."""
    if line.detail is not None:
        return line.detail
    row: dict[str, Any] = {**dict.fromkeys(_USED), **line.row}
    luck = crc32(line.guid.encode())
    detail = {
        **_item(row, luck),
        "quantities": {"ordered": row["quantity_ordered"], "received": 0},
        "dates": {"need_by": row["date_need_by"], "po_submitted": row["date_informed"]},
        **_parties(row, firm, luck),
        **_places(line, row, luck),
        "updates": [],
    }
    return with_row(detail, row, line.cleared)


def with_row(detail: Row, row: Row, cleared: str) -> Row:
    """A detail that says what its row says, and whether the back-order is over."""
    state = "BACKORDERED" if not cleared else "RECEIVED"
    return {
        **detail,
        "procurement_status": state,
        "update_count": row.get("update_count"),
        "quantities": {
            **detail["quantities"],
            "back_ordered": row.get("quantity_back_ordered"),
            "shipped": row.get("quantity_shipped"),
        },
        "dates": {
            **detail["dates"],
            "informed": row.get("date_informed"),
            "expected_delivery": row.get("date_expected_delivery"),
            "last_updated": row.get("date_last_updated"),
            "cleared": cleared,
        },
        "vendor": {**detail["vendor"], "back_order_reason": row.get("back_order_reason")},
    }


# Fields of a row that a detail is made of; a row that was given may lack some.
_USED = (
    *("hph_code", "org_item_id", "mfr_part_number", "upc", "description", "mfr_name"),
    *("quantity_ordered", "date_need_by", "date_informed", "vendor_number", "vendor_name"),
    *("vendor_item_id", "project_number", "project_name", "po_number", "po_name", "po_submitter"),
    *("delivery_location_name", "work_order_id", "work_order_name", "spool_id", "spool_name"),
)


def _nothing(*names: str) -> dict[str, None]:
    return dict.fromkeys(names)


def _item(row: Row, luck: int) -> dict[str, Any]:
    text = str(row["description"] or ARTICLES[luck % len(ARTICLES)][0])
    return {
        "cinx_guid": row["cinx_guid"],
        "unit_price": luck % 100_000 / 100,
        "price_uom": "EFC"[luck % 3],
        "currency": "USD",
        "allow_substitutes": bool(luck & 1),
        "hph_code": row["hph_code"],
        "org_item_id": row["org_item_id"],
        "org_system_id": None,
        "mfr_part_number": row["mfr_part_number"],
        "upc": row["upc"],
        "size": next((size for article, size in ARTICLES if text.startswith(article)), None),
        "description": text,
        "mfr_name": row["mfr_name"],
        "item_type": "MATERIAL",
        "procurement_status": "BACKORDERED",
        "update_count": 0,
    }


def _parties(row: Row, firm: str, luck: int) -> dict[str, Any]:
    vendor, project, order = row["vendor_number"], row["project_number"], row["po_number"]
    person = str(row["po_submitter"] or "")
    return {
        "customer": {
            "cinx_commerce_guid": guid_of(firm, "customer", vendor),
            "numer": f"C{luck % 1000:03d}",
            "name": firm,
        },
        "vendor": {
            "cinx_commerce_guid": guid_of(firm, "vendor", vendor),
            "number": vendor,
            "name": row["vendor_name"],
            "item_id": row["vendor_item_id"],
            "system_id": None,
        },
        "project": {
            "cinx_guid": guid_of(firm, "project", project),
            "number": project,
            "name": row["project_name"],
        },
        "requisition": _nothing("cinx_guid", "number", "name"),
        "purchase_order": {
            "cinx_guid": guid_of(firm, "po", order),
            "number": order,
            "name": row["po_name"],
            "submitter": {
                "cinx_guid": guid_of("person", person),
                "name": person or None,
                "email": f"{_letters(person)}@example.com" if person else None,
            },
        },
    }


def _letters(name: str) -> str:
    return "".join(char for char in name if char.isalnum()).lower()


def _places(line: Line, row: Row, luck: int) -> dict[str, Any]:
    named = ("work_order_id", "work_order_name", "spool_id", "spool_name")
    return {
        "delivery": {
            **_nothing("ship_via", "deliver_to"),
            "location_type": line.delivery,
            "location_name": row["delivery_location_name"] or None,
            **_nothing("instructions", "labeling_instructions", "packaging_instructions"),
        },
        "work_breakdown": {
            **{name: row[name] for name in named},
            "building_name": None,
            "level": "MAIN",
            **_nothing("space", "sub_space"),
            "system": _SYSTEMS[luck % len(_SYSTEMS)],
            **_nothing("arch_symbol", "tag"),
        },
        "job_cost": {
            "cinx_phase_guid": None,
            "phase_name": f"{luck % 900 + 100}",
            **_nothing("cinx_material_cost_code_guid", "material_cost_code_name"),
            **_nothing("cinx_category_guid", "category_name"),
        },
        "taxes": {
            "taxable": True,
            **_nothing("cinx_guid", "tax_group_name", "tax_type"),
            "tax_rate": 0,
            "tax_amount": 0,
        },
        "design": {
            **_nothing("model_item_guid", "model_name", "model_file"),
            "drawing_number": f"P{luck % 9 + 1}.0",
            "drawing_name": None,
        },
    }
