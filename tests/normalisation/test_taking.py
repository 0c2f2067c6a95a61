from typing import Any

import pytest

from consumer.normalisation.taking import (
    Said,
    put_all_back,
    put_back,
    take_fields,
    take_node,
    take_nodes,
    take_text,
)


@pytest.mark.parametrize(
    ("value", "text", "rest"),
    [
        ("a", "a", {}),
        (None, None, {}),
        (["a", "b"], "a", {"x": "b"}),
        (["a", "b", "c"], "a", {"x": ["b", "c"]}),
        ([None, "b"], None, {"x": "b"}),
        ({"id": "1", "#text": "a"}, "a", {"x": {"id": "1"}}),
        ({"id": "1"}, None, {"x": {"id": "1"}}),
        ([{"id": "1", "#text": "a"}, "b"], "a", {"x": [{"id": "1"}, "b"]}),
        ({"b": None, "#text": ["a", "c"]}, None, {"x": {"b": None, "#text": ["a", "c"]}}),
    ],
)
def test_taking_a_text_leaves_everything_else(value: Any, text: str | None, rest: Any) -> None:
    node = {"x": value}
    assert take_text(node, "x") == text
    assert node == rest


class Place(Said, frozen=True):
    line1: str | None = None
    main_division: str | None = None


@pytest.mark.parametrize(
    ("node", "place", "rest"),
    [
        ({"MainDivision": "PA", "Line1": "1 Rd"}, Place("1 Rd", "PA"), {}),
        ({"Line1": None}, Place(), {}),
        ({}, Place(), {}),
        ({"Line1": "1 Rd", "line1": "2"}, Place("1 Rd"), {"line1": "2"}),
        ({"Line1": ["1 Rd", "2"], "MainDivision": "PA"}, Place("1 Rd", "PA"), {"Line1": "2"}),
        ({"Line1": {"id": "1", "#text": "1 Rd"}}, Place("1 Rd"), {"Line1": {"id": "1"}}),
        ({"Line1": "1 Rd", "#text": "t"}, Place("1 Rd"), {"#text": "t"}),
    ],
)
def test_taking_the_fields_of_a_class(node: Any, place: Place, rest: Any) -> None:
    assert take_fields(node, Place) == place
    assert node == rest


def test_taking_nodes() -> None:
    node = {"one": {"a": "1"}, "text": "t", "many": [{"a": "1"}, None, "t"], "none": None}
    assert take_nodes(dict(node), "many") == [{"a": "1"}, {}, {"#text": "t"}]
    assert take_nodes(node, "one") == [{"a": "1"}]
    assert take_nodes(node, "absent") == []
    assert take_node(node, "text") == {"#text": "t"}
    assert take_node(node, "none") == {}
    assert take_node(node, "many") == {"a": "1"}
    assert node == {"many": [None, "t"]}


def test_putting_back_changes_no_list_that_others_hold() -> None:
    shared = ["1"]
    node: dict[str, Any] = {"x": shared}
    put_back(node, "x", {"a": "2"})
    put_back(node, "y", {})
    put_all_back(node, "x", [{"a": "3"}, {"a": "4"}])
    put_all_back(node, "z", [{"a": "5"}])
    assert node == {"x": ["1", {"a": "2"}, {"a": "3"}, {"a": "4"}], "z": {"a": "5"}}
    assert shared == ["1"]
