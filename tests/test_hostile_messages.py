"""Input that wants to do harm. Each runs in a process of its own whose memory and processor time
are limited: what is not bounded dies there.
"""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consumer.validation import NAMESPACE
from radial_messages import DOCUMENTED, changed, inner, listed

_MEMORY = 768 << 20  # bytes of address space, of which the libraries take about half
_SECONDS = 60  # of processor time
_EXAMINE = f"""
import json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, ({_MEMORY}, {_MEMORY}))
resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[1]), int(sys.argv[1])))
from consumer.validation import Schemas
examined = Schemas.load().examine(sys.stdin.buffer.read())
json.dump(dict(
    kind=examined.kind, accepted=len(examined.accepted), refused=len(examined.refusals),
    drift=[name for accepted in examined.accepted for name in accepted.drift],
    problems=[str(problem) for refusal in examined.refusals for problem in refusal.problems],
    texts=[text for accepted in examined.accepted for text in accepted.element.itertext()],
), sys.stdout)
"""


def examined(body: bytes, seconds: int = _SECONDS) -> Any:
    done = subprocess.run(
        [sys.executable, "-c", _EXAMINE, str(seconds)],
        input=body,
        capture_output=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return json.loads(done.stdout)


@pytest.fixture
def trap() -> Iterator[socket.socket]:
    """A server that nobody may visit."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


def _unvisited(trap: socket.socket) -> bool:
    try:
        trap.accept()[0].close()
    except BlockingIOError:
        return True
    return False


def _url(trap: socket.socket) -> str:
    return f"http://127.0.0.1:{trap.getsockname()[1]}/x"


# --- document type declarations --------------------------------------------------------------

_LAUGHS = "".join(
    f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha" * 100}">\n' for n in range(12)
)
DECLARATIONS = {
    "empty": "<!DOCTYPE OrderBackorder>",
    "billion laughs": f"<!DOCTYPE x [{_LAUGHS}]>",
    "quadratic": f'<!DOCTYPE x [<!ENTITY a "{"x" * 100_000}">]>',
    "in attribute defaults": (
        f'<!DOCTYPE x [{_LAUGHS}<!ATTLIST OrderBackorder storeId CDATA "&l11;">]>'
    ),
    "file": '<!DOCTYPE x [<!ENTITY l11 SYSTEM "file:///etc/passwd">]>',
    "network": '<!DOCTYPE x SYSTEM "URL" [<!ENTITY % p SYSTEM "URL"> %p;]>',
    "after comments": "<!-- <a> -->\n<?pi?>\n<!DOCTYPE x>",
}


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16"])
@pytest.mark.parametrize("declaration", DECLARATIONS.values(), ids=DECLARATIONS)
def test_a_document_type_is_refused_before_it_does_anything(
    trap: socket.socket, declaration: str, encoding: str
) -> None:
    start = f'<?xml version="1.0" encoding="{encoding}"?>\n'
    declaration = declaration.replace("URL", _url(trap))
    body = inner(DOCUMENTED).decode().replace("King", "&l11;" + "&a;" * 10_000)
    found = examined((start + declaration + body).encode(encoding))
    line = 2 + declaration.partition("<!DOCTYPE")[0].count("\n")
    assert found["problems"] == [f"{line}:1: a document type declaration (DOCTYPE) is not allowed"]
    assert _unvisited(trap)


@pytest.mark.parametrize("encoding", ["UTF-7", "UTF-32", "EBCDIC-US"])
def test_no_encoding_hides_a_document_type(encoding: str) -> None:
    declared = f'<?xml version="1.0" encoding="{encoding}"?>'
    document = f'<!DOCTYPE x [{_LAUGHS}]><x a="&l11;">&l11;</x>'
    codec = {"EBCDIC-US": "cp037"}.get(encoding, encoding)
    hidden = document.replace("<!DOCTYPE", "+ADwAIQ-DOCTYPE") if encoding == "UTF-7" else document
    body = (declared + hidden).encode("ascii" if encoding == "UTF-7" else codec)
    found = examined(body)
    assert (found["accepted"], found["refused"]) == (0, 1)


def test_the_words_of_a_declaration_may_be_a_value() -> None:
    body = changed(DOCUMENTED, "King", "<![CDATA[<!DOCTYPE x>]]>")
    assert examined(body)["accepted"] == 1


# --- references ------------------------------------------------------------------------------


def test_nothing_is_fetched_or_included(trap: socket.socket, tmp_path: Path) -> None:
    secret = tmp_path / "secret.xml"
    secret.write_text("<secret>top-secret</secret>")
    hints = (
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
        f' xsi:schemaLocation="{NAMESPACE} {_url(trap)} urn:x {secret.as_uri()}"'
        f' xsi:noNamespaceSchemaLocation="{_url(trap)}" customerOrderId'
    )
    includes = "".join(
        f'<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="{address}" parse="text"/>'
        for address in (_url(trap), secret.as_uri())
    )
    body = changed(DOCUMENTED, "customerOrderId", hints)
    body = changed(body, "</OrderBackorder>", includes + "</OrderBackorder>")
    body = b"<?xml-model href='%s'?>" % _url(trap).encode() + inner(body)
    found = examined(body)
    assert found["accepted"] == 1
    assert not any("top-secret" in text for text in found["texts"])
    # the same where the slow way is gone, since something is wrong with the message
    found = examined(changed(body, 'currency="USD"', ""))
    assert [problem.rpartition("/")[2] for problem in found["problems"]] == [
        "@currency: this attribute is required but missing"
    ]
    assert _unvisited(trap)


# --- size and depth --------------------------------------------------------------------------


def _items(text: str) -> bytes:
    return changed(DOCUMENTED, "<OrderItem ", text + "<OrderItem ")


_ATTRIBUTES = " ".join(f'a{n}="{n}"' for n in range(50_000))
_OPEN = f'<OrderBackorderList xmlns="{NAMESPACE}">'
HUGE = {
    "deep": (b"<a>" * 100_000 + b"</a>" * 100_000, "beyond the limits"),
    "deep inside": (_items("<a>" * 100_000 + "</a>" * 100_000), "beyond the limits"),
    "attribute": (_items(f'<a b="{"x" * 11_000_000}"/>'), "beyond the limits"),
    "name": (_items(f"<{'n' * 11_000_000}/>"), ""),
    "many unknown attributes": (
        _items(f"<OrderItem {_ATTRIBUTES}/>"),
        "more than 100 different names",
    ),
    "many unknown names": (
        _items("".join(f"<n{n}/>" for n in range(50_000))),
        "more than 100 different names",
    ),
    "many errors": (_items("<OrderItem/>" * 45_000), "Pricing is missing"),
    "100,000 errors in 10 MB": (
        _items(f'<OrderItem itemId="{"x" * 60}" quantity=""/>\n' * 100_000),
        "more than 100000 elements and attributes",
    ),
    "a huge value": (_items(f'<OrderItem quantity="{"9" * 9_000_000}"/>'), "Pricing is missing"),
    "no event at all, often": (
        (_OPEN + "<OrderBackorder/>" * 10_000 + "</OrderBackorderList>").encode(),
        "9000 more events",
    ),
    "no event at all, in 8.5 MB": (
        (_OPEN + "<OrderBackorder/>" * 500_000 + "</OrderBackorderList>").encode(),
        "the list holds more than 10000 events or other elements",
    ),
    "beside an event": (
        (_OPEN + inner(DOCUMENTED).decode() + "<a/>" * 500_000 + "</OrderBackorderList>").encode(),
        "the list holds more than 10000 events or other elements",
    ),
    "tags": (b"<a>" + b"<a/>" * 2_000_000 + b"</a>", "more than 2000000 tags"),
    "a namespace for every name": (
        _items(f'<Z xmlns:p="urn:{"u" * 300}">{"".join(f"<p:a{n}/>" for n in range(99))}</Z>'),
        "a namespace of more than 250 characters",
    ),
}


@pytest.mark.parametrize(("body", "reason"), HUGE.values(), ids=HUGE)
def test_the_immense_is_refused_in_bounds(body: bytes, reason: str) -> None:
    found = examined(body)
    assert found["accepted"] == 0
    assert any(reason in problem for problem in found["problems"])
    assert max(map(len, found["problems"])) < 1000


def test_many_unknown_elements_of_few_names_are_still_drift() -> None:
    found = examined(_items("<New/>" * 45_000))
    assert found["drift"] == ["BackorderOrderItems/New"]


def _unknown(pairs: int) -> str:
    return f"<Zed>{'a<b><c/></b>' * pairs}</Zed><BillingAddress>"


_ONE = changed(DOCUMENTED, "<BillingAddress>", _unknown(45_000))
_BESIDE = _unknown(100_000).partition("<Billing")[0].encode()


@pytest.mark.parametrize(
    "body",
    [listed(*[_ONE] * 5), listed(DOCUMENTED, b"?>" + _BESIDE)],
    ids=["in events", "beside them"],
)
def test_much_within_an_unknown_element_takes_no_time_with_its_square(body: bytes) -> None:
    found = examined(body, seconds=10)
    assert found["accepted"] == body.count(b"<OrderBackorder ")
    assert {name.rpartition("/")[2] for name in found["drift"]} == {"Zed"}


def test_many_prefixes_do_not_multiply_with_many_events() -> None:
    prefixes = " ".join(f'xmlns:p{n}="urn:{n}"' for n in range(20_000))
    event = inner(DOCUMENTED).decode()
    body = f"{_OPEN[:-1]} {prefixes}>{event * 300}</OrderBackorderList>"
    assert examined(body.encode())["accepted"] == 300
