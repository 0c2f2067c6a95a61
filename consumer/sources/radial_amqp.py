"""Radial's order events from its RabbitMQ edge server: one queue for each store.

Rules
- A message is acknowledged after the journal has committed it, and not before. It is never
  rejected: what cannot be understood is quarantined, and that is a commit too. While the journal
  cannot commit nothing is acknowledged, and the prefetch window is what is held at the most.
- Every queue is followed by itself, on a channel of its own. A queue that is missing, deleted or
  taken away delays only itself; a lost connection is made anew, at the next URL in turn.
- The queues are Radial's: they are looked at, never declared, unless `declare = "active"`.

Connecting, following the queues and acknowledging is the work of `consumer.amqp.supervisor`; here
a delivery becomes a message.
"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Annotated, Literal

from msgspec import Meta

from consumer.amqp import (
    AmqpTls,
    Consumption,
    Delivery,
    Dialer,
    Heartbeat,
    Link,
    LinkSettings,
    ReconnectSettings,
    Supervisor,
    check_names,
    check_urls,
)
from consumer.errors import Unavailable
from consumer.event import valid_traceparent
from consumer.model import Message, Outcome, Unwanted, utc_now
from consumer.ports import Ground
from consumer.retry import Backoff
from consumer.settings import SourceOptions, Text
from consumer.values import PositiveDuration, Secret

_HEADER_LENGTH = 200
_DEATHS = 5


class RadialAmqpOptions(SourceOptions, frozen=True, kw_only=True):
    """`type = "radial-amqp"`: consume Radial's queues.

    `urls` are tried in turn. `store_codes` stand for the queues `q.Order.BackOrder.<code>.2-0`;
    `queues` names them as they are. `prefetch` bounds what is unacknowledged per queue, in messages
    and whatever their size: RabbitMQ knows no bound in bytes. While the journal is slow or down up
    to `prefetch` messages of every queue are held in memory, so where they may be large, or the
    queues are many, set it lower. `connect_timeout` is for each URL. On a queue that carries all
    event types set `on_other_type = "acknowledge"`. `watch` is how often the broker is asked
    whether it still knows us as a consumer. `declare = "active"` makes durable queues where they
    are missing.
    """

    urls: tuple[Secret, ...]
    store_codes: tuple[Text, ...] = ()
    queues: tuple[Text, ...] = ()
    prefetch: Annotated[int, Meta(ge=1, le=65_535)] = 500
    heartbeat: Heartbeat = 10
    connect_timeout: PositiveDuration = PositiveDuration(10)
    reconnect: ReconnectSettings = ReconnectSettings()
    watch: PositiveDuration = PositiveDuration(30)
    on_test: Unwanted = "acknowledge"
    on_other_type: Unwanted = "quarantine"
    declare: Literal["passive", "active"] = "passive"
    tls: AmqpTls | None = None

    def __post_init__(self) -> None:
        check_urls(self.urls, self.tls)
        check_names(**{"queues" if self.queues else "store_codes": self.names})
        if bool(self.store_codes) == bool(self.queues):
            raise ValueError("give either store_codes or queues")
        if len(set(self.names)) < len(self.names):
            raise ValueError("the same queue is named twice")

    @property
    def names(self) -> Sequence[str]:
        """The names of the queues."""
        return self.queues or tuple(f"q.Order.BackOrder.{code}.2-0" for code in self.store_codes)


class RadialAmqp:
    """The source."""

    Options = RadialAmqpOptions

    def __init__(self, options: RadialAmqpOptions) -> None:
        self.name = options.name
        self._options = options
        self._dialer = Dialer(
            LinkSettings(
                urls=options.urls,
                name=f"backorder-consumer source {options.name}",
                tls=options.tls,
                heartbeat=options.heartbeat,
                connect_timeout=options.connect_timeout,
            )
        )
        self._supervisor = Supervisor(
            self._dialer,
            Consumption(
                queues=options.names,
                prefetch=options.prefetch,
                declare=options.declare == "active",
                watch=options.watch,
                backoff=Backoff(initial=options.reconnect.initial, most=options.reconnect.max),
            ),
        )

    def stop(self) -> None:
        """Take nothing new from now on."""
        self._supervisor.stop()

    async def run(self, ground: Ground) -> None:
        """Consume until stopped, as `Source.run` promises."""

        async def receive(queue: str, batch: Sequence[Delivery]) -> Awaitable[Sequence[Outcome]]:
            return await ground.intake.accept_patiently(self._messages(queue, batch))

        await self._supervisor.run(receive, ground.status)

    def _messages(self, queue: str, batch: Sequence[Delivery]) -> Sequence[Message]:
        received = utc_now()
        return [
            Message(
                body=delivery.body,
                source=self.name,
                system="radial",
                received=received,
                origin=queue,
                traceparent=_traceparent(delivery.headers),
                on_test=self._options.on_test,
                on_other_type=self._options.on_other_type,
                attributes=_attributes(delivery),
            )
            for delivery in batch
        ]

    async def check(self) -> Sequence[str]:
        """Connect and look at every queue, without consuming."""
        link = await self._dialer.dial()
        try:
            looks = [_look(link, name) for name in self._options.names]
            seen = await asyncio.gather(*looks)
        finally:
            await link.close()
        missing = [text for exists, text in seen if not exists]
        if missing and self._options.declare == "passive":
            raise Unavailable("; ".join(missing))
        return [
            f"connected to {link.where}, {link.product}",
            *(text if exists else f"{text}; it will be declared" for exists, text in seen),
        ]


async def _look(link: Link, name: str) -> tuple[bool, str]:
    """Whether a queue can be had, and what there is to say about it."""
    try:
        async with link.channel() as channel:
            queue = await link.queue(channel, name)
    except Unavailable as trouble:
        return False, f"{name}: {trouble.reason}"
    return True, f"{name}: {queue.messages} messages ready, {queue.consumers} consumers"


def _traceparent(headers: Mapping[str, object]) -> str | None:
    return valid_traceparent(_text(headers.get("traceparent"))) if headers else None


def _attributes(delivery: Delivery) -> Mapping[str, str]:
    """What the transport said and may matter to a person; most messages say nothing."""
    said = {
        "message_id": delivery.message_id,
        "type": delivery.type,
        "redelivered": "true" if delivery.redelivered else None,
    }
    if headers := delivery.headers:
        said["x-delivery-count"] = _text(headers.get("x-delivery-count"))
        said["x-death"] = _deaths(headers.get("x-death"))
    return {name: value for name, value in said.items() if value}


def _text(value: object) -> str | None:
    """A header's value as text of a bounded length; a sender may put anything there."""
    if value is None:
        return None
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text[:_HEADER_LENGTH]


def _deaths(value: object) -> str | None:
    """Why and where from a message was dead-lettered, such as `3 x rejected from orders`."""
    if not isinstance(value, list):
        return None
    deaths = [each for each in value if isinstance(each, dict)][:_DEATHS]
    return "; ".join(
        f"{_text(each.get('count', 1))} x {_text(each.get('reason'))}"
        f" from {_text(each.get('queue'))}"
        for each in deaths
    )
