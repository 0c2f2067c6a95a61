"""A pump: what comes next for one sink, turn by turn."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from time import monotonic

from consumer.dispatcher.again import Again
from consumer.dispatcher.courier import Courier
from consumer.dispatcher.ledger import Ledger
from consumer.dispatcher.retries import Retries
from consumer.dispatcher.signals import Bell, Signals
from consumer.errors import JournalUnavailable
from consumer.model import Record
from consumer.ports import Sink, Status
from consumer.repair import RepairableJournal
from consumer.settings import FilterSettings, SinkOptions
from consumer.telemetry import Log, Metrics


def wants(settings: FilterSettings) -> Callable[[Record], bool]:
    """Whether a sink with this filter gets a record."""
    sources = frozenset(settings.sources)
    types = frozenset(
        name if name.startswith("backorder.") else f"backorder.{name}" for name in settings.types
    )

    def decide(record: Record) -> bool:
        return (not sources or record.origin in sources) and (not types or record.type in types)

    return decide


class Pump:
    """Moves one sink along the journal until it is told to finish."""

    def __init__(
        self,
        journal: RepairableJournal,
        sink: Sink,
        options: SinkOptions,
        *,
        bell: Bell,
        status: Status,
        metrics: Metrics,
        log: Log,
    ) -> None:
        self._wants = wants(options.filter)
        self._signals = signals = Signals(bell)
        self._ledger = Ledger(
            journal, options.name, options.batch, signals=signals, metrics=metrics, log=log
        )
        courier, of_retries = (
            Courier(sink, options.retry, status=status, metrics=metrics, log=log) for _ in range(2)
        )
        self._courier = courier
        self._again = Again(
            options.name,
            wants=self._wants,
            ledger=self._ledger,
            courier=courier,
            retries=Retries(options.batch, ledger=self._ledger, courier=of_retries, others=courier),
            signals=signals,
            status=status,
            metrics=metrics,
            log=log,
        )
        self._passed = 0

    def reconsider(self) -> None:
        """Look at what persons want of the sink now, whatever the pump waits for. Never waits."""
        self._signals.reconsider()

    def finish(self) -> None:
        """Make `run` return at the journal's end, or at the first failure before it.

        What is to be offered again waits for the next start, and what is pending waits behind a
        replay; where the sink is paused everything waits.
        """
        self._signals.finish()

    async def run(self, after: int) -> None:
        """Deliver everything behind `after`, for ever or until `finish`."""
        self._passed = after
        with suppress(JournalUnavailable):  # raised only while finishing: the cursor stays behind
            await self._move()

    async def _move(self) -> None:
        while not self._signals.finishing:
            heard = self._signals.listen()
            await self._again.look()
            await self._turn(heard)
        while await self._may_finish_pending() and await self._offer_pending():
            if self._courier.failing:
                return

    async def _may_finish_pending(self) -> bool:
        await self._again.look()
        return not (self._again.paused or self._again.replaying)

    async def _turn(self, heard: int) -> None:
        """Do what comes next, or wait for it."""
        if self._again.paused:
            await self._signals.hold()
        elif self._again.retry_at <= monotonic():
            await self._again.retry()
        elif self._courier.ready_at > monotonic():
            until = min(self._courier.ready_at, self._again.retry_at)
            await self._signals.rest(until=until)
        elif self._again.replaying:
            await self._again.replay()
        elif not await self._offer_pending():
            await self._signals.idle(heard, until=self._again.retry_at)

    async def _offer_pending(self) -> bool:
        """Offer the next batch of what the sink has not passed yet; False where it passed all."""
        records = await self._ledger.read(self._passed)
        if records:
            wanted = [record for record in records if self._wants(record)]
            await self._courier.offer(wanted, records[-1].seq, self._settle)
        return bool(records)

    async def _settle(
        self, seq: int, offered: Sequence[Record], refused: Mapping[int, str]
    ) -> None:
        await self._ledger.advance(seq, offered, refused)
        self._passed = seq
