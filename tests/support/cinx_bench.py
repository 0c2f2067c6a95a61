"""A simulated CINX and the source that polls it, as the tests of that source want them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from consumer.ports import Ground
from consumer.simulators.cinx import CinxServer
from consumer.simulators.cinx_world import CinxWorld
from consumer.sources.cinx import Cinx, CinxOptions
from consumer.values import Duration, PositiveDuration, Secret, Size

# An API token and a password in which nothing goes without percent-encoding.
TOKEN = "tok/en?%2F#+ &=;4711"
USER, PASSWORD = "me@example.com", "pä ss:/w?rd%41"
ACME = "Acme & Sons/West"


def world(lines: int = 23, *, seed: int = 7, tokens: Mapping[str, str] | None = None) -> CinxWorld:
    return CinxWorld(seed, tokens or {ACME: TOKEN}, lines=lines)


def server(here: CinxWorld, *arguments: Any, **options: Any) -> CinxServer:
    return CinxServer(here, *arguments, **{"username": USER, "password": PASSWORD, **options})


def cinx(at: CinxServer, **options: Any) -> Cinx:
    """The source, with the token configured unless `api_token` is given as None."""
    given: dict[str, Any] = {
        "interval": PositiveDuration(0.02),
        "jitter": Duration(0),
        "attempts": 1,
        "max_body": Size(256 << 10),
        "page_size": 6,
        "username": USER,
        "password": Secret(PASSWORD),
        "api_token": Secret(TOKEN),
    } | options
    given = {name: value for name, value in given.items() if value is not None}
    return Cinx(CinxOptions(type="cinx", name="cinx", base_url=at.url, **given))


@asynccontextmanager
async def in_rounds(source: Cinx, ground: Ground) -> AsyncIterator[Callable[[], Awaitable[str]]]:
    """A running source whose rounds come when the test wants them."""
    async with source._api:
        yield partial(source._round, ground)


def guids(here: CinxWorld, token: str = TOKEN) -> set[str]:
    return {str(row["cinx_guid"]) for row in here.rows(token)}
