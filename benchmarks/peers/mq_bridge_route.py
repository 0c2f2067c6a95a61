"""mq-bridge: a route of its Rust core from queue to queue, with the same handler in Python.

All as it comes, batches of 512 and confirms that are waited for included; but its prefetch is that
of the others. `benchmarks.peers.mq_bridge_passing` is the same without a handler.
"""

from mq_bridge import Message, Route

from benchmarks.peers.work import PREFETCH, converted, route


def made() -> Route:
    """The route without a handler. The core wants the default virtual host spelled `/%2f`."""
    asked = route()
    url = f"{asked.url.rstrip('/')}/%2f"
    return Route.from_config(
        {
            "input": {"amqp": {"url": url, "queue": asked.source, "prefetch_count": PREFETCH}},
            "output": {"amqp": {"url": url, "queue": asked.target}},
        }
    )


def handle(message: Message) -> Message:
    """The work of all peers."""
    return message.with_payload(converted(message.payload))


if __name__ == "__main__":
    made().with_handler(handle).run()
