import jsonschema
import msgspec
import pytest

from consumer.dispatcher import marked
from consumer.event import Event
from consumer.schema_documents import event_schema
from consumer.testing.builders import event, record

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize("plain", [event(1), event(2, drift=("a",), traceparent=TRACE)])
def test_a_marked_event_is_the_same_event_and_says_that_it_is_a_replay(plain: Event) -> None:
    before = record(7, plain)
    after = marked(before)
    said = msgspec.json.decode(after.body)
    assert said.pop("replay") is True
    assert said == msgspec.json.decode(before.body)
    assert after == msgspec.structs.replace(before, body=after.body, replay=True)


def test_it_is_an_event_by_the_code_and_by_the_schema() -> None:
    body = marked(record(1)).body
    read = msgspec.json.decode(body, type=Event)
    assert read.replay is True
    assert msgspec.structs.replace(read, replay=msgspec.UNSET) == event(1)
    jsonschema.Draft202012Validator(event_schema()).validate(msgspec.json.decode(body))


def test_what_is_no_replay_does_not_speak_of_it() -> None:
    assert b"replay" not in event(1).encode()
    assert "replay" not in event_schema()["required"]


def test_what_is_no_object_cannot_be_marked() -> None:
    with pytest.raises(ValueError, match="JSON object"):
        marked(msgspec.structs.replace(record(1), body=b"[]"))
