"""Building a request: structured CloudEvents, signed by Standard Webhooks.

`webhook-id` is the event's id, in every attempt, so that a receiver can drop repetitions; for a
batch it is a digest of the ids in it. In a replay it is the same as well: whoever wants such a
repetition looks for the header `Backorder-Replay`, or for `replay` in the event. The signature
covers id, timestamp and body, under every key in use: while rotating there are two, and a receiver
needs to know only one of them.

Sources: the Standard Webhooks specification (standardwebhooks.com); CloudEvents HTTP binding
1.0.2, sections 3.2 (structured) and 3.3 (batched content mode).
"""

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence

from consumer.model import Record
from consumer.sinks import traceparent


def single(records: Sequence[Record], keys: Sequence[bytes]) -> tuple[bytes, Mapping[str, str]]:
    """Body and headers for one event; there must be exactly one."""
    (record,) = records
    headers = _headers(record.id, "application/cloudevents+json", record.body, keys)
    if trace := traceparent(record):
        headers["traceparent"] = trace
    return record.body, headers | _replay(records)


def together(records: Sequence[Record], keys: Sequence[bytes]) -> tuple[bytes, Mapping[str, str]]:
    """Body and headers for several events in one request."""
    body = b"[" + b",".join(record.body for record in records) + b"]"
    ids = "\n".join(record.id for record in records).encode()
    id_ = hashlib.sha256(ids).hexdigest()[:32]
    headers = _headers(id_, "application/cloudevents-batch+json", body, keys)
    return body, headers | _replay(records)


def _replay(records: Sequence[Record]) -> dict[str, str]:
    return {"Backorder-Replay": "true"} if all(record.replay for record in records) else {}


def _headers(id_: str, content_type: str, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    moment = str(int(time.time()))
    headers = {
        "Content-Type": content_type,
        "User-Agent": "backorder-consumer",
        "webhook-id": id_,
        "webhook-timestamp": moment,
    }
    if keys:
        signed = f"{id_}.{moment}.".encode() + body
        headers["webhook-signature"] = " ".join(_sign(key, signed) for key in keys)
    return headers


def _sign(key: bytes, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
