"""Repairs by the running daemon: the client of its admin API.

Rules
1. Nobody but the configured admin listener is asked: no redirect is followed and no proxy of the
   environment is used, so the token goes nowhere else. It stands in no error, and no exception of
   aiohttp is chained to ours.
2. What the daemon answers is told in its own words, the `detail` of its problem documents. They
   hold neither bodies nor personal data. Of anybody else's answer only the status is told.
3. Nothing is asked twice: where no answer comes nobody knows whether it was done, and the error
   says so.
"""

import ipaddress
import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Self, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec
from msgspec import Struct
from yarl import URL

from consumer.errors import ConsumerError, Denied, Refused, Unavailable
from consumer.model import Cursor, Replay
from consumer.repair import Range, Retried
from consumer.settings import AdminSettings
from consumer.values import join_listen, split_listen
from consumer.web import failure, retry_after

T = TypeVar("T")

# Seconds that an answer may take. A commit waits for whatever else has the file locked; a retry of
# many payloads is answered when the last of them is done.
_LOOK = aiohttp.ClientTimeout(total=10, sock_connect=5)
_ORDER = aiohttp.ClientTimeout(total=30, sock_connect=5)
_RETRY = aiohttp.ClientTimeout(total=300, sock_connect=5)

# What any answer here may have: a hundred payloads, each with some hundred problems.
_LARGEST_ANSWER = 64 << 20

_PROBLEM = "application/problem+json"
_UNSURE = "it may have been done all the same"


class Held(Struct, frozen=True):
    """What the daemon's journal holds, as it says itself. `journal` tells it from every other."""

    journal: str
    head: int
    oldest: int
    sinks: tuple[Cursor, ...]


class _Problem(Struct, frozen=True):
    """RFC 9457, as far as it is told on."""

    detail: str


class _Results(Struct, frozen=True):
    results: tuple[Retried, ...]


class _Discarded(Struct, frozen=True):
    discarded: int


class _Marked(Struct, frozen=True):
    marked: int


class _Paused(Struct, frozen=True):
    paused: bool


class _Ended(Struct, frozen=True):
    ended: Replay | None


class Remote:
    """Implements `repair.Repairs` beside a running daemon; used as a context manager.

    `admin` says where it listens and what its token is, `file` is the configuration that this was
    read from, for errors. At most 100 ids a call. Raises what `Repairs` raises; `Denied` where the
    daemon runs with another token.
    """

    def __init__(self, admin: AdminSettings, *, file: str) -> None:
        self.address = _reachable(admin.listen)
        self._token = admin.token
        self._file = file

    async def __aenter__(self) -> Self:
        token = self._token.reveal()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=1),
            headers={"Authorization": f"Bearer {token}"} if token else {},
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._session.close()

    async def held(self) -> Held:
        """Both ends of the daemon's journal and its sinks.

        Whoever does not know what is asked is no daemon's admin listener: `Unavailable`.
        """
        return await self._ask("GET", "sinks", Held, within=_LOOK)

    async def retry_quarantined(self, ids: Sequence[str]) -> Sequence[Retried]:
        """See `repair.Repairs`."""
        asked = {"ids": ids}
        answer = await self._ask("POST", "quarantine/retry", _Results, asked, within=_RETRY)
        return answer.results

    async def discard_quarantined(self, ids: Sequence[str]) -> int:
        """See `repair.Repairs`."""
        answer = await self._ask("POST", "quarantine/discard", _Discarded, {"ids": ids})
        return answer.discarded

    async def retry_parked(self, sink: str, seqs: Sequence[int] | None) -> int:
        """See `repair.Repairs`."""
        answer = await self._ask("POST", "parked/retry", _Marked, {"sink": sink, "seqs": seqs})
        return answer.marked

    async def discard_parked(self, sink: str, seqs: Sequence[int] | None) -> int:
        """See `repair.Repairs`."""
        wanted = {"sink": sink, "seqs": seqs}
        answer = await self._ask("POST", "parked/discard", _Discarded, wanted)
        return answer.discarded

    async def pause(self, sink: str) -> None:
        """See `repair.Repairs`."""
        await self._ask("POST", f"sinks/{_segment(sink)}/pause", _Paused, {})

    async def resume(self, sink: str) -> None:
        """See `repair.Repairs`."""
        await self._ask("POST", f"sinks/{_segment(sink)}/resume", _Paused, {})

    async def replay(self, sink: str, wanted: Range) -> Replay:
        """See `repair.Repairs`."""
        return await self._ask("POST", f"sinks/{_segment(sink)}/replay", Replay, wanted)

    async def end_replay(self, sink: str) -> Replay | None:
        """See `repair.Repairs`."""
        answer = await self._ask("DELETE", f"sinks/{_segment(sink)}/replay", _Ended)
        return answer.ended

    async def _ask(
        self,
        method: str,
        path: str,
        kind: type[T],
        body: object = None,
        *,
        within: aiohttp.ClientTimeout = _ORDER,
    ) -> T:
        """One request. Errors are raised where no exception of aiohttp is under way (rule 1)."""
        error: ConsumerError
        try:
            async with self._session.request(
                method,
                URL(f"http://{self.address}/api/v1/{path}", encoded=True),
                data=None if body is None else msgspec.json.encode(body),
                headers={} if body is None else {"Content-Type": "application/json"},
                allow_redirects=False,
                timeout=within,
            ) as response:
                return await self._read(response, kind)
        except aiohttp.ClientConnectorError as cause:
            error = self._silent(failure(cause))
        except (aiohttp.ClientError, OSError) as cause:
            reason = failure(cause)
            error = self._silent(reason if method == "GET" else f"{reason}; {_UNSURE}")
        except ValueError:
            error = Refused(
                f"the token in [admin] of {self._file}, or listen there, cannot be part of a"
                " request; see that neither has a line break in it"
            )
        raise error

    async def _read(self, response: aiohttp.ClientResponse, kind: type[T]) -> T:
        content = bytearray()
        async for chunk in response.content.iter_any():
            content += chunk
            if len(content) > _LARGEST_ANSWER:
                response.close()
                raise self._foreign("answers more than a daemon does")
        if response.status != HTTPStatus.OK:
            raise self._problem(response, bytes(content))
        try:
            return msgspec.json.decode(content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass
        raise self._foreign("answers something else than a daemon of this version")

    # --- errors ------------------------------------------------------------------------------

    def _problem(self, response: aiohttp.ClientResponse, content: bytes) -> ConsumerError:
        """What an answer other than 200 amounts to."""
        status = response.status
        if status == HTTPStatus.UNAUTHORIZED:
            return self._denied()
        if response.content_type != _PROBLEM:
            return self._foreign(f"answers HTTP {status}, which is no answer of a daemon's")
        try:
            reason = msgspec.json.decode(content, type=_Problem).detail
        except (msgspec.DecodeError, UnicodeDecodeError):
            reason = f"the daemon answers HTTP {status} and does not say why"
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            wait = retry_after(response.headers.get("Retry-After"), time.time())
            return Unavailable(reason, retry_after=wait)
        if status == HTTPStatus.FORBIDDEN:
            return Denied(reason)
        if response.method == "GET":  # every daemon can answer what is looked at here
            return self._foreign(f"answers HTTP {status} to what an admin listener knows")
        return Refused(reason)

    def _silent(self, reason: str) -> Unavailable:
        place = f"{self.address} ([admin] listen of {self._file})"
        return Unavailable(f"the admin listener at {place} does not answer: {reason}")

    def _denied(self) -> Denied:
        who = f"the admin listener at {self.address}"
        if not len(self._token):
            return Denied(f"{who} asks for a token, and {self._file} has none in [admin]")
        return Denied(
            f"{who} does not accept the token in [admin] of {self._file}:"
            " the running daemon has another one"
        )

    def _foreign(self, what: str) -> Unavailable:
        place = f"{self.address} ([admin] listen of {self._file})"
        return Unavailable(
            f"what listens at {place} {what}; see that [admin] listen names the admin listener,"
            " and no other one"
        )


def _reachable(listen: str) -> str:
    """The address under which this machine reaches a listener; every address means loopback."""
    host, port = split_listen(listen)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return join_listen(host, port)
    if address.is_unspecified:
        host = "127.0.0.1" if address.version == 4 else "::1"  # noqa: PLR2004 - that of IP
    return join_listen(host, port)


def _segment(sink: str) -> str:
    return quote(sink, safe="")
