"""CINX's published answers, rows like them, and how an answer reads in XML."""

import json
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from hypothesis import strategies as st

CINX = Path(__file__).parent.parent / "data" / "cinx"
GUID = "076bd4bb-d6d9-5096-96f2-ec105d0562b1"
ROW: dict[str, Any] = json.loads((CINX / "cinx-back-orders-list.json").read_bytes())["rows"][0]
DETAIL: dict[str, Any] = json.loads((CINX / "cinx-back-order-detail.json").read_bytes())["rows"][0]

Json = dict[str, Any]

words = st.text("abXY 1<&é'\"", max_size=4)
numbers = st.one_of(st.integers(0, 30), st.decimals(0, 30, places=2).map(float), st.just("7"))
days = st.dates().map(lambda day: day.isoformat())
values = st.one_of(st.none(), st.just(""), words, st.integers(0, 3))
booleans = st.one_of(st.none(), st.booleans())

_BOOLEAN = ("allow_substitutes", "taxable")
_DATES = ("need_by", "po_submitted", "informed", "expected_delivery", "last_updated", "cleared")
_NUMBERS = ("unit_price", "ordered", "back_ordered", "shipped")


def _of(name: str, sample: Any) -> st.SearchStrategy[Any]:
    """What a field of this name may hold."""
    if isinstance(sample, dict):
        return st.one_of(
            st.none(),
            st.fixed_dictionaries({}, optional={key: _of(key, sample[key]) for key in sample}),
        )
    if name == "updates":
        update = st.dictionaries(st.sampled_from(("on", "by", "what")), values, min_size=1)
        return st.lists(update, max_size=3)
    if name in _BOOLEAN:
        return booleans
    if name in _DATES or name.startswith("date_"):
        return st.one_of(st.none(), st.just(""), days)
    if name in _NUMBERS or name.startswith("quantity_"):
        return st.one_of(st.none(), numbers)
    return values


def _rows_like(sample: Json, **certain: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    optional = {name: _of(name, value) for name, value in sample.items() if name not in certain}
    unknown = st.fixed_dictionaries({}, optional={"new_field": values, "other_field": values})
    known = st.fixed_dictionaries({"cinx_guid": st.just(GUID), **certain}, optional=optional)
    return st.builds(lambda one, other: other | one, known, unknown)


rows = _rows_like({name: value for name, value in ROW.items() if name != "cinx_guid"})
details = _rows_like(
    {name: value for name, value in DETAIL.items() if name != "cinx_guid"},
    procurement_status=st.just("BACKORDERED"),  # what a row never tells
)


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def as_xml(name: str, value: Any) -> str:
    """A value as CINX's XML has it: only the frame is published, the rest follows from it."""
    if value is None or value in ("", [], {}):
        return f"<{name}/>"
    if isinstance(value, dict):
        inner = "".join(as_xml(key, each) for key, each in value.items())
    elif isinstance(value, list):
        inner = "".join(as_xml(name.removesuffix("s"), each) for each in value)
    elif isinstance(value, bool):
        inner = str(value).lower()
    else:
        inner = escape(str(value))
    return f"<{name}>{inner}</{name}>"
