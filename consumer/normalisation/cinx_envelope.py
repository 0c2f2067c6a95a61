"""The envelope that CINX's answers come in, in JSON or in XML.

    {"start_time": …, "response": {"status_code": 200, "total_count": n, …}, "rows": […]}

Rules
1. A `status_code` other than 200 is an error, although HTTP said 200. `response` may be empty.
2. What the envelope says about it is not repeated: it could hold anything, the API token too.
3. `rows` must be there. An answer without is never "nothing on backorder".
4. A `total_count` below the number of rows in the answer was not counted: published answers of one
   and two rows say 0.
5. Rows of an XML answer go on as JSON, written in one way, so that the same row is the same bytes.

Raises `Denied`, `Unavailable` and `Refused`. What is not about back-orders is read by
`cinx_account`.

Source: the CINX API documentation, "REST API".
"""

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from consumer.errors import Denied, Refused, Unavailable
from consumer.normalisation import cinx_xml
from consumer.normalisation.cinx import guid_of
from consumer.normalisation.json_values import decode, decoder_of
from consumer.survey import Page

_UTF8_BOM = b"\xef\xbb\xbf"
_LEAST_STATUS, _MOST_STATUS = 100, 599

NO_ROWS = "no list of rows in the answer"

_is_tagged = re.compile(rb"(?:\xef\xbb\xbf)?\s*<").match
_is_status = re.compile(r"\s*[0-9]{1,3}\s*", re.ASCII).fullmatch
_is_count = re.compile(r"\s*[0-9]{1,9}\s*", re.ASCII).fullmatch


class Listing(Struct, frozen=True, kw_only=True):
    """A page of the list: its rows, how many they are, and how many the whole list has."""

    page: Page
    count: int
    total: int | None


class Absent(Enum):
    """How CINX says that it has no such back-order (any more)."""

    NOT_FOUND = "HTTP 404, or the same in the envelope"
    EMPTY = "an answer that is all right, and holds no row"


# --- the calls -------------------------------------------------------------------------------


def read_list(body: bytes, media_type: str) -> Listing:
    """A page of the list; its rows are counted but not read."""
    opened = _open(body, media_type)
    rows = opened.rows_or_refused()
    content = b"[" + b",".join(rows) + b"]"
    total = _count(opened.response.get("total_count"))
    counted = total is not None and total >= max(len(rows), 1)
    return Listing(
        page=Page(content=content, body=body), count=len(rows), total=total if counted else None
    )


def read_detail(body: bytes, media_type: str, guid: str) -> bytes | Absent:
    """The detail row of a back-order, as JSON; or how it says that there is none (any more)."""
    opened = _open(body, media_type)
    if opened.status == HTTPStatus.NOT_FOUND:
        return Absent.NOT_FOUND
    rows = opened.rows_or_refused()
    for row in rows:
        if guid_of(row) == guid:
            return bytes(row)
    if rows:
        raise Refused("the answer is about another back-order")
    return Absent.EMPTY


# --- opening ---------------------------------------------------------------------------------


def status_in(response: Mapping[str, Any]) -> int:
    """The status of a `response`, or of what is built like one; 200 where it says nothing."""
    said = response.get("status_code")
    if isinstance(said, str):
        said = int(said) if _is_status(said) else said.strip() or None
    if said is None:
        return HTTPStatus.OK
    if not isinstance(said, int) or not _LEAST_STATUS <= said <= _MOST_STATUS:
        raise Refused("the envelope says a status that is none")
    return said


class _Envelope(Struct):
    response: Any = None
    rows: list[Raw] | UnsetType = UNSET


_envelope = decoder_of(_Envelope)
_object = decoder_of(dict[str, Any])
_canonical = msgspec.json.Encoder(order="deterministic")


class _Opened(NamedTuple):
    """An answer without its envelope; `rows` is None where there is no list of them."""

    response: Mapping[str, Any]
    rows: Sequence[bytes | Raw] | None

    @property
    def status(self) -> int:
        """What the envelope says; 200 where it says nothing."""
        return status_in(self.response)

    def check(self) -> None:
        """Raise what the status stands for."""
        status = self.status
        if status == HTTPStatus.OK:
            return
        reason = f"the envelope says status {status}"
        if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise Denied(reason)
        if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Unavailable(reason)
        raise Refused(reason)

    def rows_or_refused(self) -> Sequence[bytes | Raw]:
        """The rows of an answer that is all right."""
        self.check()
        if self.rows is None:
            raise Refused(NO_ROWS)
        return self.rows


def _open(body: bytes, media_type: str) -> _Opened:
    """Open the envelope; rows stay unread in JSON and become JSON in XML."""
    if _is_xml(body, media_type):
        answer = cinx_xml.document(body)
        rows = answer.get("rows")
        return _opened(answer, None if rows is None else [_canonical.encode(row) for row in rows])
    body = body.removeprefix(_UTF8_BOM)
    try:
        envelope = _envelope.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, Refused):
        # Either this says what is wrong, or the rows are no list, and the status goes before that.
        answer = decode(_object, body, "a JSON object")
        return _opened(answer, None)
    rows = None if envelope.rows is UNSET else envelope.rows
    return _opened({"response": envelope.response}, rows)


def _opened(answer: Mapping[str, Any], rows: Sequence[bytes | Raw] | None) -> _Opened:
    response = answer.get("response")
    return _Opened(response if isinstance(response, dict) else {}, rows)


def document(body: bytes, media_type: str) -> dict[str, Any]:
    """All of an answer that is all right, decoded."""
    if _is_xml(body, media_type):
        answer = cinx_xml.document(body)
    else:
        answer = decode(_object, body.removeprefix(_UTF8_BOM), "a JSON object")
    _opened(answer, None).check()
    return answer


def _is_xml(body: bytes, media_type: str) -> bool:
    """By what the answer begins with: media types are not always right."""
    tagged = _is_tagged(body) is not None
    if tagged and "html" in media_type.lower():
        raise Refused("a web page instead of JSON or XML")
    return tagged


def _count(said: object) -> int | None:
    if isinstance(said, str):
        return int(said) if _is_count(said) else None
    return said if isinstance(said, int) and not isinstance(said, bool) else None
