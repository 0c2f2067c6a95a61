"""CINX's envelope around rows, as JSON and as XML.

The published examples show it in several states: with counts, with a `total_count` of 0 beside
rows, and as `"response": {}`. Its `uri` repeats the path of the request, API token and all, as
CINX's own does. In XML null and `""` look alike.
"""

import json
import time
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Literal
from xml.sax.saxutils import escape

from msgspec import Struct

from consumer.simulators.polled_server import Answer

Counts = Literal["true", "zero", "absent"]
Validates = Literal["", "all", "rows"]

_WORDS = {True: "true", False: "false"}


class Envelope(Struct, frozen=True, kw_only=True):
    """How one request is to be answered. `began` is when it came, in seconds since 1970.

    With `validates` an answer can be recognised: by its rows and the total, or by its rows alone.
    """

    uri: str
    format: str
    counts: Counts
    began: float
    validates: Validates = ""

    def around(
        self, rows: Sequence[Any], *, total: int | None = None, status: int = 200, message: str = ""
    ) -> dict[str, Any]:
        """Rows, or an error, with what CINX says of its answer."""
        response: dict[str, Any] = {
            "status_code": status,
            "message": message or HTTPStatus(status).phrase,
            "uri": self.uri,
            "format": self.format,
            "record_count": len(rows),
            "server_response_time": 0,
            "total_elapsed_time": time.time() - self.began,
            "total_count": len(rows) if total is None else total,
        }
        if self.counts == "zero":
            response["total_count"] = 0
        if self.counts == "absent" and status == HTTPStatus.OK:
            response = {}
        return {"start_time": self.began, "response": response, "rows": rows}

    def answer(
        self,
        rows: Sequence[Any],
        *,
        total: int | None = None,
        status: int = 200,
        message: str = "",
        inside: int | None = None,
    ) -> Answer:
        """The answer with HTTP status `status`; `inside` is another one in the envelope.

        `total` is what `total_count` says, if not the number of rows.
        """
        whole = self.around(rows, total=total, status=inside or status, message=message)
        body, content_type = self.write(whole)
        same = b""
        if self.validates:
            counted = whole["response"].get("total_count") if self.validates == "all" else None
            same = json.dumps((self.format, counted, rows), default=dict).encode()
        return Answer(status=status, body=body, content_type=content_type, same=same)

    def write(self, whole: Mapping[str, Any]) -> tuple[bytes, str]:
        """A document in the format that was asked for, with its media type."""
        if self.format == "xml":
            text = f'<?xml version="1.0" encoding="UTF-8"?>\n{_element("cinx_api", whole)}\n'
            return text.encode(), "application/xml"
        return json.dumps(whole, default=dict).encode(), "application/json"


def _element(name: str, value: object) -> str:
    if value is None or value == "":
        return f"<{name}/>"
    if isinstance(value, Mapping):
        inside = "".join(_element(key, below) for key, below in value.items())
    elif isinstance(value, list | tuple):
        inside = "".join(_element("row", below) for below in value)
    elif isinstance(value, bool):
        inside = _WORDS[value]
    else:
        inside = escape(str(value))
    return f"<{name}>{inside}</{name}>"
