"""The demonstration: a real daemon between simulated upstreams and two sinks.

Radial's side is played by a private RabbitMQ with a queue for each store, where one is installed,
and by a sender that posts lists to the webhook; MVET and CINX by web services whose worlds change.
The daemon between them is the one that `run` starts, on a configuration of the demonstration's own.
At the end every fact that was sent is looked up in the journal and in what the sinks got, and the
order lines that the journal has open are compared with the worlds.

One file an idea: `configuration` is the file that is written, `radial` and `polled` the upstreams,
`arrivals` what has arrived where, `demonstration` puts them together.
"""

from consumer.demo.demonstration import Demo

__all__ = ["Demo"]
