"""Whatever polled upstreams send, it is understood or refused; nothing else happens."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cinx_rows import DETAIL, GUID, ROW, as_json
from consumer.errors import ConsumerError, Refused
from consumer.normalisation.cinx_account import read_bearer, read_subs, read_template
from consumer.normalisation.cinx_envelope import read_detail, read_list
from consumer.normalisation.polled import POLLED, subject

MVET_ROW = {
    "date": 20250731,
    "orderNumber": 45929940,
    "accountNumber": "7",
    "itemNumber": "350.81827.2",
    "description": "MUZZLE",
    "backorderedQuantity": 1,
    "orderedQuantity": 1,
    "shippedQuantity": 0,
}

names = st.sampled_from(
    sorted({*MVET_ROW, *ROW, *DETAIL, *DETAIL["dates"], *DETAIL["vendor"], "submitter", "taxable"})
)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=6),
    st.sampled_from(["2019-06-08", "1e5", "7", GUID]),
)
anything = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=4)),
    max_leaves=12,
)
# A row that is nearly right gets further than any other.
nearly = st.one_of(
    st.builds(
        lambda row, changes: row | changes,
        st.sampled_from([MVET_ROW, ROW, DETAIL]),
        st.dictionaries(names, anything, max_size=3),
    ),
    anything,
)


@settings(deadline=None, max_examples=300)
@given(system=st.sampled_from(sorted(POLLED)), row=nearly, detail=nearly, other=nearly)
@example(system="cinx", row=ROW, detail=DETAIL | {"vendor": {"vendor": {}}}, other=DETAIL)
def test_any_row_is_understood_or_refused(system: str, row: Any, detail: Any, other: Any) -> None:
    polled = POLLED[system]
    with suppress(Refused):
        found, problems = polled.rows(as_json([row, other]), "7")
        assert len(found) + len(problems) == 2
    before = None
    for one, two in ((row, detail), (row, None), (other, None)):
        with suppress(Refused):
            data = polled.line(
                as_json(one), account="7", detail=None if two is None else as_json(two)
            )
            before = data if before is None or two else polled.carry(data, before)
            json.dumps(before.extra)
    polled.over(as_json(detail))


PIECES = (
    '{ } [ ] : , 1 null "rows" "response" "status_code" \xff &amp;'
    " <rows> </rows> <row> </row> <a> </a> <a/>"
)
pieces = st.sampled_from([piece.encode("latin-1") for piece in PIECES.split()])
bodies = st.one_of(
    st.binary(max_size=40),
    st.lists(pieces, max_size=12).map(b"".join),
    st.builds(
        lambda response, rows: as_json({"response": response, "rows": rows}), anything, anything
    ),
)


@settings(deadline=None, max_examples=300)
@given(body=bodies, media_type=st.sampled_from(["", "application/json", "text/xml", "text/html"]))
def test_any_body_is_understood_or_refused(body: bytes, media_type: str) -> None:
    for read in (read_list, read_subs, read_template, read_bearer):
        with suppress(ConsumerError):
            read(body, media_type)
    with suppress(ConsumerError):
        read_detail(body, media_type, GUID)
    for polled in POLLED.values():
        with suppress(Refused):
            polled.rows(body, "7")
        with suppress(Refused):
            polled.line(body, account="7", detail=body)
        polled.over(body)


@pytest.mark.parametrize(("times", "told"), [(1, "1/i"), (2, "1/i#2"), (10, "1/i#10")])
def test_subjects(times: int, told: str) -> None:
    assert subject("1/i", times) == told


@pytest.mark.parametrize("system", ["mvet", "cinx"])
@pytest.mark.parametrize("row", [b"0", b"{}", b"[]"])
def test_an_answer_of_nothing_but_broken_rows_is_refused_soon(system: str, row: bytes) -> None:
    content = b"[" + b",".join([row] * 1_000_000) + b"]"
    with pytest.raises(Refused, match="more than 1,000 of 1,000,000 rows cannot be read"):
        POLLED[system].rows(content, "0002789")


@pytest.mark.parametrize("system", ["mvet", "cinx"])
def test_a_thousand_broken_rows_are_told_one_by_one(system: str) -> None:
    good, problems = POLLED[system].rows(b"[" + b",".join([b"{}"] * 1000) + b"]", "0002789")
    assert (len(good), len(problems)) == (0, 1000)
