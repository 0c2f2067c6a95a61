"""What the listener answers: JSON, and RFC 9457 problem details where something is wrong.

A problem tells its sender what to do about it and nothing about our inside: no exception text, no
bytes of the request, no version of any software.
"""

import math
from collections.abc import Mapping
from http import HTTPStatus

import msgspec
from aiohttp import web

from consumer.ports import Reply

SERVER = "backorder-consumer"  # aiohttp would name itself and its version
_LOWEST_PROBLEM = 400


class Rejection(Exception):
    """The request ends here, with this status; `headers` go along."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.reply = Reply(status=status, document={"detail": detail}, retry_after=retry_after)
        self.headers = headers or {}
        super().__init__(detail)


def response(reply: Reply, headers: Mapping[str, str] | None = None) -> web.Response:
    """A reply as it goes on the wire.

    From status 400 on it is `application/problem+json`: `type`, `title` and `status` are filled
    in (RFC 9457, sections 3.1 and 4.2.1), the rest of the document is kept as extension members.
    """
    document, content_type = reply.document, "application/json"
    if reply.status >= _LOWEST_PROBLEM:
        title = HTTPStatus(reply.status).phrase
        document = {
            "type": "about:blank",
            "title": title,
            "status": reply.status,
            **_members(reply),
        }
        content_type = "application/problem+json"
    answer = web.Response(
        status=reply.status,
        body=msgspec.json.encode(document),
        content_type=content_type,
        headers={"Server": SERVER, **(headers or {})},
    )
    if reply.retry_after is not None:
        answer.headers["Retry-After"] = str(math.ceil(max(0.0, reply.retry_after)))
    return answer


def rejected(rejection: Rejection) -> web.Response:
    """A rejection as it goes on the wire; what is left of the request is not waited for."""
    answer = response(rejection.reply, rejection.headers)
    answer.force_close()
    return answer


def _members(reply: Reply) -> Mapping[str, object]:
    return reply.document if isinstance(reply.document, Mapping) else {"detail": reply.document}
