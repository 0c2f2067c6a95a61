"""The generated schemas, judged by what they accept and what they refuse."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from lxml import etree

from consumer import plugins
from consumer.config import loads
from consumer.errors import ConfigurationError
from consumer.normalisation import normalise
from consumer.schema_documents import config_schema, event_schema, written
from consumer.settings import Section
from consumer.testing.builders import MOMENT, event
from consumer.values import Duration, Size

Checker = jsonschema.Draft202012Validator

SOURCES = plugins.option_types(plugins.sources())
SINKS = plugins.option_types(plugins.sinks())
SAMPLES = sorted((Path(__file__).parent / "data" / "radial").glob("*.xml"))


@pytest.fixture(scope="module")
def of_events() -> Checker:
    Checker.check_schema(event_schema())
    return Checker(event_schema())


@pytest.fixture(scope="module")
def of_configurations() -> Checker:
    document = config_schema(SOURCES, SINKS)
    Checker.check_schema(document)
    return Checker(document)


# --- events ----------------------------------------------------------------------------------


def test_its_id_is_what_events_call_their_data_schema() -> None:
    assert event_schema()["$id"] == event().dataschema == "urn:backorder-consumer:event:1"


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.stem)
def test_every_event_of_every_sample_is_accepted(of_events: Checker, sample: Path) -> None:
    events = normalise(etree.parse(sample).getroot(), received=MOMENT, drift=("a", "b"))
    assert events
    for emitted in events:
        of_events.validate(msgspec.json.decode(emitted.encode()))


def test_an_event_of_which_little_is_known_is_accepted(of_events: Checker) -> None:
    of_events.validate(
        msgspec.json.decode(
            event(traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").encode()
        )
    )


def _money_as_float(document: Any) -> None:
    document["data"]["line"]["unit_price"] = 188.0


def _exponent(document: Any) -> None:
    document["data"]["quantity"]["backordered"] = "1e3"


def _local_time(document: Any) -> None:
    document["time"] = "2016-07-13T13:47:54+02:00"


def _made_up_type(document: Any) -> None:
    document["type"] = "backorder.exploded"


def _nothing_known_left_out(document: Any) -> None:
    del document["data"]["order"]["purchase_order"]


def _no_id(document: Any) -> None:
    del document["id"]


@pytest.mark.parametrize(
    "spoil",
    [_money_as_float, _exponent, _local_time, _made_up_type, _nothing_known_left_out, _no_id],
)
def test_what_no_event_may_say_is_refused(of_events: Checker, spoil: Callable[[Any], None]) -> None:
    document = msgspec.json.decode(event().encode())
    assert of_events.is_valid(document)
    spoil(document)
    assert not of_events.is_valid(document)


# --- configurations --------------------------------------------------------------------------

QUEUE = '[[sources]]\ntype = "radial-amqp"\nname = "q"\nstore_codes = ["TMS_US"]\n'
FILE = '[[sinks]]\ntype = "file"\nname = "f"\npath = "f.jsonl"\n'

GOOD = {
    "nothing": "",
    "sections": '[journal]\nurl = "sqlite:x"\nretention = "30d"\n[schemas]\nstrict = true\n',
    "a source": QUEUE + 'urls = ["amqp://localhost"]\nprefetch = 7\n',
    "a sink": FILE + '[sinks.filter]\ntypes = ["opened"]\n[sinks.retry]\nmax = "1.5s"\n',
    "variables": '[log]\nlevel = "${LEVEL:-info}"\n[schemas]\nstrict = "${STRICT:-true}"\n'
    '[journal]\nretention = "${RETENTION:-1d}"\n',
    "an optional table": '[webhooks.tls]\ncertificate = "/dev/null"\nkey = "/dev/null"\n',
}
BAD = {
    "unknown table": "[jurnal]\n",
    "unknown key": '[journal]\nurll = "sqlite:x"\n',
    "unknown key of a source": QUEUE + 'urls = ["amqp://x"]\nprefech = 1\n',
    "unknown type": FILE.replace('"file"', '"fil"'),
    "no type": FILE.replace('type = "file"', ""),
    "no name": FILE.replace('name = "f"', ""),
    "no required key": FILE.replace('path = "f.jsonl"', ""),
    "bad duration": '[journal]\nretention = "30"\n',
    "bad size": '[webhooks]\nmax_body = "10MB"\n',
    "number for a duration": "[journal]\nretention = 30\n",
    "bad name": FILE.replace('"f"', '"f f"'),
    "bad choice": '[log]\nlevel = "loud"\n',
    "out of range": FILE + "[sinks.batch]\nevents = 0\n",
    "a key and its file": '[admin]\ntoken = "x"\ntoken_file = "x"\n',
    "one sink without brackets": FILE.replace("[[sinks]]", "[sinks]"),
    "half a table": '[webhooks.tls]\ncertificate = "c"\n',
}


def test_an_editor_and_the_program_accept_the_same(of_configurations: Checker) -> None:
    for case, text in GOOD.items():
        loads(text, file="c", environ={}, source_types=SOURCES, sink_types=SINKS)
        assert of_configurations.is_valid(tomllib.loads(text)), case


def test_an_editor_and_the_program_refuse_the_same(of_configurations: Checker) -> None:
    for case, text in BAD.items():
        with pytest.raises(ConfigurationError):
            loads(text, file="c", environ={}, source_types=SOURCES, sink_types=SINKS)
        assert not of_configurations.is_valid(tomllib.loads(text)), case


def test_a_required_key_may_come_from_a_file(of_configurations: Checker) -> None:
    by_file = FILE.replace('path = "f.jsonl"', 'path_file = "p"')
    assert of_configurations.is_valid(tomllib.loads(by_file))
    assert not of_configurations.is_valid(tomllib.loads(by_file + 'path = "f.jsonl"\n'))


def test_every_table_is_closed_and_described() -> None:
    document = config_schema(SOURCES, SINKS)
    tables = {name: table for name, table in document["$defs"].items() if table["type"] == "object"}
    assert {"JournalSettings", "sources.radial-amqp", "sinks.http"} <= tables.keys()
    for table in tables.values():
        assert table["additionalProperties"] is False
        assert table["description"]


def test_a_key_is_described_by_the_sentences_that_name_it() -> None:
    tables = config_schema(SOURCES, SINKS)["$defs"]
    journal = tables["JournalSettings"]["properties"]
    assert journal["url"]["description"] == "`url` is `sqlite:PATH`."
    assert "bounds" in tables["sources.radial-amqp"]["properties"]["prefetch"]["description"]


def test_defaults_are_written_as_a_file_would() -> None:
    journal = config_schema({}, {})["$defs"]["JournalSettings"]["properties"]
    assert journal["retention"]["default"] == "30d"
    webhooks = config_schema({}, {})["$defs"]["WebhooksSettings"]["properties"]
    assert webhooks["max_body"]["default"] == "10MiB"
    assert written(Duration(0.25)) == "250ms"
    assert written(Duration(0)) == "0ms"
    assert written(Size(1025)) == "1025B"


def test_every_default_is_accepted_where_it_stands() -> None:
    document = config_schema(SOURCES, SINKS)
    checked = 0
    for table in document["$defs"].values():
        for described in table.get("properties", {}).values():
            if "default" in described:
                Checker({**described, "$defs": document["$defs"]}).validate(described["default"])
                checked += 1
    assert checked


def test_two_tables_of_one_name_are_kept_apart() -> None:
    first = msgspec.defstruct("Same", [("a", int)], bases=(Section,), kw_only=True, frozen=True)
    second = msgspec.defstruct("Same", [("b", int)], bases=(Section,), kw_only=True, frozen=True)
    options = msgspec.defstruct(
        "Options",
        [("type", str), ("x", first), ("y", second)],
        bases=(Section,),
        kw_only=True,
        frozen=True,
    )
    document = config_schema({}, {"o": options})  # type: ignore[dict-item]  # shape is what counts
    checker = Checker(document)
    assert checker.is_valid({"sinks": [{"type": "o", "x": {"a": 1}, "y": {"b": 1}}]})
    assert not checker.is_valid({"sinks": [{"type": "o", "x": {"b": 1}, "y": {"a": 1}}]})
