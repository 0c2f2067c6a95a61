"""Bare aiohttp: what anyone would write to be posted to, and what it does with a post is nothing.

`python -m benchmarks.peers.aiohttp_handler '{"port": …}'` reads each body and answers 200. It is no
contender, for it keeps nothing: it shows what the wire and HTTP alone cost.
"""

import asyncio
import sys

import msgspec
import uvloop
from aiohttp import web
from msgspec import Struct


class Place(Struct, frozen=True):
    """Where to listen, on this machine."""

    port: int


async def answer(request: web.Request) -> web.Response:
    """Take the post."""
    await request.read()
    return web.Response()


async def main() -> None:
    """Serve, for ever."""
    application = web.Application(client_max_size=64 << 20)
    application.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    place = msgspec.json.decode(sys.argv[1], type=Place)
    await web.TCPSite(runner, "127.0.0.1", place.port).start()
    await asyncio.Future()


if __name__ == "__main__":
    uvloop.run(main())
