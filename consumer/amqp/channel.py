"""A channel whose deliveries, returns and confirms are handled where they are read.

The driver puts every frame of a channel into a queue of ten, from which a task of the channel
takes it, and makes a task of every delivery and a future of every publish. Here the queue's `put`
looks at the frame first: those four kinds, and the header and body frames that follow them, are
put together on the spot and handed to a plain function. Everything else goes the driver's way.

Should a later driver no longer go through `put`, deliveries would not arrive and the tests fail;
its version is bounded in pyproject.toml.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from aiormq.abc import AbstractConnection, FrameType
from aiormq.channel import Channel
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader


class Delivery(NamedTuple):
    """One message from a queue; `tag` is good on the channel it came on and nowhere else."""

    tag: int
    redelivered: bool
    body: bytes
    headers: Mapping[str, Any]
    message_id: str | None
    type: str | None


class Confirm(NamedTuple):
    """The broker answers for one publish, or with `multiple` for all up to it."""

    tag: int
    multiple: bool
    taken: bool


class Returned(NamedTuple):
    """The broker could not route a message; the confirm that follows says nothing about that."""

    message_id: str
    routing_key: str
    why: str


Happening = Delivery | Confirm | Returned


class LeanChannel(Channel):
    """A driver's channel that tells `happened` about deliveries, returns and confirms."""

    def __init__(
        self, connection: AbstractConnection, number: int, happened: Callable[[Happening], None]
    ) -> None:
        super().__init__(connection, number, publisher_confirms=False)
        self.frames = _Frames(happened)


class _Frames(asyncio.Queue[tuple[int, FrameType]]):
    """The inlet of a channel: assembles messages, and queues what is not part of one."""

    def __init__(self, happened: Callable[[Happening], None]) -> None:
        super().__init__()
        self._happened = happened
        self._open: Basic.Deliver | Basic.Return | None = None
        self._header = ContentHeader()
        self._parts: list[bytes] = []
        self._missing = 0

    async def put(self, item: tuple[int, FrameType]) -> None:
        """Called by the driver's reader for each frame of the channel."""
        frame = item[1]
        match frame:
            case Basic.Deliver() | Basic.Return():
                self._open = frame
            case ContentHeader() if self._open is not None:
                self._header, self._missing, self._parts = frame, frame.body_size, []
                self._finish()
            case ContentBody() if self._open is not None:
                self._parts.append(frame.value)
                self._missing -= len(frame.value)
                self._finish()
            case Basic.Ack() | Basic.Nack():
                taken = isinstance(frame, Basic.Ack)
                self._happened(Confirm(frame.delivery_tag or 0, bool(frame.multiple), taken))
            case _:
                await super().put(item)

    def _finish(self) -> None:
        if self._missing > 0 or self._open is None:
            return
        opening, self._open = self._open, None
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        about = self._header.properties
        if isinstance(opening, Basic.Return):
            self._happened(
                Returned(
                    about.message_id or "", opening.routing_key or "", opening.reply_text or ""
                )
            )
            return
        self._happened(
            Delivery(
                opening.delivery_tag or 0,
                bool(opening.redelivered),
                body,
                about.headers or {},
                about.message_id,
                about.message_type,
            )
        )
