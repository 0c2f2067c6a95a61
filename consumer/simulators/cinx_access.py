"""Who may use the simulated CINX: users, bearer tokens, and organisations with subscriptions.

Every call carries a user (HTTP Basic, or a bearer token got for one), and lists, details and
templates an organisation's API token in their path as well. A subscription that has ended lets
nobody in.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import uuid4

from aiohttp import hdrs, web

from consumer.model import utc_now
from consumer.simulators.cinx_details import guid_of
from consumer.simulators.polled_server import credentials

_A_YEAR = timedelta(days=365)
_BEARER = "Bearer "


def _today() -> str:
    return utc_now().date().isoformat()


class Access:
    """The accounts of one server. `ends` are the last days of subscriptions, by organisation."""

    def __init__(self, username: str, password: str, ends: Mapping[str, str]) -> None:
        self._user = (username, password)
        self._ends = dict(ends)
        self._issued: set[str] = set()

    def has_user(self, request: web.Request) -> bool:
        """Whether a request comes with the user's password or with a bearer token that holds."""
        header = request.headers.get(hdrs.AUTHORIZATION, "")
        if header.startswith(_BEARER):
            return header.removeprefix(_BEARER) in self._issued
        return self.has_password(request)

    def has_password(self, request: web.Request) -> bool:
        """Whether a request comes with the user's password."""
        return credentials(request) == self._user

    def issue(self) -> str:
        """A new bearer token."""
        token = str(uuid4())
        self._issued.add(token)
        return token

    def withdraw(self) -> None:
        """Let every bearer token end."""
        self._issued.clear()

    def end_of(self, organisation: str) -> str:
        """The last day of a subscription."""
        ahead = (utc_now() + _A_YEAR).date().isoformat()
        return self._ends.get(organisation, ahead)

    def set_end(self, organisation: str, day: str) -> None:
        """Let a subscription end on a day, `YYYY-MM-DD`."""
        self._ends[organisation] = day

    def is_over(self, organisation: str) -> bool:
        """Whether a subscription has ended."""
        return self.end_of(organisation) < _today()

    def subscription(self, organisation: str, token: str, *, expired: bool) -> dict[str, Any]:
        """A row of `/subs`; `expired`: say so whatever the last day is."""
        over = expired or self.is_over(organisation)
        yesterday = (utc_now() - timedelta(days=1)).date().isoformat()
        end = self.end_of(organisation) if not expired else yesterday
        return {
            "cinx_api_token": token,
            "user": {
                "cinx_user_guid": guid_of("user", self._user[0]),
                "first_name": "Robin",
                "middle_name": "",
                "last_name": "Hale",
                "suffix": "",
            },
            "org": {"cinx_org_id": f"org-{guid_of(organisation)[:8]}", "name": organisation},
            "subscription": {
                "status_code": 401 if over else 200,
                "status_message": "Unauthorized" if over else "OK",
                "status_message_reason": reason(end) if over else None,
                "start_date": "2024-01-05",
                "end_date": end,
                "apps": [],
            },
        }


def reason(end: str) -> str:
    """Why a subscription lets nobody in, in CINX's words."""
    return f"Subscription expired on [{end}]"
