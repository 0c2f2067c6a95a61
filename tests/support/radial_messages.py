"""Messages from Radial to start from, and ways to make others of them."""

from pathlib import Path

from consumer.model import Problem
from consumer.validation import NAMESPACE, Examination

_DATA = Path(__file__).parent.parent / "data"

SAMPLES = sorted((_DATA / "radial").glob("*.xml"))
DOCUMENTED = (_DATA / "radial" / "OrderBackorder-Backorder.xml").read_bytes()
FLATTENED = (_DATA / "radial" / "OrderBackorderList-Backorder.xml").read_bytes()
OF_2016 = (_DATA / "radial-2016" / "OrderBackorder-StoreFront.xml").read_bytes()
TEST = f'<test xmlns="{NAMESPACE}" timestamp="2024-01-31T12:00:00Z">hello</test>'.encode()


def inner(message: bytes) -> bytes:
    """A message without its XML declaration, to be put into another."""
    return message.partition(b"?>")[2].strip()


def listed(*events: bytes, attributes: bytes = b"") -> bytes:
    """A list of complete events, one after another, each beginning on a line of its own."""
    start = b'<OrderBackorderList xmlns="%s" %s>\n' % (NAMESPACE.encode(), attributes)
    return start + b"\n".join(map(inner, events)) + b"\n</OrderBackorderList>"


def changed(message: bytes, old: str, new: str) -> bytes:
    """The message with one thing replaced; the first place counts."""
    assert old.encode() in message
    return message.replace(old.encode(), new.encode(), 1)


def problems(examination: Examination) -> list[Problem]:
    """Every problem of every refusal."""
    return [problem for refusal in examination.refusals for problem in refusal.problems]
