"""What the admin listener answers: JSON of these types, text, bytes to download, or a problem.

Every answer carries the same safe headers: no browser runs, frames, guesses the type of or keeps
anything of it, and no other site may read it. A problem (RFC 9457) tells what to do about it and
nothing of our inside: no exception, no bytes of a request, no payload.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from msgspec import Struct

from consumer.event import Event
from consumer.model import Cursor, Problem, Replay
from consumer.repair import Retried

SAFE_HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "backorder-consumer",  # aiohttp would name itself and its version
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

JSON = "application/json"
PROBLEM = "application/problem+json"
OCTETS = "application/octet-stream"
TEXT = "text/plain"

# A page of a list ends where it would become longer than this, in bytes; one item there always is.
_LONGEST_PAGE = 4 << 20

Item = TypeVar("Item")
Place = TypeVar("Place")


# --- types -----------------------------------------------------------------------------------


class Text(Struct, frozen=True):
    """Plain text; `parameters` are those of its media type."""

    content: bytes
    parameters: str = "; charset=utf-8"


class Download(Struct, frozen=True):
    """Bytes that nobody vouches for, to be saved under `name`."""

    content: bytes
    name: str


class ProblemDetails(Struct, frozen=True, kw_only=True):
    """Why a request was not fulfilled (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


class Sinks(Struct, frozen=True, kw_only=True):
    """Both ends of the journal, and how far each sink is in it. `journal` tells this journal from
    every other one.
    """

    journal: str
    head: int
    oldest: int
    sinks: tuple[Cursor, ...]


class Pausing(Struct, frozen=True, kw_only=True):
    """Whether a sink holds still now."""

    sink: str
    paused: bool


class EndedReplay(Struct, frozen=True, kw_only=True):
    """The replay that was ended where it was; null where there was none."""

    ended: Replay | None


class QuarantinedPayload(Struct, frozen=True, kw_only=True):
    """A refused payload without its bytes. `times` counts how often the same bytes came.

    `position` grows in the order in which payloads first came. `size` is that of the bytes.
    """

    position: int
    id: str
    source: str
    system: str
    origin: str
    first_seen: datetime
    last_seen: datetime
    times: int
    problems: tuple[Problem, ...]
    attributes: Mapping[str, str]
    size: int


class QuarantinePage(Struct, frozen=True, kw_only=True):
    """Payloads, oldest first; with `next` as `after`, the following page is asked for."""

    quarantined: tuple[QuarantinedPayload, ...]
    next: int | None


class RetriedPayloads(Struct, frozen=True, kw_only=True):
    """What became of each payload, in the order asked for."""

    results: tuple[Retried, ...]


class Discarded(Struct, frozen=True, kw_only=True):
    """How many were removed for good."""

    discarded: int


class Marked(Struct, frozen=True, kw_only=True):
    """How many parked events are offered once more."""

    marked: int


class ParkedEvent(Struct, frozen=True, kw_only=True):
    """An event that a sink refused for good. `retrying`: it is going to be offered once more.

    The facts of the event are null where it is gone from the journal.
    """

    sink: str
    seq: int
    reason: str
    parked: datetime
    retrying: bool
    id: str | None
    source: str | None
    type: str | None
    subject: str | None


class WholeParkedEvent(ParkedEvent, frozen=True, kw_only=True):
    """The same with the event itself, a CloudEvent; null where it is gone from the journal."""

    event: Event | None


class ParkPage(Struct, frozen=True, kw_only=True):
    """Parked events, oldest first; with `next` as `after`, the following page is asked for."""

    parked: tuple[ParkedEvent, ...]
    next: str | None


def page(
    items: Sequence[Item], limit: int, place: Callable[[Item], Place]
) -> tuple[tuple[Item, ...], Place | None]:
    """At most `limit` items, and no more than make a bounded answer; with the place of the last
    one where there are more.
    """
    kept: list[Item] = []
    length = 0
    for item in items[:limit]:
        length += len(msgspec.json.encode(item))
        if kept and length > _LONGEST_PAGE:
            break
        kept.append(item)
    return tuple(kept), place(kept[-1]) if len(kept) < len(items) else None


# --- on the wire -----------------------------------------------------------------------------


class Rejection(Exception):
    """The request ends here, with this status; `headers` go along."""

    def __init__(
        self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        super().__init__(detail)


def answered(answer: Any, status: int) -> web.Response:
    """What a handler returned, as it goes on the wire."""
    if isinstance(answer, Text):
        return _response(status, answer.content, TEXT + answer.parameters)
    if isinstance(answer, Download):
        disposition = f'attachment; filename="{answer.name}"'
        headers = {"Content-Disposition": disposition}
        return _response(status, answer.content, OCTETS, headers)
    return _response(status, msgspec.json.encode(answer), JSON)


def allowed(allow: str) -> web.Response:
    """The answer to OPTIONS. It grants other sites nothing (no CORS)."""
    return web.Response(status=HTTPStatus.NO_CONTENT, headers={**SAFE_HEADERS, "Allow": allow})


def problem(
    status: HTTPStatus,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    retry_after: float | None = None,
) -> web.Response:
    """A problem as it goes on the wire; `retry_after` in seconds."""
    document = ProblemDetails(title=status.phrase, status=status.value, detail=detail)
    response = _response(status, msgspec.json.encode(document), PROBLEM, headers)
    if retry_after is not None:
        response.headers["Retry-After"] = str(max(1, math.ceil(retry_after)))
    return response


def _response(
    status: int, body: bytes, content_type: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    head = {**SAFE_HEADERS, "Content-Type": content_type, **(headers or {})}
    return web.Response(status=status, body=body, headers=head)
