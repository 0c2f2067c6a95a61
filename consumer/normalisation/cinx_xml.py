"""CINX's answers in XML (`format=xml`), as the values that the same answer has in JSON.

    <cinx_api><response><status_code>200</status_code>…</response><rows><row>…</row></rows></cinx_api>

Only the frame is published. So what an element becomes goes by what is in it:

- without children: its text, or None where that is blank;
- with children: an object; a name that occurs more than once holds a list;
- but a list where all children are named for its items: `update` in `updates`, or `row`, `item`;
- `rows` below the root: always a list. Its items are its children; where it holds fields instead,
  it is a row itself and stands once for each.

Attributes, namespaces, comments and processing instructions say nothing here.

A document type declaration is refused, so entities never come into it; nothing is fetched, and
libxml2's own limits hold. Answers are UTF-8, or of an encoding with ASCII in it.
"""

from typing import Any

from lxml import etree

from consumer.errors import Refused

_MOST_TAGS = 500_000
_ROWS = "rows"
_ITEMS = frozenset({"row", "item", "element", "entry"})


def document(body: bytes) -> dict[str, Any]:
    """The fields of the root element. Raises Refused; reasons quote nothing."""
    root = _parse(body)
    fields = _fields([child for child in root if _name(child) != _ROWS])
    found = [child for child in root if _name(child) == _ROWS]
    if found:
        fields[_ROWS] = [row for each in found for row in _rows(each)]
    return fields


def _parse(body: bytes) -> Any:
    if b"<!DOCTYPE" in body:
        raise Refused("XML with a document type declaration")
    if b"\0" in body[:4]:
        raise Refused("XML in an encoding of wide characters")
    if body.count(b"<") > _MOST_TAGS:
        raise Refused(f"XML of more than {_MOST_TAGS} tags")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:  # its message may quote the answer
        line = error.position[0]
        raise Refused(f"not well-formed XML (line {line})") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise Refused("XML whose encoding hides a document type declaration")
    return root


def _rows(element: Any) -> list[Any]:
    """The rows of one `rows` element: its children, or itself where these are fields."""
    children = list(element)
    if not children:
        if _text(element) is not None:
            raise Refused("rows: neither rows nor fields in it")
        return []
    names = {_name(child) for child in children}
    if len(names) == 1 and (names <= _ITEMS or all(len(child) for child in children)):
        return [_value(child) for child in children]
    return [_fields(children)]


def _value(element: Any) -> Any:
    children = list(element)
    if not children:
        return _text(element)
    names = {_name(child) for child in children}
    if len(names) == 1 and _is_list(_name(element), names.pop()):
        return [_value(child) for child in children]
    return _fields(children)


def _fields(children: list[Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    several: set[str] = set()
    for child in children:
        name, value = _name(child), _value(child)
        if name not in fields:
            fields[name] = value
        elif name in several:
            fields[name].append(value)
        else:
            fields[name] = [fields[name], value]
            several.add(name)
    return fields


def _is_list(container: str, item: str) -> bool:
    return item in _ITEMS or container in (f"{item}s", f"{item}es", f"{item[:-1]}ies")


def _text(element: Any) -> str | None:
    text = element.text
    return text if text and not text.isspace() else None


def _name(element: Any) -> str:
    """The name without its namespace."""
    return str(element.tag).rpartition("}")[2]
