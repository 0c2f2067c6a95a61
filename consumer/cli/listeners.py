"""Whether the daemon could listen where it is told to: for `check --connect`.

An address that a running daemon has is no fault, so one in use is asked for the daemon's probe.
Nothing is accepted meanwhile: sockets are bound, and closed again.
"""

import asyncio
import errno
from collections.abc import Sequence

from consumer.errors import Unusable
from consumer.settings import Settings
from consumer.values import split_listen

_BRIEFLY = 2.0  # seconds within which a daemon answers
_ENOUGH = 4096  # bytes of an answer in which it says what it is


async def try_admin(settings: Settings) -> Sequence[str]:
    """The listener of `[admin]`; Unusable where nothing can listen there."""
    return [await _tried(settings, "admin", settings.admin.listen)]


async def try_webhooks(settings: Settings) -> Sequence[str]:
    """The listener of `[webhooks]`; Unusable where nothing can listen there."""
    return [await _tried(settings, "webhooks", settings.webhooks.listen)]


async def _tried(settings: Settings, table: str, listen: str) -> str:
    try:
        await _bind(listen)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and await _is_daemon(settings.admin.listen):
            return f"{listen}: in use; a daemon answers on {settings.admin.listen}"
        reason = (error.strerror or str(error)).lower()
        if error.errno == errno.EADDRINUSE:
            reason = "another program listens there"
        raise Unusable(
            f"cannot listen on {listen}: {reason}",
            f"Choose another address in [{table}] listen, or stop what uses this one",
        ) from None
    return f"{listen}: free"


async def _bind(listen: str) -> None:
    host, port = split_listen(listen)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(asyncio.Protocol, host, port, start_serving=False)
    server.close()
    await server.wait_closed()


async def _probe(host: str, port: int) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
        return await reader.read(_ENOUGH)
    finally:
        writer.close()


async def _is_daemon(listen: str) -> bool:
    """Whether what listens there answers a daemon's probe of its life."""
    try:
        async with asyncio.timeout(_BRIEFLY):
            answer = await _probe(*split_listen(listen))
    except OSError:  # TimeoutError is one too
        return False
    return b"\r\nServer: backorder-consumer\r\n" in answer
