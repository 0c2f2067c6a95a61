"""How an event says that it is offered again.

`replay` is an extension attribute (CloudEvents 1.0.2, "Extension Context Attributes"), a member
beside the others. It is put in as the first one without decoding the body: that is an object with
members in any case (`Event.encode`), and what stands behind is delivered byte for byte as it was.
"""

from msgspec.structs import replace

from consumer.model import Record

_OPENING = b"{"
_MARK = b'{"replay":true,'


def marked(record: Record) -> Record:
    """The record as one that is offered again."""
    if not record.body.startswith(_OPENING):
        raise ValueError("the body of a record is a JSON object")
    return replace(record, body=_MARK + record.body[len(_OPENING) :], replay=True)
