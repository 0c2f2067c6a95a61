"""What a person ordered of a sink: hold still, or take events again.

Orders stand in the journal; they are read when somebody tells of a new one, and now and then. What
is carried out of them is written down there page by page, so that a daemon that died goes on where
it was. Whatever is ordered while a page or a batch is in hand counts behind it; the journal sees to
it that the progress of one replay never moves another, and that a replay reaches up to what was in
hand (`RepairableJournal`).

How an event says that it is offered again: `replay` is an extension attribute (CloudEvents 1.0.2,
"Extension Context Attributes"), a member beside the others. It is put in as the first one without
decoding the body: that is an object with members in any case (`Event.encode`), and what stands
behind is delivered byte for byte as it was.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import takewhile

from msgspec.structs import replace

from consumer.dispatcher.courier import Courier
from consumer.dispatcher.ledger import Ledger
from consumer.dispatcher.signals import Signals
from consumer.event import timestamp
from consumer.model import Record, Replay
from consumer.ports import Status
from consumer.repair import Orders
from consumer.settings import SinkOptions
from consumer.telemetry import Log, Metrics

# Parked events that are read together, however many the sink takes: their bodies may be large, and
# of what is beyond `batch.bytes` nothing is kept.
_PAGE = 100

_OPENING = b"{"
_MARK = b'{"replay":true,'


def marked(record: Record) -> Record:
    """The record as one that is offered again."""
    if not record.body.startswith(_OPENING):
        raise ValueError("the body of a record is a JSON object")
    return replace(record, body=_MARK + record.body[len(_OPENING) :], replay=True)


class Again:
    """The orders of one sink, and their execution."""

    def __init__(
        self,
        options: SinkOptions,
        *,
        wants: Callable[[Record], bool],
        ledger: Ledger,
        courier: Courier,
        signals: Signals,
        status: Status,
        metrics: Metrics,
        log: Log,
    ) -> None:
        self._sink = options.name
        self._batch = options.batch
        self._wants = wants
        self._ledger = ledger
        self._courier = courier
        self._signals = signals
        self._status = status
        self._paused_now = metrics.paused.labels(options.name)
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
    def due(self) -> bool:
        """Whether there is something to offer again."""
        return self._orders.retrying > 0 or self.replaying

    async def look(self) -> None:
        """Read the orders, if it is time to."""
        if self._signals.orders_due:
            self._signals.orders_looked_at()
            self._take(await self._ledger.orders())

    async def offer(self) -> None:
        """Offer one page of what is due."""
        if self._orders.retrying:
            await self._offer_parked()
        elif self._orders.replay is not None:
            await self._offer_replay(self._orders.replay)

    # --- parked events -----------------------------------------------------------------------

    async def _offer_parked(self) -> None:
        """A parked event is offered whatever the filter says: somebody asked for this very one."""
        parked = await self._ledger.retrying(limit=min(self._batch.events, _PAGE))
        records = [each.record for each in parked if each.record is not None]
        if records:
            page = self._bounded(records)
            await self._courier.offer(page, page[-1].seq, self._settle_parked)
        else:
            self._orders = replace(self._orders, retrying=0)

    def _bounded(self, records: Sequence[Record]) -> Sequence[Record]:
        """The first of them, marked: as many as fit into a batch, and at least one."""
        room = self._batch.bytes - len(records[0].body)
        page = [marked(records[0])]
        for record in records[1:]:
            room -= len(record.body)
            if room < 0:
                break
            page.append(marked(record))
        return page

    async def _settle_parked(
        self, _seq: int, offered: Sequence[Record], refused: Mapping[int, str]
    ) -> None:
        await self._ledger.redelivered(offered, refused)

    # --- a replay ----------------------------------------------------------------------------

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
        if seq >= run.end:
            self._take(replace(self._orders, replay=None))

    # --- what changed ------------------------------------------------------------------------

    def _take(self, orders: Orders) -> None:
        """Know these from now on, and tell what is new about them."""
        before, self._orders = self._orders, orders
        if orders.paused is not None:
            self._status.up(
                f"paused by a person since {timestamp(orders.paused.replace(microsecond=0))}"
            )
        elif before.paused is not None:
            self._status.up()
        self._paused_now.set(self.paused)
        if (orders.paused is None) != (before.paused is None):
            self._tell_pause()
        if _asked(orders.replay) != _asked(before.replay):
            self._tell_replay(before.replay, orders.replay)

    def _tell_pause(self) -> None:
        if self.paused:
            self._log.sink_paused(sink=self._sink)
        else:
            self._log.sink_resumed(sink=self._sink)

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
