"""CINX's published row and detail, field for field, and what is no row."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import to_builtins

from cinx_rows import CINX, DETAIL, GUID, ROW, Json, as_json, details, rows
from consumer.errors import Refused
from consumer.event import Data, Dates, Line, Order, Parties, Party, Quantity
from consumer.normalisation.cinx import is_detail
from consumer.normalisation.cinx_envelope import read_detail, read_list
from consumer.normalisation.polled import POLLED

C = POLLED["cinx"]

FROM_ROW = Data(
    order=Order(number="P19-062819", account="WTS Mechanical", purchase_order="P19-062819"),
    line=Line(upc="67024006745", manufacturer="ZURN"),
    quantity=Quantity(backordered="1", ordered="1", shipped="0"),
    delay="backorder",
    dates=Dates(
        need_by="2019-06-08",
        informed="2019-06-08",
        expected_delivery="2019-06-11",
        updated="2019-06-11",
    ),
    parties=Parties(
        vendor=Party(number="V101", name="Hilti"),
        project=Party(number="WTS-2017-03", name="HPH HQ Renovation"),
        submitter=Party(name="Will Stone"),
    ),
    extra={"hph_code": "326ZU6542"},
)

WITH_DETAIL = Data(
    order=Order(
        number="P19-062819",
        date="2019-06-28",
        account="WTS Mechanical",
        purchase_order="P19-062819",
        currency="USD",
    ),
    line=Line(
        description="Floor, Z1400 Adjustable, 4",
        upc="67024006745",
        manufacturer="ZURN",
        size="4",
        unit_price="270.05",
    ),
    quantity=Quantity(backordered="1", ordered="1", shipped="0"),
    delay="backorder",
    dates=Dates(
        need_by="2019-06-08",
        informed="2019-06-08",
        expected_delivery="2019-06-11",
        updated="2019-06-11",
    ),
    parties=Parties(
        customer=Party(
            id="7880c854-017f-5359-96de-fdef626c33cf", number="C101", name="WTS Mechanical -DEV"
        ),
        vendor=Party(id="7880c854-017f-5359-96de-fdef626c33cf", number="V101", name="Hilti"),
        project=Party(
            id="bb613aff-4256-5359-b7cd-391505d19e01",
            number="WTS-2017-03",
            name="WHPH HQ Renovation",
            extra={"list_row": {"project_name": "HPH HQ Renovation"}},
        ),
        submitter=Party(
            id="185aabe1-3487-5f59-9ad5-c577a76bd392",
            name="Will Stone",
            email="willstone@cinx.com",
        ),
    ),
    extra={
        "price_uom": "E",
        "allow_substitutes": True,
        "hph_code": "326ZU6542",
        "item_type": "MATERIAL",
        "procurement_status": "BACKORDERED",
        "update_count": "0",
        "quantities": {"received": "0"},
        "purchase_order": {"cinx_guid": "0435078e-fc66-53a8-b69e-7641e2247437"},
        "delivery": {"location_type": "JOB SITE"},
        "work_breakdown": {"level": "MAIN", "system": "GREASE WASTE UG"},
        "job_cost": {"phase_name": "124"},
        "taxes": {"taxable": True, "tax_rate": "0", "tax_amount": "0"},
        "design": {"drawing_number": "P1.0"},
    },
)


def told(row: Json | None = None, detail: Json | None = None) -> Data:
    return C.line(
        as_json(ROW if row is None else row),
        account="WTS%20Mechanical",
        detail=None if detail is None else as_json(detail),
    )


def with_detail(path: str, value: object) -> Json:
    """The published detail with one field changed; `...` leaves it out."""

    def changed(node: Json, steps: list[str]) -> Json:
        first, *rest = steps
        if rest:
            return node | {first: changed(node.get(first) or {}, rest)}
        return {key: each for key, each in (node | {first: value}).items() if each is not ...}

    return changed(DETAIL, path.split("."))


# --- what is told ----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["json", "xml"])
def test_every_field_of_the_published_row(kind: str) -> None:
    listing = read_list((CINX / f"cinx-back-orders-list.{kind}").read_bytes(), f"text/{kind}")
    [row], problems = C.rows(listing.page.content, "WTS%20Mechanical")
    assert (row.key, problems) == (GUID, [])
    assert C.line(row.content, account="WTS%20Mechanical") == FROM_ROW


@pytest.mark.parametrize("list_kind", ["json", "xml"])
@pytest.mark.parametrize("kind", ["json", "xml"])
def test_every_field_of_the_published_detail(kind: str, list_kind: str) -> None:
    body = (CINX / f"cinx-back-orders-list.{list_kind}").read_bytes()
    [row], _ = C.rows(read_list(body, f"text/{list_kind}").page.content, "cinx")
    body = (CINX / f"cinx-back-order-detail.{kind}").read_bytes()
    detail = read_detail(body, f"text/{kind}", GUID)
    assert isinstance(detail, bytes)
    assert C.line(row.content, account="WTS%20Mechanical", detail=detail) == WITH_DETAIL


def test_a_detail_alone() -> None:
    data = C.line(as_json({"cinx_guid": GUID}), account="x", detail=as_json(DETAIL))
    assert data.parties.project == Party(
        id="bb613aff-4256-5359-b7cd-391505d19e01",
        number="WTS-2017-03",
        name="WHPH HQ Renovation",
    )
    assert data.extra == WITH_DETAIL.extra


def _at(data: Data, path: str) -> Any:
    value = to_builtins(data)
    for step in path.split("."):
        value = value.get(step)
    return value


# field of the row, where it goes
ROW_FIELDS = [
    ("po_number", "order.number"),
    ("po_name", "order.purchase_order"),
    ("org_item_id", "line.item"),
    ("description", "line.description"),
    ("upc", "line.upc"),
    ("mfr_name", "line.manufacturer"),
    ("mfr_part_number", "line.manufacturer_part"),
    ("vendor_item_id", "line.vendor_item"),
    ("back_order_reason", "reason"),
    ("vendor_number", "parties.vendor.number"),
    ("vendor_name", "parties.vendor.name"),
    ("project_number", "parties.project.number"),
    ("project_name", "parties.project.name"),
    ("po_submitter", "parties.submitter.name"),
    ("delivery_location_name", "parties.ship_to.name"),
    *(
        (name, f"extra.{name}")
        for name in (
            "delivery_location_type",
            "hph_code",
            "spool_id",
            "spool_name",
            "update_count",
            "work_order_id",
            "work_order_name",
            "a_new_field",
        )
    ),
]
ROW_NUMBERS = [
    ("quantity_back_ordered", "quantity.backordered"),
    ("quantity_ordered", "quantity.ordered"),
    ("quantity_shipped", "quantity.shipped"),
]
ROW_DATES = [
    ("date_need_by", "dates.need_by"),
    ("date_informed", "dates.informed"),
    ("date_expected_delivery", "dates.expected_delivery"),
    ("date_last_updated", "dates.updated"),
]


@pytest.mark.parametrize(("name", "place"), ROW_FIELDS)
def test_where_a_field_of_the_row_goes(name: str, place: str) -> None:
    assert _at(told(ROW | {name: "said"}), place) == "said"
    assert _at(told(ROW | {name: 12}), place) == "12"


@pytest.mark.parametrize(("name", "place"), ROW_NUMBERS)
def test_where_a_quantity_of_the_row_goes(name: str, place: str) -> None:
    assert _at(told(ROW | {name: 1.25}), place) == "1.25"
    assert _at(told(ROW | {name: "3"}), place) == "3"
    assert _at(told(ROW | {name: ""}), place) is None


@pytest.mark.parametrize(("name", "place"), ROW_DATES)
def test_where_a_date_of_the_row_goes(name: str, place: str) -> None:
    assert _at(told(ROW | {name: "2026-02-03"}), place) == "2026-02-03"
    assert _at(told(ROW | {name: ""}), place) is None


# field of the detail, where it goes
DETAIL_FIELDS = [
    ("unit_price", "line.unit_price"),
    ("currency", "order.currency"),
    ("size", "line.size"),
    ("org_item_id", "line.item"),
    ("mfr_part_number", "line.manufacturer_part"),
    ("quantities.back_ordered", "quantity.backordered"),
    ("vendor.item_id", "line.vendor_item"),
    ("vendor.system_id", "parties.vendor.extra.system_id"),
    ("vendor.back_order_reason", "reason"),
    ("vendor.phone", "parties.vendor.extra.phone"),
    ("customer.numer", "parties.customer.number"),
    ("customer.contact", "parties.customer.extra.contact"),
    ("project.manager", "parties.project.extra.manager"),
    ("purchase_order.number", "order.number"),
    ("purchase_order.name", "order.purchase_order"),
    ("purchase_order.terms", "extra.purchase_order.terms"),
    ("purchase_order.submitter.phone", "parties.submitter.extra.phone"),
    ("delivery.location_name", "parties.ship_to.name"),
    ("delivery.deliver_to", "parties.ship_to.extra.deliver_to"),
    ("delivery.instructions", "parties.ship_to.extra.instructions"),
    ("delivery.labeling_instructions", "parties.ship_to.extra.labeling_instructions"),
    ("delivery.address", "parties.ship_to.extra.address"),
    ("delivery.ship_via", "extra.delivery.ship_via"),
    ("requisition.number", "extra.requisition.number"),
    ("work_breakdown.tag", "extra.work_breakdown.tag"),
    ("org_system_id", "extra.org_system_id"),
    ("a_new.nested.field", "extra.a_new.nested.field"),
]


@pytest.mark.parametrize(("path", "place"), DETAIL_FIELDS)
def test_where_a_field_of_the_detail_goes(path: str, place: str) -> None:
    assert _at(told(detail=with_detail(path, "12.5")), place) == "12.5"
    assert _at(told(detail=with_detail(path, 12)), place) == "12"


@pytest.mark.parametrize(
    "cleared",
    [
        "2019-06-12",
        " 2019-06-12 ",
        "2019-06-12T10:00:00Z",
        "2019-06-12T23:00:00.000+02:00",
        "2019-06-12 10:00 AM",
    ],
)
def test_when_a_back_order_was_cleared_is_told(cleared: str) -> None:
    detail = with_detail("dates.cleared", cleared)
    assert told(detail=detail).dates.cleared == "2019-06-12"
    assert C.over(as_json(detail))


@pytest.mark.parametrize(
    "detail",
    [
        DETAIL,
        with_detail("dates.cleared", None),
        with_detail("dates.cleared", ...),
        with_detail("dates.cleared", " "),
        with_detail("dates.cleared", "0000-00-00"),
        with_detail("dates.cleared", True),
        with_detail("dates.cleared", "2019-02-30T10:00:00Z"),
        with_detail("dates.cleared", "soon"),
        with_detail("dates", ""),
        with_detail("dates", 1),
        [],
    ],
)
def test_without_a_date_a_back_order_is_not_over(detail: object) -> None:
    assert not C.over(as_json(detail))


@pytest.mark.parametrize("cleared", ["0000-00-00", True, "2019-02-30T10:00:00Z", "soon", 1])
def test_an_end_that_cannot_be_read_is_not_passed_over(cleared: object) -> None:
    with pytest.raises(Refused, match=r"dates\.cleared"):
        told(detail=with_detail("dates.cleared", cleared))


def test_the_published_spelling_goes_before_the_right_one() -> None:
    both = with_detail("customer", {"number": "C102", "numer": "C101"})
    assert told(detail=both).parties.customer == Party(number="C101", extra={"number": "C102"})
    mended = with_detail("customer", {"number": "C102"})
    assert told(detail=mended).parties.customer == Party(number="C102")


def test_what_the_row_says_otherwise_is_kept() -> None:
    row = ROW | {"description": "Floor", "update_count": "3", "vendor_name": "HILTI", "upc": 1}
    data = told(row, DETAIL)
    assert data.line.description == "Floor, Z1400 Adjustable, 4"
    assert data.extra["update_count"] == "0"
    assert data.extra["list_row"] == {"description": "Floor", "update_count": "3", "upc": "1"}
    assert data.parties.vendor
    assert data.parties.vendor.extra == {"list_row": {"vendor_name": "HILTI"}}


@pytest.mark.parametrize(("said", "means"), [("true", True), ("False", False), ("maybe", "maybe")])
def test_the_known_booleans_may_be_texts(said: str, means: object) -> None:
    data = told(detail=with_detail("taxes.taxable", said) | {"allow_substitutes": said})
    assert data.extra["allow_substitutes"] == means
    assert data.extra["taxes"]["taxable"] == means


@pytest.mark.parametrize("nothing", [None, "", " ", [], {}])
def test_an_object_that_is_not_there(nothing: object) -> None:
    names = ("quantities", "dates", "customer", "vendor", "project", "purchase_order", "delivery")
    data = told(detail=DETAIL | dict.fromkeys((*names, "taxes", "updates"), nothing))
    assert data.quantity == FROM_ROW.quantity
    assert data.parties == FROM_ROW.parties
    assert not data.extra.keys() & {*names, "taxes", "updates"}


def _scalars(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set().union(*(_scalars(each) for each in value.values()))
    if isinstance(value, list):
        return set().union(*(_scalars(each) for each in value))
    return (
        set() if value is None or (isinstance(value, str) and not value.strip()) else {str(value)}
    )


def _plain(said: str) -> str:
    return said.removesuffix(".0").strip()


@settings(deadline=None)
@given(row=rows, detail=st.one_of(st.none(), details))
def test_nothing_is_lost(row: Json, detail: Json | None) -> None:
    data = to_builtins(told(row, detail))
    found = {_plain(each) for each in _scalars(data)}
    wanted = {_plain(each) for each in _scalars(row) | _scalars(detail)} - {GUID}
    assert wanted <= found


@settings(deadline=None)
@given(row=rows, detail=details)
def test_personal_data_is_with_the_parties(row: Json, detail: Json) -> None:
    names = ("vendor_name", "vendor_number", "project_name", "project_number", "po_submitter")
    row |= {name: f"P-{name}" for name in (*names, "delivery_location_name")}
    for name in ("customer", "project"):
        detail[name] = (detail.get(name) or {}) | {"name": f"P-{name}", "phone": f"P-phone-{name}"}
    detail["delivery"] = {"deliver_to": "P-deliver", "location_name": "P-location"}
    data = to_builtins(told(row, detail))
    marked = {each for each in _scalars(data) if each.startswith("P-")}
    assert len(marked) >= 9
    del data["parties"]
    assert {each for each in _scalars(data) if each.startswith("P-")} == set()


# --- what is broken --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"cinx_guid": None},
        {"cinx_guid": ""},
        {"cinx_guid": 7},
        {"cinx_guid": ".."},
        {"cinx_guid": "a/b"},
        {"cinx_guid": "a#2"},
        {"cinx_guid": "a\n"},
        {"cinx_guid": "g" * 101},
        None,
        [],
        "x",
    ],
)
def test_a_row_without_a_key_is_a_problem_and_the_others_count(row: object) -> None:
    good, [problem] = C.rows(as_json([ROW, row, ROW]), "cinx")
    assert [each.key for each in good] == [GUID, GUID]
    assert str(problem) == "$[1].cinx_guid: not an id of CINX's: a row without one has no key"


@pytest.mark.parametrize("content", [b"", b"{}", b"null", b"[", b'[{"cinx_guid": "a"}'])
def test_rows_that_are_no_array_are_refused(content: bytes) -> None:
    with pytest.raises(Refused):
        C.rows(content, "cinx")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("date_need_by", "2019-06-31"),
        ("date_need_by", "06/08/2019"),
        ("date_need_by", 20190608),
        ("quantity_ordered", "one"),
        ("quantity_ordered", True),
        ("quantity_ordered", {}),
        ("quantity_ordered", 10**40),
        ("description", ["x"]),
        ("a_new_field", 10**40),
        ("list_row", "x"),
    ],
)
def test_a_field_of_another_kind_refuses_the_row(name: str, value: object) -> None:
    with pytest.raises(Refused) as refused:
        told(ROW | {name: value})
    assert str(value) not in refused.value.reason


@pytest.mark.parametrize(
    "detail",
    [
        with_detail("unit_price", "call"),
        with_detail("dates", "never"),
        with_detail("dates.cleared", "yes"),
        with_detail("customer", "ACME"),
        with_detail("purchase_order.submitter", ["Will"]),
        DETAIL | {"cinx_guid": "another"},
        DETAIL | {"list_row": 1},
        [],
    ],
)
def test_a_detail_of_another_kind_is_refused(detail: Any) -> None:
    with pytest.raises(Refused):
        told(detail=detail)


def test_rows_and_details_are_told_apart() -> None:
    assert is_detail(as_json(DETAIL))
    assert not is_detail(as_json(ROW))
