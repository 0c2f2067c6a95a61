"""The configuration that the demonstration writes, and runs on."""

import json
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

QUEUE_STORES = ("TMS_US", "TMS_CA")
WEBHOOK_STORES = ("TMS_EU",)
WEBHOOK_PATH = "/webhooks/radial/order-backorder"
CUSTOMERS = ("0002789", "0004027", "0031150")
ORGANISATIONS = ("Harbor Mechanical", "Lakeside Plumbing")
CINX_USER = "demo@example.com"
CINX_PASSWORD = "demonstration"  # noqa: S105 - of a simulator on a loopback address

_EVERY = "2s"


class Addresses(Struct, frozen=True, kw_only=True):
    """Where everybody is; `amqp` is None where no RabbitMQ can be had."""

    amqp: str | None
    mvet: str
    cinx: str
    webhook: str
    admin: str


def configuration(directory: Path, addresses: Addresses) -> str:
    """The file's text."""
    return _daemon(directory, addresses) + _radial(addresses) + _polled(addresses, CUSTOMERS)


def _daemon(directory: Path, addresses: Addresses) -> str:
    return f"""# Written by `backorder-consumer demo`.
[journal]
url = "sqlite:{directory / "journal.db"}"
[webhooks]
listen = "{addresses.webhook}"
[admin]
listen = "{addresses.admin}"
[log]
level = "warning"
format = "console"

[[sinks]]
type = "stdout"
name = "stdout"
format = "pretty"

[[sinks]]
type = "file"
name = "file"
path = "{directory / "events.jsonl"}"
"""


def _radial(addresses: Addresses) -> str:
    queue = f"""
[[sources]]
type = "radial-amqp"
name = "radial-queue"
urls = ["{addresses.amqp}"]
store_codes = {json.dumps(QUEUE_STORES)}
"""
    return f"""{queue if addresses.amqp else ""}
[[sources]]
type = "radial-webhook"
name = "radial-webhook"
"""


def _polled(addresses: Addresses, customers: Sequence[str]) -> str:
    return f"""
[[sources]]
type = "mvet"
name = "mvet"
base_url = "{addresses.mvet}"
customers = {json.dumps(customers)}
interval = "{_EVERY}"
jitter = "0s"

[[sources]]
type = "cinx"
name = "cinx"
base_url = "{addresses.cinx}"
username = "{CINX_USER}"
password = "{CINX_PASSWORD}"
interval = "{_EVERY}"
jitter = "0s"
"""
