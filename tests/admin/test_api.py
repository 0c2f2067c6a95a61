"""What is read and what is repaired, through the listener, on a journal."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import jsonschema
import pytest

from consumer.admin import openapi_document
from consumer.admin.answers import QuarantinedPayload, page
from consumer.errors import Refused, Unavailable
from consumer.model import Quarantined
from consumer.testing import builders


async def test_the_document_is_served_as_it_is_printed(bench: Any) -> None:
    assert (await (await bench()).get("/api/v1/openapi.json")).document == openapi_document()


def test_the_document_describes_with_valid_schemas() -> None:
    document = openapi_document()
    assert document["openapi"] == "3.1.0"
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["description"]
    named = {each.removeprefix("#/components/schemas/") for each in references(document)}
    assert named <= set(schemas)
    operations = [each for path in document["paths"].values() for each in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["summary"] for operation in operations)


def references(node: Any) -> Sequence[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if "$ref" in node else []
        return [*own, *(each for value in node.values() for each in references(value))]
    return [each for value in node for each in references(value)] if isinstance(node, list) else []


# --- sinks -----------------------------------------------------------------------------------


async def test_sinks_are_told_with_their_positions(bench: Any) -> None:
    opened = await bench()
    answer = (await opened.get("/api/v1/sinks")).document
    assert (answer["head"], answer["oldest"]) == (8, 1)
    archive, warehouse = answer["sinks"]
    assert archive == {
        "sink": "archive",
        "seq": 8,
        "pending": 0,
        "oldest_pending": None,
        "parked": 0,
        "paused": None,
        "replay": None,
    }
    assert (warehouse["seq"], warehouse["pending"], warehouse["parked"]) == (6, 2, 3)
    assert warehouse["oldest_pending"].endswith("Z")


async def test_a_sink_is_paused_and_resumed(bench: Any) -> None:
    opened = await bench()
    for verb, paused in (("pause", True), ("resume", False)):
        answer = await opened.post(f"/api/v1/sinks/archive/{verb}", b"")
        assert answer.document == {"sink": "archive", "paused": paused}
        assert ((await opened.journal.orders("archive")).paused is not None) == paused


async def test_a_replay_is_ordered_refused_twice_and_ended(bench: Any) -> None:
    opened = await bench()
    path = "/api/v1/sinks/archive/replay"
    ordered = (await opened.post(path, {"start": 2, "end": 5})).document
    assert (ordered["start"], ordered["end"], ordered["done"]) == (2, 5, 1)
    assert datetime.fromisoformat(ordered["requested"]).utcoffset() is not None
    again = await opened.post(path, {"start": 2})
    assert (again.status, again.document["title"]) == (409, "Conflict")
    assert "replay" in again.document["detail"]
    assert (await opened.ask("DELETE", path)).document == {"ended": ordered}
    assert (await opened.ask("DELETE", path)).document == {"ended": None}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/v1/sinks/nobody/pause", {}),
        ("POST", "/api/v1/sinks/nobody/resume", {}),
        ("POST", "/api/v1/sinks/nobody/replay", {"start": 1}),
        ("DELETE", "/api/v1/sinks/nobody/replay", None),
        ("POST", "/api/v1/parked/retry", {"sink": "nobody", "seqs": None}),
        ("POST", "/api/v1/parked/discard", {"sink": "nobody", "seqs": [1]}),
        ("GET", "/api/v1/parked?sink=nobody", None),
        ("GET", "/api/v1/parked/nobody/3", None),
        ("GET", "/api/v1/parked/warehouse/4", None),
        ("GET", "/api/v1/quarantine/0123456789abcdef", None),
        ("GET", "/api/v1/quarantine/0123456789abcdef/body", None),
    ],
)
async def test_what_is_not_there_is_not_found(
    bench: Any, method: str, path: str, body: object
) -> None:
    answer = await (await bench()).ask(method, path, body)
    assert answer.status == 404
    assert answer.document["detail"]


# --- quarantine ------------------------------------------------------------------------------


def test_a_payload_is_told_of_in_all_but_its_bytes() -> None:
    assert (*QuarantinedPayload.__struct_fields__, "body") == Quarantined.__struct_fields__


async def test_quarantine_is_listed_page_by_page_without_bytes(bench: Any) -> None:
    opened = await bench()
    first = await opened.get("/api/v1/quarantine?limit=2")
    second = await opened.get(f"/api/v1/quarantine?limit=2&after={first.document['next']}")
    assert second.document["next"] is None
    listed = first.document["quarantined"] + second.document["quarantined"]
    assert [payload["id"] for payload in listed] == opened.ids
    assert listed[0]["problems"][0]["reason"] == "line 1: premature end of data"
    assert listed[0]["size"] == 38
    assert b"jane" not in first.body
    whole = (await opened.get("/api/v1/quarantine?limit=3")).document
    assert (whole["quarantined"], whole["next"]) == (listed, None)
    found = (await opened.get(f"/api/v1/quarantine?prefix={opened.ids[1][:8]}")).document
    assert found["quarantined"] == [listed[1]]
    assert (await opened.get(f"/api/v1/quarantine/{opened.ids[1]}")).document == listed[1]
    assert (await opened.get(f"/api/v1/quarantine/{opened.ids[1][:15]}")).status == 404


async def test_the_bytes_of_a_payload_are_for_saving(bench: Any) -> None:
    opened = await bench()
    answer = await opened.get(f"/api/v1/quarantine/{opened.ids[0]}/body")
    assert answer.body == b"<Nonsense email='jane.doe@example.com'"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == f'attachment; filename="{opened.ids[0]}.bin"'
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_payloads_are_tried_again_and_discarded(bench: Any) -> None:
    opened = await bench()
    unknown = "0123456789abcdef"
    asked = {"ids": [opened.ids[0], unknown, opened.ids[0]]}
    results = (await opened.post("/api/v1/quarantine/retry", asked)).document["results"]
    assert [(each["id"], each["result"]) for each in results] == [
        (opened.ids[0], "refused"),
        (unknown, "unknown"),
    ]
    assert results[0]["problems"]
    refused = await opened.post("/api/v1/quarantine/discard", {"ids": [opened.ids[0], unknown]})
    assert refused.status == 409
    assert len(await opened.journal.quarantined()) == 3
    asked = {"ids": [*opened.ids[:2], opened.ids[0]]}
    answer = await opened.post("/api/v1/quarantine/discard", asked)
    assert answer.document == {"discarded": 2}
    assert [payload.id for payload in await opened.journal.quarantined()] == opened.ids[2:]


# --- parked events ---------------------------------------------------------------------------


async def test_parked_events_are_listed_page_by_page(bench: Any) -> None:
    opened = await bench()
    await opened.journal.advance("archive", 8, {3: "too big"})
    first = (await opened.get("/api/v1/parked?limit=2")).document
    second = (await opened.get(f"/api/v1/parked?after={first['next']}")).document
    assert second["next"] is None
    listed = first["parked"] + second["parked"]
    assert [(parked["seq"], parked["sink"]) for parked in listed] == [
        (2, "warehouse"),
        (3, "archive"),
        (3, "warehouse"),
        (5, "warehouse"),
    ]
    event = builders.event(2)
    assert listed[0] | {"parked": None} == {
        "sink": "warehouse",
        "seq": 2,
        "reason": "no such article",
        "parked": None,
        "retrying": False,
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
    }
    of_one = (await opened.get("/api/v1/parked?sink=warehouse&limit=2")).document
    assert [parked["seq"] for parked in of_one["parked"]] == [2, 3]
    assert of_one["next"] == "3,warehouse"


async def test_a_parked_event_is_shown_whole(bench: Any) -> None:
    opened = await bench()
    shown = (await opened.get("/api/v1/parked/warehouse/3")).document
    assert shown["reason"] == "too late"
    assert shown["event"]["id"] == builders.event(3).id
    assert shown["event"]["data"]["order"]["number"] == "000000000003"


async def test_parked_events_are_offered_again_or_discarded(bench: Any) -> None:
    opened = await bench()
    some = {"sink": "warehouse", "seqs": [2, 3]}
    assert (await opened.post("/api/v1/parked/retry", some)).document == {"marked": 2}
    listed = (await opened.get("/api/v1/parked")).document["parked"]
    assert [parked["retrying"] for parked in listed] == [True, True, False]
    all_ = {"sink": "warehouse", "seqs": None}
    assert (await opened.post("/api/v1/parked/discard", all_)).document == {"discarded": 3}
    assert await opened.journal.parked() == []
    assert (await opened.post("/api/v1/parked/retry", some)).status == 409


# --- what cannot be done ---------------------------------------------------------------------


class Busy:
    """`Repairs` of which nothing can be done; only what is asked of it here is there."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def pause(self, _sink: str) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "status", "after"),
    [
        (Refused("it is closed on Sundays"), 409, None),
        (Unavailable("the disk is full"), 503, "5"),
        (Unavailable("the disk is full", retry_after=0.2), 503, "1"),
        (Unavailable("the disk is full", retry_after=61), 503, "61"),
    ],
)
async def test_what_cannot_be_done_says_why(
    bench: Any, error: Any, status: int, after: str | None
) -> None:
    opened = await bench(repairs=Busy(error))
    answer = await opened.post("/api/v1/sinks/archive/pause", {})
    assert (answer.status, answer.headers.get("retry-after")) == (status, after)
    assert answer.document["detail"] == error.reason
    assert opened.errors == []


async def test_a_journal_that_cannot_be_read_is_unavailable(bench: Any) -> None:
    opened = await bench()
    opened.journal.failure = "the disk is gone"
    for path in ("sinks", "quarantine", "parked", f"quarantine/{opened.ids[0]}/body"):
        answer = await opened.get(f"/api/v1/{path}")
        assert (answer.status, answer.document["detail"]) == (503, "the disk is gone")
    opened.journal.failure = None
    assert (await opened.get("/api/v1/sinks")).status == 200


def test_a_page_is_no_longer_than_an_answer_may_be() -> None:
    items = [str(n) * (1 << 20) for n in range(1, 7)]
    assert page(items, 10, lambda item: item[0]) == (tuple(items[:3]), "3")
    assert page(items[:2], 10, lambda item: item[0]) == (tuple(items[:2]), None)
    huge = ["x" * (9 << 20), "y"]
    assert page(huge, 10, lambda item: item[0]) == ((huge[0],), "x")
