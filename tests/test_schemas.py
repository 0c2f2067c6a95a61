"""The schema set: what it accepts under both engines, and other sets in its place.

The corpus takes valid messages and breaks them in every place in the same few ways. Whatever comes
out, libxml2 and xmlschema must agree on the strict verdict: the one decides, the other explains.
"""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import xmlschema
from lxml import etree

from consumer.errors import SchemasUnusable
from consumer.validation import NAMESPACE, Schemas, catalogue
from radial_messages import DOCUMENTED, FLATTENED, OF_2016, SAMPLES, TEST, listed, problems

SHIPPED = Path(__file__).parent.parent / "schemas"
FILES = {
    "Order-Backorder-Event-1.0.xsd",
    "Checkout-Datatypes-1.0.xsd",
    "Order-Common-Event-1.0.xsd",
    "Order-Datatypes-Common-1.0.xsd",
    "Payment-Datatypes-1.0.xsd",
    "Payment-Datatypes-CurrencyCode-1.0.xsd",
}
_XSD = "{http://www.w3.org/2001/XMLSchema}"


@pytest.fixture(scope="module")
def engines() -> tuple[catalogue.Gate, xmlschema.XMLSchema10]:
    return catalogue.load(None)


# --- the files -------------------------------------------------------------------------------


def test_the_set_has_radials_file_names() -> None:
    assert {file.name for file in SHIPPED.iterdir()} == FILES


@pytest.mark.parametrize("name", sorted(FILES))
def test_every_file_is_of_the_namespace_documented_and_compiles_by_itself(name: str) -> None:
    root = etree.parse(SHIPPED / name).getroot()
    assert root.get("targetNamespace") == NAMESPACE
    assert root.get("elementFormDefault") == "qualified"
    assert (root.findtext(f"{_XSD}annotation/{_XSD}documentation") or "").strip()
    etree.XMLSchema(file=str(SHIPPED / name))
    xmlschema.XMLSchema10(str(SHIPPED / name))


# --- both engines ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [*(sample.read_bytes() for sample in SAMPLES), OF_2016, TEST, listed(DOCUMENTED, DOCUMENTED)],
)
def test_both_engines_accept_every_shape_and_generation(
    engines: tuple[catalogue.Gate, xmlschema.XMLSchema10], message: bytes
) -> None:
    gate, model = engines
    root = etree.fromstring(message)
    assert gate.complaints(root) == []
    assert list(model.iter_errors(root)) == []


Mutation = Callable[[etree._Element], None]
_VALUES = ("", " ", "x", "-1", "0", "1.234", "true", "USD", "2016-02-30", "x" * 200)


def _drop(element: etree._Element) -> None:
    _parent(element).remove(element)


def _double(element: etree._Element) -> None:
    twin = etree.fromstring(etree.tostring(element, with_tail=False))
    for identified in twin.iter():
        identified.attrib.pop("id", "")
    element.addnext(twin)


def _to_front(element: etree._Element) -> None:
    _parent(element).insert(0, element)


def _to_end(element: etree._Element) -> None:
    _parent(element).append(element)


def _rename(element: etree._Element) -> None:
    element.tag = f"{{{NAMESPACE}}}Unheard"


def _rename_to_known(element: etree._Element) -> None:
    element.tag = f"{{{NAMESPACE}}}EmailAddress"


def _other_namespace(element: etree._Element) -> None:
    element.tag = f"{{urn:other}}{etree.QName(element).localname}"


def _no_namespace(element: etree._Element) -> None:
    element.tag = etree.QName(element).localname


def _add_text(element: etree._Element) -> None:
    element.tail = "text"


def _add_attribute(element: etree._Element) -> None:
    element.set("unheard", "1")


def _add_instance_attributes(element: etree._Element) -> None:
    element.set("{http://www.w3.org/2001/XMLSchema-instance}schemaLocation", "urn:x http://[::1]/")
    if etree.QName(element).namespace == NAMESPACE:  # xmlschema minds it on undeclared ones as well
        element.set("{http://www.w3.org/2001/XMLSchema-instance}nil", "true")


def _add_child(element: etree._Element) -> None:
    etree.SubElement(element, f"{{{NAMESPACE}}}Unheard")


def _add_foreign_child(element: etree._Element) -> None:
    etree.SubElement(element, "{urn:other}Unheard").text = "1"


def _empty(element: etree._Element) -> None:
    for child in list(element):
        element.remove(child)
    element.text = None


_MUTATIONS: tuple[Mutation, ...] = (
    *(_drop, _double, _to_front, _to_end, _rename, _rename_to_known, _other_namespace),
    *(_no_namespace, _add_text, _add_attribute, _add_instance_attributes, _add_child),
    *(_add_foreign_child, _empty),
)


def _parent(element: etree._Element) -> etree._Element:
    parent = element.getparent()
    assert parent is not None
    return parent


def _mutants(message: bytes) -> Iterator[etree._Element]:
    """The message, broken in each place in each way, as it would arrive."""
    for mutant in _in_memory(message):
        yield etree.fromstring(etree.tostring(mutant))


def _in_memory(message: bytes) -> Iterator[etree._Element]:
    """The root keeps its name and its place."""
    size = sum(1 for _ in etree.fromstring(message).iter())
    for index in range(size):
        for mutation in _MUTATIONS if index else _MUTATIONS[-5:]:
            root = etree.fromstring(message)
            mutation(list(root.iter())[index])
            yield root
        yield from _with_other_values(message, index)


def _with_other_values(message: bytes, index: int) -> Iterator[etree._Element]:
    original = list(etree.fromstring(message).iter())[index]
    for name in original.attrib:
        for value in (None, *_VALUES):
            root = etree.fromstring(message)
            element = list(root.iter())[index]
            del element.attrib[name]
            if value is not None:
                element.set(name, value)
            yield root
    if not len(original):
        for value in _VALUES:
            root = etree.fromstring(message)
            list(root.iter())[index].text = value or None
            yield root


@pytest.mark.parametrize("message", [OF_2016, FLATTENED], ids=["2016", "list"])
def test_the_engines_never_disagree(
    engines: tuple[catalogue.Gate, xmlschema.XMLSchema10], message: bytes
) -> None:
    gate, model = engines
    seen = {True: 0, False: 0}
    for mutant in _mutants(message):
        verdict = gate.passes(mutant)
        assert model.is_valid(mutant) is verdict, etree.tostring(mutant).decode()
        assert gate.passes(mutant, large=True) is verdict, etree.tostring(mutant).decode()
        seen[verdict] += 1
    assert seen[True] > 100
    assert seen[False] > 500


def test_every_mutant_is_either_accepted_or_refused_for_reasons_with_a_place() -> None:
    schemas = Schemas.load()
    strict = Schemas.load(strict=True)
    for mutant in _mutants(OF_2016):
        body = etree.tostring(mutant)
        tolerant, pedantic = schemas.examine(body), strict.examine(body)
        assert len(tolerant.accepted) + len(tolerant.refusals) == 1
        assert len(pedantic.accepted) <= len(tolerant.accepted)
        drift = any(accepted.drift for accepted in tolerant.accepted)
        assert drift == (len(pedantic.accepted) < len(tolerant.accepted))
        for problem in (*problems(tolerant), *problems(pedantic)):
            assert problem.line, problem
            assert (problem.path or "").startswith("/OrderBackorder"), problem
            assert problem.reason != "does not satisfy the schemas", body.decode()


# --- a set of the user's own -----------------------------------------------------------------


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A copy of the shipped set, in a directory with an awkward name."""
    directory = tmp_path / "Radial's schemas, 100% ü"
    shutil.copytree(SHIPPED, directory)
    return directory


def _edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_a_directory_of_ones_own_is_what_counts(own: Path) -> None:
    _edit(own / "Order-Backorder-Event-1.0.xsd", '"Pre-Sell"', '"Pre-Order"')
    body = (SAMPLES[3].read_bytes()).replace(b">Pre-Sell<", b">Pre-Order<")
    assert len(Schemas.load(own).examine(body).accepted) == 1
    assert Schemas.load().examine(body).accepted == ()


def test_a_set_that_knows_events_only_takes_lists_all_the_same(own: Path) -> None:
    entry = own / "Order-Backorder-Event-1.0.xsd"
    _edit(entry, '<xs:element name="OrderBackorderList" type="OrderBackorderList"/>', "")
    _edit(entry, '<xs:element name="test">', '<xs:element name="unused">')
    schemas = Schemas.load(own)
    assert len(schemas.examine(listed(DOCUMENTED, OF_2016)).accepted) == 2
    assert len(schemas.examine(FLATTENED).accepted) == 1
    assert schemas.examine(TEST).kind == "test"


def test_substitution_groups_and_open_attributes_are_no_drift(own: Path) -> None:
    entry = own / "Order-Backorder-Event-1.0.xsd"
    _edit(
        entry,
        '<xs:element name="OrderSummary" type="OrderSummary" minOccurs="0"/>',
        '<xs:element ref="Total" minOccurs="0"/>',
    )
    _edit(
        entry,
        "<!-- several events -->",
        '<xs:element name="Total" abstract="true"/>'
        '<xs:element name="OrderSummary" type="OrderSummary" substitutionGroup="Total"/>',
    )
    _edit(
        own / "Order-Common-Event-1.0.xsd",
        '<xs:attribute name="customerId" type="CustomerId"/>',
        '<xs:anyAttribute processContents="lax"/>',
    )
    body = DOCUMENTED.replace(b"<Pricing>", b"<New/><Pricing>")
    (accepted,) = Schemas.load(own).examine(body).accepted
    assert accepted.drift == ("OrderItem/New",)


def test_a_running_program_does_not_notice_that_the_files_are_gone(own: Path) -> None:
    schemas = Schemas.load(own)
    shutil.rmtree(own)
    with ThreadPoolExecutor(50) as threads:  # more than there are compiled schemas
        assert [
            len(each.accepted) for each in threads.map(schemas.examine, [DOCUMENTED] * 100)
        ] == [1] * 100


# --- sets that cannot be used ----------------------------------------------------------------


def _refusal(directory: Path) -> str:
    with pytest.raises(SchemasUnusable) as caught:
        Schemas.load(directory)
    assert caught.value.hint
    return str(caught.value)


def test_a_directory_that_does_not_exist(tmp_path: Path) -> None:
    told = _refusal(tmp_path / "nowhere")
    assert f"{tmp_path}/nowhere/Order-Backorder-Event-1.0.xsd: No such file" in told
    assert "[schemas] directory" in told


def test_a_missing_file_is_named_with_the_line_that_asks_for_it(own: Path) -> None:
    (own / "Payment-Datatypes-CurrencyCode-1.0.xsd").unlink()
    told = _refusal(own)
    assert "cannot read" in told
    assert "Payment-Datatypes-CurrencyCode-1.0.xsd: No such file" in told
    assert "asked for by" in told
    assert "Payment-Datatypes-1.0.xsd:15" in told


def test_a_file_that_is_not_xml_is_named_with_its_line(own: Path) -> None:
    _edit(own / "Checkout-Datatypes-1.0.xsd", "</xs:schema>", "")
    file = own / "Checkout-Datatypes-1.0.xsd"
    lines = len(file.read_text().splitlines())
    told = _refusal(own)
    assert any(f"{file}:{line}: not well-formed" in told for line in (lines, lines + 1))


def test_a_mistake_in_a_schema_is_named_with_file_and_line(own: Path) -> None:
    file = own / "Payment-Datatypes-1.0.xsd"
    _edit(file, 'type="AmountWithRemainder"', 'type="AmountWithout"')
    line = 1 + next(
        number for number, text in enumerate(file.read_text().splitlines()) if "Without" in text
    )
    told = _refusal(own)
    assert f"{file}:{line}: " in told
    assert "AmountWithout" in told


@pytest.mark.parametrize(
    "location", ["http://127.0.0.1:9/x.xsd", "/etc/x.xsd", "../x.xsd", "file:///etc/x.xsd"]
)
def test_nothing_outside_of_the_directory_is_ever_loaded(own: Path, location: str) -> None:
    entry = own / "Order-Backorder-Event-1.0.xsd"
    _edit(entry, '"Payment-Datatypes-1.0.xsd"', f'"{location}"')
    assert f"refers to {location}" in _refusal(own)


def test_a_set_about_something_else(own: Path) -> None:
    entry = own / "Order-Backorder-Event-1.0.xsd"
    _edit(entry, '<xs:element name="OrderBackorder" type', '<xs:element name="Other" type')
    _edit(entry, '<xs:element ref="OrderBackorder" m', '<xs:element ref="Other" m')
    assert "declares no element OrderBackorder" in _refusal(own)


def test_a_pattern_that_is_none(own: Path) -> None:
    _edit(
        own / "Checkout-Datatypes-1.0.xsd",
        '<xs:minLength value="1"/>',
        '<xs:minLength value="1"/><xs:pattern value="[a-z&#38;&#38;[b]]("/>',
    )
    told = _refusal(own)
    assert "Checkout-Datatypes-1.0.xsd" in told
    assert "is not a valid regular expression. Put Radial's complete set there" in told


@pytest.mark.parametrize(
    ("name", "old"),
    [
        ("Checkout-Datatypes-1.0.xsd", '<xs:minLength value="1"/>'),
        ("Order-Backorder-Event-1.0.xsd", '<xs:enumeration value="Pre-Sell"/>'),
    ],
)
def test_what_only_xmlschema_objects_to_is_named_with_file_and_line(
    own: Path, name: str, old: str
) -> None:
    file = own / name
    _edit(file, old, f'<!-- bounds\nthe wrong way around -->\n<xs:pattern value="a{{3,1}}"/>{old}')
    lines = file.read_text().splitlines()
    line = 1 + next(number for number, text in enumerate(lines) if "{3,1}" in text)
    assert f"{file}:{line}: min repeat greater than max repeat" in _refusal(own)
