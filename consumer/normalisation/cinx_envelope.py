"""The envelope that CINX's answers come in, in JSON or in XML.

    {"start_time": …, "response": {"status_code": 200, "total_count": n, …}, "rows": […]}

Rules
1. A `status_code` other than 2xx is an error, although HTTP said 200. `response` may be empty.
2. What the envelope says about it is not repeated: it could hold anything, the API token too.
3. `rows` must be there. An answer without is never "nothing on backorder".
4. A `total_count` below the number of rows in the answer was not counted: published answers of one
   and two rows say 0.
5. Rows of an XML answer go on as JSON, written in one way, so that the same row is the same bytes.

Raises `Denied`, `Unavailable` and `Refused`.

Source: the CINX API documentation, "REST API", "User Auth", "Token Auth" and "Templates".
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from consumer.errors import Denied, Refused, Unavailable
from consumer.normalisation import cinx_xml
from consumer.normalisation.cinx import guid_of
from consumer.normalisation.json_values import decode, decoder_of, is_date, text
from consumer.survey import Page
from consumer.values import Secret

_UTF8_BOM = b"\xef\xbb\xbf"
_LEAST_STATUS, _MOST_STATUS = 100, 599
_LONGEST_REASON = 200
_NO_ROWS = "no list of rows in the answer"
_NO_TOKEN = "CINX gives no API token for it"  # noqa: S105 - a sentence
_FRAME = frozenset({"response", "rows", "start_time"})

_is_tagged = re.compile(rb"(?:\xef\xbb\xbf)?\s*<").match
_is_status = re.compile(r"\s*[0-9]{1,3}\s*", re.ASCII).fullmatch
_is_count = re.compile(r"\s*[0-9]{1,9}\s*", re.ASCII).fullmatch
_starts_with_day = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").match
_not_printable = re.compile(r"[\x00-\x1f\x7f-\x9f]+")

# Where the token stands in CINX's addresses: `/2.0/sub/TOKEN/…`, in older texts `/2.0/TOKEN/sub/…`.
_after_sub = re.compile(r"(?<=/sub/)[^/?#\s\"']+")
_after_version = re.compile(r"(?<=/[0-9]\.[0-9]/)(?!sub\b)[^/?#\s\"']+(?=/sub\b)")


class Listing(Struct, frozen=True, kw_only=True):
    """A page of the list: its rows, how many they are, and how many the whole list has."""

    page: Page
    count: int
    total: int | None


class Subscription(Struct, frozen=True, kw_only=True):
    """What the credentials open of one organisation. `ends` is the last day, where it is told.

    `reason`, from CINX, is why the subscription is as it is. Without a token nothing is open.
    """

    token: Secret
    organisation: str
    active: bool
    reason: str = ""
    ends: date | None = None


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


def read_detail(body: bytes, media_type: str, guid: str) -> bytes | None:
    """The detail row of a back-order, as JSON; None: there is no such back-order (any more)."""
    opened = _open(body, media_type)
    if opened.status == HTTPStatus.NOT_FOUND:
        return None
    rows = opened.rows_or_refused()
    for row in rows:
        if guid_of(row) == guid:
            return bytes(row)
    if rows:
        raise Refused("the answer is about another back-order")
    return None


def read_subs(body: bytes, media_type: str) -> list[Subscription]:
    """What user name and password open: one subscription for each organisation."""
    rows = _document(body, media_type).get("rows")
    if not isinstance(rows, list):
        raise Refused(_NO_ROWS)
    return [_subscription(row) for row in rows]


def read_template(
    body: bytes,
    media_type: str,
    token: Secret = Secret(""),  # noqa: B008 - a constant
) -> dict[str, Any]:
    """The template of an update: `doc_info`, `template`, `field_options`, `api_calls` and so on.

    The addresses in `api_calls` hold the API token: it is masked where addresses have it, and
    wherever `token` stands.
    """
    answer = _document(body, media_type)
    rows = answer.get("rows")
    if isinstance(rows, list) and len(rows) == 1:
        [rows] = rows
    if not isinstance(rows, dict):
        rows = {name: answer[name] for name in answer if name not in _FRAME}
    if not rows:
        raise Refused("no template in the answer")
    try:
        masked: dict[str, Any] = _masked(rows, token.reveal())
    except RecursionError:
        raise Refused("a template that is nested too deep") from None
    return masked


def read_bearer(body: bytes, media_type: str) -> Secret:
    """The bearer token that user name and password were exchanged for."""
    answer = _document(body, media_type)
    rows = answer.get("rows")
    for holder in (answer, *(rows if isinstance(rows, list) else ())):
        token = _token(holder.get("token")) if isinstance(holder, dict) else ""
        if token:
            return Secret(token)
    raise Refused("no token in the answer")


# --- opening ---------------------------------------------------------------------------------


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
        said = self.response.get("status_code")
        if isinstance(said, str):
            said = int(said) if _is_status(said) else said.strip() or None
        if said is None:
            return HTTPStatus.OK
        if not isinstance(said, int) or not _LEAST_STATUS <= said <= _MOST_STATUS:
            raise Refused("the envelope says a status that is none")
        return said

    def check(self) -> None:
        """Raise what the status stands for."""
        status = self.status
        if status // 100 == HTTPStatus.OK // 100:
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
            raise Refused(_NO_ROWS)
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


def _document(body: bytes, media_type: str) -> dict[str, Any]:
    """All of an answer that is all right."""
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


# --- parts of answers ------------------------------------------------------------------------


def _count(said: object) -> int | None:
    if isinstance(said, str):
        return int(said) if _is_count(said) else None
    return said if isinstance(said, int) and not isinstance(said, bool) else None


def _token(said: object) -> str:
    """A token that can stand in an address or a header; empty where there is none."""
    fits = isinstance(said, str) and said.isascii() and said.isprintable()
    return said.strip() if fits and isinstance(said, str) else ""


def _subscription(row: object) -> Subscription:
    if not isinstance(row, dict):
        raise Refused("a row that is not an object")
    held = row.get("subscription")
    said = held if isinstance(held, dict) else {}
    token, ends = _token(row.get("cinx_api_token")), said.get("end_date")
    day = _starts_with_day(ends) if isinstance(ends, str) else None
    ended = _Opened(said, None).status != HTTPStatus.OK
    reason = text(said.get("status_message_reason"), "status_message_reason") or ""
    return Subscription(
        token=Secret(token),
        organisation=_organisation(row.get("org")),
        active=bool(token) and not ended,
        reason=_not_printable.sub(" ", reason)[:_LONGEST_REASON] or ("" if token else _NO_TOKEN),
        ends=date.fromisoformat(day[0]) if day and is_date(day[0]) else None,
    )


def _organisation(said: object) -> str:
    """Its name, or its id where it has none."""
    told = (said.get("name"), said.get("cinx_org_id")) if isinstance(said, dict) else (said,)
    for value in told:
        if name := text(value, "org"):
            return name.strip()
    raise Refused("an organisation without a name")


def _masked(value: Any, token: str) -> Any:
    if isinstance(value, str):
        value = value.replace(token, "…") if token else value
        return _after_version.sub("…", _after_sub.sub("…", value))
    if isinstance(value, list):
        return [_masked(each, token) for each in value]
    if isinstance(value, dict):
        return {_masked(name, token): _masked(each, token) for name, each in value.items()}
    return value
