"""What a person ordered of a sink: hold still, or take events again.

Orders stand in the journal; they are read when somebody tells of a new one, and now and then. What
is carried out of them is written down there page by page, so that a daemon that died goes on where
it was. Whatever is ordered while a page or a batch is in hand counts behind it; the journal sees to
it that the progress of one replay never moves another, and that a replay reaches up to what was in
hand (`RepairableJournal`).

An order does not end a back-off, unless it changes what comes next: a sink that goes on after a
pause, another replay or none any more, the first event to be retried. That is tried at once.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import takewhile

from msgspec.structs import replace

from consumer.dispatcher.courier import Courier
from consumer.dispatcher.ledger import Ledger
from consumer.dispatcher.marking import marked
from consumer.dispatcher.retries import Retries
from consumer.dispatcher.signals import Signals
from consumer.event import timestamp
from consumer.model import Record, Replay
from consumer.ports import Status
from consumer.repair import Orders
from consumer.telemetry import Log, Metrics


class Again:
    """The orders of one sink, and their execution."""

    def __init__(
        self,
        sink: str,
        *,
        wants: Callable[[Record], bool],
        ledger: Ledger,
        courier: Courier,
        retries: Retries,
        signals: Signals,
        status: Status,
        metrics: Metrics,
        log: Log,
    ) -> None:
        self._sink = sink
        self._wants = wants
        self._ledger = ledger
        self._courier = courier
        self._retries = retries
        self._signals = signals
        self._status = status
        self._paused_now = metrics.paused.labels(sink)
        self._log = log
        self._orders = Orders()

    @property
    def paused(self) -> bool:
        """Whether nothing may be delivered."""
        return self._orders.paused is not None

    @property
    def replaying(self) -> bool:
        """Whether a replay is not over."""
        return self._orders.replay is not None

    @property
    def retry_at(self) -> float:
        """The moment, as of `time.monotonic`, when parked events are to be offered."""
        return self._retries.ready_at if self._orders.retrying else math.inf

    async def look(self) -> None:
        """Read the orders, if it is time to."""
        if self._signals.orders_due:
            self._signals.orders_looked_at()
            self._take(await self._ledger.orders())

    async def retry(self) -> None:
        """Offer parked events."""
        if not await self._retries.offer():
            self._orders = replace(self._orders, retrying=0)

    async def replay(self) -> None:
        """Offer one page of the replay."""
        if self._orders.replay is not None:
            await self._offer_replay(self._orders.replay)

    async def _offer_replay(self, run: Replay) -> None:
        records = await self._ledger.read(run.done, source=run.source)
        page = list(takewhile(lambda record: record.seq <= run.end, records))
        wanted = [marked(record) for record in page if self._wants(record)]
        is_last = len(page) < len(records) or not page
        upto = run.end if is_last else page[-1].seq
        await self._courier.offer(wanted, upto, partial(self._settle_replay, run))

    async def _settle_replay(
        self, run: Replay, seq: int, offered: Sequence[Record], refused: Mapping[int, str]
    ) -> None:
        further = replace(run, done=seq)
        await self._ledger.redelivered(offered, refused, replayed=further)
        self._take(replace(self._orders, replay=further))
        if further.over:
            self._take(replace(self._orders, replay=None))

    # --- what changed ------------------------------------------------------------------------

    def _take(self, orders: Orders) -> None:
        """Know these from now on, and tell what is new about them."""
        before, self._orders = self._orders, orders
        if orders.paused != before.paused:
            self._pause(before)
        if _asked(orders.replay) != _asked(before.replay):
            self._courier.hasten()
            self._tell_replay(before.replay, orders.replay)
        if orders.retrying and not before.retrying:
            self._retries.hasten()

    def _pause(self, before: Orders) -> None:
        since = self._orders.paused
        self._paused_now.set(self.paused)
        if since is None:
            self._status.note("")
            self._courier.hasten()
            self._retries.hasten()
            self._log.sink_resumed(sink=self._sink)
            return
        self._status.note(f"paused by a person since {timestamp(since.replace(microsecond=0))}")
        if before.paused is None:
            self._log.sink_paused(sink=self._sink)

    def _tell_replay(self, before: Replay | None, now: Replay | None) -> None:
        if before is not None:
            self._log.replay_ended(
                sink=self._sink, start=before.start, end=before.end, done=before.done
            )
        if now is not None:
            self._log.replay_begun(
                sink=self._sink, start=now.start, end=now.end, done=now.done, source=now.source
            )


def _asked(run: Replay | None) -> Replay | None:
    """A replay as it was asked for, whatever has come of it."""
    return run and replace(run, done=0)
