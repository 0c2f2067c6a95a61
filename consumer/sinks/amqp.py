"""A sink that publishes to RabbitMQ: an exchange, or one queue.

Each event is one persistent message in CloudEvents structured mode; one that is offered again has
the header `replay`, true. An event counts as delivered
when the broker has confirmed it, that is, has it on disk in a durable queue. Nothing is declared
unless `declare = "active"` says so. The sink connects when it has something to deliver; waiting
between attempts is the dispatcher's business.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from string import Formatter
from typing import Literal, Self

from consumer.amqp import (
    LONGEST_NAME,
    AmqpTls,
    Dialer,
    Heartbeat,
    Letter,
    Link,
    LinkSettings,
    Publisher,
    check_names,
    check_urls,
)
from consumer.errors import Unavailable
from consumer.model import Record
from consumer.settings import SinkOptions, Text
from consumer.sinks import through, traceparent
from consumer.values import PositiveDuration, Secret

_CONTENT_TYPE = "application/cloudevents+json"
_TYPE_PREFIX = "backorder."
_FIELDS: Mapping[str, Callable[[Record], str]] = {
    "system": lambda record: record.system,
    "type": lambda record: record.type.removeprefix(_TYPE_PREFIX),
    "account": lambda record: record.account,
    "source": lambda record: record.origin,
}


class AmqpOptions(SinkOptions, frozen=True, kw_only=True):
    """`type = "amqp"`: publish to RabbitMQ.

    Give `url`, or `urls` of several nodes that are tried in turn; and `exchange`, whose messages
    get `routing_key`, or `queue`. In `routing_key`, `{system}` is radial, mvet or cinx, `{type}`
    opened, cleared and so on, `{account}` the store or customer account, `{source}` the name of
    the configured source.

    `connect_timeout` is for each URL; `confirm_timeout` for the broker's answers to one batch, and
    for finding the exchange or queue after connecting.

    `unroutable` is what becomes of an event that no queue is bound for: `retry` has the sink stay
    there until there is one; `park` sets it aside and goes on; `drop` lets the broker drop it.
    `declare = "active"` makes `queue` (durable, of `queue_type`) where it is missing.
    """

    url: Secret = Secret("")
    urls: tuple[Secret, ...] = ()
    exchange: str = ""
    routing_key: Text = "{system}.{type}"
    queue: str = ""
    unroutable: Literal["retry", "park", "drop"] = "retry"
    declare: Literal["passive", "active"] = "passive"
    queue_type: Literal["classic", "quorum"] = "quorum"
    confirm_timeout: PositiveDuration = PositiveDuration(30)
    connect_timeout: PositiveDuration = PositiveDuration(10)
    heartbeat: Heartbeat = 10
    tls: AmqpTls | None = None

    def __post_init__(self) -> None:
        if bool(len(self.url)) == bool(self.urls):
            raise ValueError("give either url or urls")
        check_urls(self.addresses, self.tls, key="urls" if self.urls else "url")
        check_names(exchange=(self.exchange,), queue=(self.queue,))
        if bool(self.exchange) == bool(self.queue):
            raise ValueError("give either exchange or queue")
        if self.declare == "active" and not self.queue:
            raise ValueError('declare = "active" makes queues only; an exchange has to exist')
        check_template(self.routing_key)

    @property
    def addresses(self) -> tuple[Secret, ...]:
        """`urls`, or `url` alone."""
        return self.urls or (self.url,)


def check_template(template: str) -> None:
    """Raise ValueError where a routing key names something unknown."""
    known = ", ".join(f"{{{name}}}" for name in _FIELDS)
    try:
        parts = list(Formatter().parse(template))
    except ValueError:
        raise ValueError(
            f"routing_key: its {{ and }} do not pair up; placeholders are {known}"
        ) from None
    for _, field, spec, conversion in parts:
        if field is not None and (field not in _FIELDS or spec or conversion):
            raise ValueError(f"routing_key knows {known}, but not {{{field}}}")


def _fields(template: str) -> Mapping[str, Callable[[Record], str]]:
    """What a routing key is made of."""
    named = {field for _, field, _, _ in Formatter().parse(template) if field is not None}
    return {name: _FIELDS[name] for name in named}


class Amqp:
    """The sink. One connection of its own, so that a blocked publisher blocks no consumer."""

    Options = AmqpOptions

    def __init__(self, options: AmqpOptions) -> None:
        self.name = options.name
        self._options = options
        self._fields = _fields(options.routing_key)
        self._dialer = Dialer(
            LinkSettings(
                urls=options.addresses,
                name=f"backorder-consumer sink {options.name}",
                tls=options.tls,
                heartbeat=options.heartbeat,
                connect_timeout=options.connect_timeout,
            )
        )
        self._link: Link | None = None
        self._publisher: Publisher | None = None
        self._stuck = ""
        self._left: Record | None = None
        self._open = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._hang_up()

    async def deliver(self, batch: Sequence[Record]) -> Mapping[int, str]:
        """Publish a batch, as `Sink.deliver` promises."""
        letters: list[Letter] = []
        refused: dict[int, str] = {}
        seqs: dict[str, int] = {}
        for record in batch:
            key = self._routing_key(record)
            if len(key.encode()) > LONGEST_NAME:
                refused[record.seq] = f"its routing key is longer than {LONGEST_NAME} bytes"
                continue
            seqs[record.id] = record.seq
            letters.append(_letter(record, key))
        if not letters:
            return refused
        await self._turn_to(batch[0])
        publisher = await self._ready()
        try:
            await self._retry(publisher, letters)
            returned = await self._publish(publisher, letters)
        except Unavailable as trouble:
            stuck = letters[trouble.delivered].id
            self._stuck = stuck if publisher.is_answered else ""
            stopped = _stopped(trouble.reason, batch, stuck, refused)
            self._left = batch[stopped.delivered]
            raise stopped from trouble
        publisher.forget()
        self._left = None
        return refused | {seqs[id_]: why for id_, why in returned.items()}

    async def _turn_to(self, first: Record) -> None:
        """Begin anew where a batch does not go on with what was left of the one before.

        A publisher does not send again what it has under way, or what was confirmed of a batch that
        got stuck. What is offered once more because a person asked for it has the same ids and is
        to be sent all the same; the answers to what went out before are lost with the connection.
        """
        left, self._left = self._left, first
        if left is not None and (first.replay != left.replay or first.seq < left.seq):
            self._stuck = ""
            await self._hang_up()

    async def _retry(self, publisher: Publisher, letters: Sequence[Letter]) -> None:
        """Send what was refused last time before anything behind it.

        Behind it everything has to be sent again. That is to be once, when it goes through, and not
        at each attempt.
        """
        place = next((n for n, letter in enumerate(letters) if letter.id == self._stuck), None)
        if place is not None:
            await self._publish(publisher, letters[: place + 1])
        self._stuck = ""

    async def _publish(self, publisher: Publisher, letters: Sequence[Letter]) -> Mapping[str, str]:
        """Publish; return the ids that no queue is bound for, why, unless these are stuck then."""
        returned = await publisher.publish(letters, within=self._options.confirm_timeout)
        if returned and self._options.declare == "active":
            # The queue is gone: a new publisher declares it.
            self._publisher = None
        if returned and self._options.unroutable == "retry":
            place = next(n for n, letter in enumerate(letters) if letter.id in returned)
            why = returned[letters[place].id]
            raise Unavailable(f"{self._target}: {why}", delivered=place)
        return returned

    async def check(self) -> Sequence[str]:
        """Connect and look at the exchange or the queue."""
        link = await self._dialer.dial()
        try:
            return [f"connected to {link.where}, {link.product}", await self._look(link)]
        finally:
            await link.close()

    async def _look(self, link: Link) -> str:
        async with link.channel() as channel:
            if self._options.exchange:
                await link.exchange(channel, self._options.exchange)
                return f"exchange {self._options.exchange} exists"
            try:
                found = await link.queue(channel, self._options.queue)
            except Unavailable:
                if self._options.declare == "passive" or link.trouble is not None:
                    raise
                return f"queue {self._options.queue} does not exist yet and will be declared"
            return f"queue {found.name} exists: {found.messages} messages"

    @property
    def _target(self) -> str:
        if self._options.exchange:
            return f"exchange {self._options.exchange}"
        return f"queue {self._options.queue}"

    def _routing_key(self, record: Record) -> str:
        if self._options.queue:
            return self._options.queue
        return self._options.routing_key.format_map(
            {name: value(record) for name, value in self._fields.items()}
        )

    async def _ready(self) -> Publisher:
        """The open publisher, or a new one where there is none or it broke."""
        if self._publisher is not None and self._publisher.trouble is None:
            return self._publisher
        if self._link is None or self._link.trouble is not None:
            await self._hang_up()
            self._link = await self._dialer.dial()
        await self._open.aclose()
        within = self._options.confirm_timeout
        try:
            async with asyncio.timeout(within):
                self._publisher = await self._set_up(self._link)
        except TimeoutError:
            reason = f"{self._link.where}: no answer from the broker within {within:g} s"
            raise Unavailable(reason) from None
        return self._publisher

    async def _set_up(self, link: Link) -> Publisher:
        """A publisher on `link`, whose target is there."""
        options = self._options
        if options.declare == "active":
            await link.make_queue(options.queue, {"x-queue-type": options.queue_type})
        await self._look(link)
        return await self._open.enter_async_context(
            Publisher.open(link, exchange=options.exchange, mandatory=options.unroutable != "drop")
        )

    async def _hang_up(self) -> None:
        self._publisher = None
        if self._link is not None:
            # First, so that closing the channel asks the broker nothing.
            await self._link.close()
            self._link = None
        await self._open.aclose()


def _stopped(
    reason: str, batch: Sequence[Record], stuck: str, refused: Mapping[int, str]
) -> Unavailable:
    """The trouble, with the count of events that got through before the one with the id `stuck`."""
    place = next(n for n, record in enumerate(batch) if record.id == stuck)
    return Unavailable(reason, delivered=through(batch[:place], refused))


def _letter(record: Record, routing_key: str) -> Letter:
    trace = traceparent(record)
    headers: dict[str, str | bool] = {"traceparent": trace} if trace else {}
    if record.replay:
        headers["replay"] = True
    return Letter(
        id=record.id,
        routing_key=routing_key,
        type=record.type,
        content_type=_CONTENT_TYPE,
        timestamp=record.recorded,
        headers=headers,
        body=record.body,
    )
