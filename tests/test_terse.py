"""What ids are digests of, held against the same said plainly: a dict, from which is taken out."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from msgspec import UNSET, Struct

from consumer.event import Address, Change, Data, Dates, Line, Order, Parties, Party, Quantity
from consumer.terse import terse

TEXT = st.none() | st.sampled_from(["", "a", "é", 'say "\\"']) | st.text(max_size=3)
DECIMAL = st.none() | st.sampled_from(["0", "-1.50", "12"])
MOMENT = st.none() | st.sampled_from(["2016-07-13", "2016-07-13T13:47:54Z"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=4,
)
EXTRA = st.dictionaries(st.text(max_size=2), JSON, max_size=3)


def some(model: type[Struct], usual: SearchStrategy[Any], **others: Any) -> SearchStrategy[Any]:
    """Values of a `model`, some of which hold nothing or almost nothing."""
    fields = dict.fromkeys(model.__struct_fields__, usual) | others
    return st.fixed_dictionaries({}, optional=fields).map(lambda known: model(**known))


ADDRESS = some(Address, TEXT, lines=st.lists(st.text(max_size=2)).map(tuple), extra=EXTRA)
PARTY = some(Party, TEXT, address=st.none() | ADDRESS, extra=EXTRA)
CHANGES = st.lists(st.builds(Change, field=st.text(), before=JSON, after=JSON), max_size=2)
DATA = st.builds(
    Data,
    order=some(Order, TEXT, date=MOMENT, total=DECIMAL),
    line=some(Line, TEXT, unit_price=DECIMAL, amount=DECIMAL),
    quantity=some(Quantity, DECIMAL),
    delay=TEXT,
    reason=TEXT,
    dates=some(Dates, MOMENT),
    parties=some(Parties, st.none() | PARTY),
    changes=st.just(UNSET) | CHANGES.map(tuple),
    extra=EXTRA,
)
encode = msgspec.json.Encoder(order="deterministic").encode
NOT_KNOWN: tuple[object, ...] = (None, UNSET, (), {})


def part(value: Struct) -> dict[str, Any]:
    """The fields of a part and of the parts in it, without what is not known."""
    known = msgspec.structs.asdict(value)
    said = {name: part(it) if isinstance(it, Struct) else it for name, it in known.items()}
    return {name: it for name, it in said.items() if it not in NOT_KNOWN}


@given(DATA)
def test_what_is_known_is_said_sorted_and_nothing_else_is(said: Data) -> None:
    assert encode(terse(said)) == encode(part(said))


def full(model: type[Struct], **others: object) -> Any:
    """A value with something else in every field."""
    said: dict[str, object] = {
        name: f"2016-07-{10 + n}" if model is Dates or name == "date" else str(n)
        for n, name in enumerate(model.__struct_fields__)
    }
    return model(**said | others)


def test_no_field_is_forgotten_and_none_is_said_as_another() -> None:
    extra = {"b": {"c": 1, "a": 2}, "a": None}
    address = full(Address, lines=("1", "2"), extra=extra)
    parties = {
        name: full(Party, name=name, address=address, extra=extra)
        for name in Parties.__struct_fields__
    }
    said = full(
        Data,
        order=full(Order),
        line=full(Line),
        quantity=full(Quantity),
        dates=full(Dates),
        parties=Parties(**parties),
        changes=(Change(field="delay", before="1", after="2"),),
        extra=extra,
    )
    assert encode(terse(said)) == encode(part(said))
