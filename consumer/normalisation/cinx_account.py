"""What CINX says of accounts: subscriptions, bearer tokens, and the template of an update.

Rules
1. Of a subscription only what can be checked goes on: its token, its status, its last day. What
   CINX says about it in words is not repeated: it could hold anything, the API token too.
2. A subscription that cannot be read takes none of the others with it.

Raises `Denied`, `Unavailable` and `Refused`.

Source: the CINX API documentation, "User Auth", "Token Auth" and "Templates".
"""

import re
from collections.abc import Sequence
from datetime import date
from http import HTTPStatus
from typing import Any

from msgspec import Struct

from consumer.errors import Refused
from consumer.normalisation.cinx_envelope import NO_ROWS, document, status_in
from consumer.normalisation.cinx_token import masked
from consumer.normalisation.json_values import is_date, text
from consumer.values import Secret

_FRAME = frozenset({"response", "rows", "start_time"})

_starts_with_day = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").match

# Where the token stands in CINX's addresses: `/2.0/sub/TOKEN/…`, in older texts `/2.0/TOKEN/sub/…`.
_after_sub = re.compile(r"(?<=/sub/)[^/?#\s\"']+")
_after_version = re.compile(r"(?<=/[0-9]\.[0-9]/)(?!sub\b)[^/?#\s\"']+(?=/sub\b)")


# Names stand in events, in reasons and in log lines.
_LONGEST_NAME = 200


class Subscription(Struct, frozen=True, kw_only=True):
    """What the credentials open of one organisation. `ends` is the last day, where it is told.

    `status` is CINX's word for it, 200 for all right. Without a token nothing is open.
    """

    token: Secret
    organisation: str
    status: int = HTTPStatus.OK
    ends: date | None = None

    @property
    def active(self) -> bool:
        """Whether there is anything to ask with, and CINX says that it may be used."""
        return len(self.token) > 0 and self.status == HTTPStatus.OK


class Subscriptions(Struct, frozen=True, kw_only=True):
    """All that user name and password open, and what is wrong with rows that were left out."""

    found: Sequence[Subscription] = ()
    problems: Sequence[str] = ()


def read_subs(body: bytes, media_type: str) -> Subscriptions:
    """What user name and password open: one subscription for each organisation.

    Raises `Refused` also where there are rows and none of them can be read.
    """
    rows = document(body, media_type).get("rows")
    if not isinstance(rows, list):
        raise Refused(NO_ROWS)
    found, problems = [], []
    for row in rows:
        try:
            found.append(_subscription(row))
        except Refused as error:
            problems.append(error.reason)
    if problems and not found:
        raise Refused(problems[0])
    return Subscriptions(found=found, problems=problems)


def read_template(
    body: bytes,
    media_type: str,
    token: Secret = Secret(""),  # noqa: B008 - a constant
) -> dict[str, Any]:
    """The template of an update: `doc_info`, `template`, `field_options`, `api_calls` and so on.

    The addresses in `api_calls` hold the API token: it is masked where addresses have it, and
    wherever `token` stands.
    """
    answer = document(body, media_type)
    rows = answer.get("rows")
    if isinstance(rows, list) and len(rows) == 1:
        [rows] = rows
    if not isinstance(rows, dict):
        rows = {name: answer[name] for name in answer if name not in _FRAME}
    if not rows:
        raise Refused("no template in the answer")
    try:
        shown: dict[str, Any] = _masked(rows, token)
    except RecursionError:
        raise Refused("a template that is nested too deep") from None
    return shown


def read_bearer(body: bytes, media_type: str) -> Secret:
    """The bearer token that user name and password were exchanged for."""
    answer = document(body, media_type)
    rows = answer.get("rows")
    for holder in (answer, *(rows if isinstance(rows, list) else ())):
        token = _token(holder.get("token")) if isinstance(holder, dict) else ""
        if token:
            return Secret(token)
    raise Refused("no token in the answer")


# --- parts of answers ------------------------------------------------------------------------


def _token(said: object) -> str:
    """A token that can stand in an address or a header; empty where there is none."""
    fits = isinstance(said, str) and said.isascii() and said.isprintable()
    return said.strip() if fits and isinstance(said, str) else ""


def _subscription(row: object) -> Subscription:
    if not isinstance(row, dict):
        raise Refused("a row that is not an object")
    held = row.get("subscription")
    said = held if isinstance(held, dict) else {}
    token, ends = Secret(_token(row.get("cinx_api_token"))), said.get("end_date")
    day = _starts_with_day(ends) if isinstance(ends, str) else None
    return Subscription(
        token=token,
        organisation=masked(_organisation(row.get("org")), token),
        status=status_in(said),
        ends=date.fromisoformat(day[0]) if day and is_date(day[0]) else None,
    )


def _organisation(said: object) -> str:
    """Its name, or its id where it has none."""
    told = (said.get("name"), said.get("cinx_org_id")) if isinstance(said, dict) else (said,)
    for value in told:
        if name := text(value, "org"):
            if len(name) > _LONGEST_NAME:
                raise Refused(
                    f"an organisation whose name has more than {_LONGEST_NAME} characters"
                )
            return name.strip()
    raise Refused("an organisation without a name")


def _masked(value: Any, token: Secret) -> Any:
    if isinstance(value, str):
        return _after_version.sub("…", _after_sub.sub("…", masked(value, token)))
    if isinstance(value, list):
        return [_masked(each, token) for each in value]
    if isinstance(value, dict):
        return {_masked(name, token): _masked(each, token) for name, each in value.items()}
    return value
