"""Parked events that a person wants offered once more.

Two things may be wrong where the sink cannot take one of them: the sink is down, and then the event
is to be tried again when it is back; or the sink answers this one event with an error of a passing
kind each time, and then nothing else may wait for it. What else the sink takes tells them apart:

1. Retries have a courier of their own, so that while they back off everything else has its turn.
2. An event that failed is doubted. While it is, other events to be retried go before it.
3. Once the sink took anything else since, a doubted event is offered by itself, at once and for
   the last time: it goes through, or it is put back, parked for the reason that it got last.

Where the sink takes nothing else, because it is down or because there is nothing else, the marks
stay, and retries go on with the usual waits.
"""

from collections.abc import Mapping, Sequence

from consumer.dispatcher.courier import Courier
from consumer.dispatcher.ledger import Ledger
from consumer.dispatcher.marking import marked
from consumer.model import Record
from consumer.settings import BatchSettings


class Retries:
    """Offers a sink its parked events; `others` hands over everything else."""

    def __init__(
        self, batch: BatchSettings, *, ledger: Ledger, courier: Courier, others: Courier
    ) -> None:
        self._batch = batch
        self._ledger = ledger
        self._courier = courier
        self._others = others
        self._doubted: dict[int, int] = {}  # by number: what `_taken` was when it failed

    @property
    def ready_at(self) -> float:
        """As `Courier.ready_at`."""
        return 0.0 if any(map(self._is_proven, self._doubted)) else self._courier.ready_at

    def hasten(self) -> None:
        """As `Courier.hasten`."""
        self._courier.hasten()

    async def offer(self) -> bool:
        """Offer what comes next, whatever the filter says: a person asked for these very events.

        Whether there was anything to offer.
        """
        limit = self._batch.events + len(self._doubted)  # so many may be left out
        parked = await self._ledger.retrying(limit=limit)
        page = [marked(each.record) for each in parked if each.record is not None]
        present = {record.seq for record in page}
        self._doubted = {seq: then for seq, then in self._doubted.items() if seq in present}
        proven = [record for record in page if self._is_proven(record.seq)]
        others = [record for record in page if record.seq not in self._doubted]
        if proven:
            await self._try(proven[:1], last=True)
        elif page:
            await self._try((others or page)[: self._batch.events])
        return bool(page)

    async def _try(self, batch: Sequence[Record], *, last: bool = False) -> None:
        stuck = await self._courier.offer(batch, batch[-1].seq, self._settle, last=last)
        for record in batch:
            self._doubted.pop(record.seq, None)
        if stuck is not None:
            self._doubted[stuck.seq] = self._taken

    @property
    def _taken(self) -> int:
        """How often the sink took something, whatever it was."""
        return self._courier.taken + self._others.taken

    def _is_proven(self, seq: int) -> bool:
        """Whether the sink took something since this event failed."""
        return self._taken > self._doubted.get(seq, self._taken)

    async def _settle(
        self, _seq: int, offered: Sequence[Record], refused: Mapping[int, str]
    ) -> None:
        await self._ledger.redelivered(offered, refused)
