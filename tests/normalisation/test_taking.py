from typing import Any

import pytest

from consumer.normalisation.taking import put_back, take_node, take_nodes, take_text


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
    put_back(node, "x", {"a": "2"}, {})
    put_back(node, "y", {})
    assert node == {"x": ["1", {"a": "2"}]}
    assert shared == ["1"]
