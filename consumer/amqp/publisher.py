"""Publishing batches, confirms in flight together.

Rules
- A batch goes out in a few large writes; its confirms are counted as they come, no task or future
  for each. No separate drain: waiting for a batch's confirms bounds what is under way.
- A batch that got stuck is offered again by the caller. What it begins with and the broker has
  confirmed or still has to answer for (it may be blocked) is not sent again while this channel
  lives; late confirms count. From the first letter on that it did not take, one unroutable or
  refused, everything is: what was stored behind it is repeated, so that the last word on anything
  comes in order.
- Answers to an earlier batch, one that its caller gave up, may come while a later one is under
  way: a call tells of its own letters only.
- A lost channel loses the answers: the caller sends what lies behind the confirmed prefix again,
  under the same message ids.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

from consumer.amqp.channel import Confirm, Happening, Returned
from consumer.amqp.deadlines import RPC_TIMEOUT, cut_short
from consumer.amqp.letters import Envelopes, Letter
from consumer.amqp.link import Link
from consumer.amqp.trouble import translated
from consumer.errors import Unavailable

_WRITE = 64 << 10
"""Bytes of bodies, about, that go out in one write."""


class Publisher:
    """A channel in confirm mode that publishes to one exchange. Got from `open`."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._envelopes: Envelopes | None = None
        self._next = 1
        self._pending: OrderedDict[int, str] = OrderedDict()
        self._confirmed: set[str] = set()
        self._returned: dict[str, str] = {}
        self._answered = asyncio.Event()
        self._deadline: asyncio.Timeout | None = None
        self.trouble: Unavailable | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, link: Link, *, exchange: str, mandatory: bool
    ) -> "AsyncIterator[Publisher]":
        """A publisher for the length of the block. `exchange` "" routes to queues by their name."""
        self = cls(link)
        async with link.channel(self._happened, self._lose) as channel:
            self._envelopes = Envelopes(
                channel.number, exchange, mandatory=mandatory, most=channel.max_content_size
            )
            with translated(link.where):
                await channel.confirm_delivery(timeout=RPC_TIMEOUT)
            yield self

    async def publish(self, letters: Sequence[Letter], *, within: float) -> Mapping[str, str]:
        """Publish in order and wait for all confirms; return the ids that could not be routed, why.

        Raises `Unavailable` where the broker did not take all of them `within` seconds; its
        `delivered` counts the letters from the start that the broker has, fewer than all.
        """
        try:
            async with asyncio.timeout(within) as self._deadline:
                await self._link.ready()
                await self._send(self._new(letters))
                await self._answers()
        except TimeoutError:
            if self._not_taken(letters):
                raise await self._explain(letters, within) from None
        finally:
            self._deadline = None
        if nacked := self._not_taken(letters):
            reason = f"{self._link.where}: the broker refused to store {nacked} messages (nack)"
            raise Unavailable(reason, delivered=self._prefix(letters))
        if not self._returned:
            return {}
        ids = [letter.id for letter in letters if letter.id in self._returned]
        return {id_: self._returned.pop(id_) for id_ in ids}

    def _not_taken(self, letters: Sequence[Letter]) -> int:
        """How many letters the broker has neither confirmed nor returned."""
        confirmed, returned = self._confirmed, self._returned
        return sum(each.id not in confirmed and each.id not in returned for each in letters)

    @property
    def is_answered(self) -> bool:
        """Whether the broker has answered for everything: what it did not take, it refused."""
        return not self._pending

    def forget(self) -> None:
        """The last batch is done with: should the same ids come again, they are to be sent."""
        self._confirmed.clear()

    def _new(self, letters: Sequence[Letter]) -> Sequence[Letter]:
        """The first that the broker has not confirmed and that is not under way, and all behind.

        What was said about others, and about earlier copies of these, is forgotten.
        """
        if not (self._pending or self._confirmed or self._returned):
            return letters
        under_way = set(self._pending.values())
        asked = {letter.id for letter in letters}
        self._confirmed &= asked
        for id_ in self._returned.keys() - asked - under_way:
            del self._returned[id_]
        known = self._confirmed | under_way
        first = next((n for n, each in enumerate(letters) if each.id not in known), len(letters))
        again = {letter.id for letter in letters[first:]}
        self._confirmed -= again
        for tag in [tag for tag, id_ in self._pending.items() if id_ in again]:
            del self._pending[tag]
        return letters[first:]

    async def _send(self, letters: Sequence[Letter]) -> None:
        if self._returned:
            for letter in letters:
                self._returned.pop(letter.id, None)
        for payload, ids in self._writes(letters):
            if self.trouble is not None:
                raise TimeoutError
            await self._link.write(payload)
            self._pending.update(enumerate(ids, start=self._next))
            self._next += len(ids)

    def _writes(self, letters: Sequence[Letter]) -> Iterator[tuple[bytes, Sequence[str]]]:
        """Frames of several letters together, with the ids of these letters."""
        if self._envelopes is None:
            raise RuntimeError("not open")
        pieces: list[bytes] = []
        ids: list[str] = []
        size = 0
        for letter in letters:
            pieces += self._envelopes.pieces(letter)
            ids.append(letter.id)
            size += len(letter.body)
            if size >= _WRITE:
                yield b"".join(pieces), ids
                pieces, ids, size = [], [], 0
        if ids:
            yield b"".join(pieces), ids

    async def _answers(self) -> None:
        while self._pending:
            if self.trouble is not None:
                raise TimeoutError
            self._answered.clear()
            await self._answered.wait()

    async def _explain(self, letters: Sequence[Letter], within: float) -> Unavailable:
        """Why it took too long."""
        delivered = self._prefix(letters)
        if self.trouble is not None:
            return Unavailable(self.trouble.reason, delivered=delivered)
        if await self._is_blocked():
            why = "the broker blocks publishers: it is short of memory or disk space"
        else:
            why = f"no confirm from the broker within {within:g} s"
        return Unavailable(f"{self._link.where}: {why}", delivered=delivered)

    async def _is_blocked(self) -> bool:
        try:
            async with asyncio.timeout(0):
                await self._link.ready()
        except TimeoutError:
            return True
        return False

    def _prefix(self, letters: Sequence[Letter]) -> int:
        """How many letters from the start the broker has taken and routed."""
        for count, letter in enumerate(letters):
            if letter.id not in self._confirmed:
                return count
        return len(letters)

    def _happened(self, happening: Happening) -> None:
        if isinstance(happening, Returned):
            self._returned[happening.message_id] = (
                f"the broker could not route it: {happening.why}"
                f" (routing key {happening.routing_key!r})"
            )
        elif isinstance(happening, Confirm):
            self._confirm(happening)

    def _confirm(self, confirm: Confirm) -> None:
        if confirm.multiple:
            while self._pending and next(iter(self._pending)) <= confirm.tag:
                self._settle(self._pending.popitem(last=False)[1], taken=confirm.taken)
        elif (id_ := self._pending.pop(confirm.tag, None)) is not None:
            self._settle(id_, taken=confirm.taken)
        if not self._pending:
            self._answered.set()

    def _settle(self, id_: str, *, taken: bool) -> None:
        if taken and id_ not in self._returned:
            self._confirmed.add(id_)

    def _lose(self, trouble: Unavailable) -> None:
        self.trouble = self.trouble or trouble
        self._answered.set()
        cut_short(self._deadline)
