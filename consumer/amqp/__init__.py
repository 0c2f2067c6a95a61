"""AMQP 0-9-1 for sources and sinks: the only place that knows the driver (aiormq and pamqp).

Rules
- Plain connections. The driver's "robust" ones restore everything together, so that one missing
  queue keeps all others away; here whoever needs a link or a channel opens it again by itself,
  with jittered waits, and trouble with one queue is trouble with that queue only.
- Nothing is declared unless the configuration says so: the queues are somebody else's.
- A delivery tag never leaves the channel it came on; acks and confirms are batched.
- The driver's errors become `consumer.errors.Unavailable` here, worded for the operator.

    options.py       what a user can configure about a link
    trouble.py       driver errors → reasons
    deadlines.py     how long an answer is waited for, and waiting no longer
    mending.py       what a sender put beside a body never ends a connection
    properties.py    what is wanted of a message's properties
    channel.py       a channel whose deliveries and confirms cost no task each
    lenient.py       reading a connection: large pieces, cut into frames, given to the channels
    link.py          one connection, tried at several addresses in turn
    subscription.py  consuming one queue: take batches, acknowledge up to a delivery
    supervisor.py    keeps queues consumed over lost connections and missing queues
    letters.py       what is published, as frames
    publisher.py     publishing batches with confirms in flight together

The driver is aiormq, on which aio-pika is built: aio-pika's own layer makes an object with forty
attributes and a task of every delivery and a task of every publish, which is most of the cost.
"""

from consumer.amqp.channel import Delivery
from consumer.amqp.letters import Letter
from consumer.amqp.link import Dialer, Link, Queue
from consumer.amqp.options import (
    LONGEST_NAME,
    AmqpTls,
    Heartbeat,
    LinkSettings,
    ReconnectSettings,
    check_names,
    check_urls,
)
from consumer.amqp.publisher import Publisher
from consumer.amqp.subscription import Subscription
from consumer.amqp.supervisor import Consumption, Supervisor

__all__ = [
    "LONGEST_NAME",
    "AmqpTls",
    "Consumption",
    "Delivery",
    "Dialer",
    "Heartbeat",
    "Letter",
    "Link",
    "LinkSettings",
    "Publisher",
    "Queue",
    "ReconnectSettings",
    "Subscription",
    "Supervisor",
    "check_names",
    "check_urls",
]
