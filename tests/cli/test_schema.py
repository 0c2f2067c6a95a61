import json

import jsonschema
import pytest

from consumer import plugins
from consumer.admin import openapi_document
from consumer.schema_documents import config_schema, event_schema
from program import Call


def test_the_event_schema_is_printed(program: Call) -> None:
    done = program("schema", "event")
    assert (done.status, done.err) == (0, "")
    assert json.loads(done.out) == event_schema()


def test_the_configuration_schema_knows_the_installed_types(call: Call) -> None:
    done = call("schema", "config")
    assert (done.status, done.err) == (0, "")
    document = json.loads(done.out)
    jsonschema.Draft202012Validator.check_schema(document)
    assert document == config_schema(
        plugins.option_types(plugins.sources()), plugins.option_types(plugins.sinks())
    )


def test_the_admin_document_is_printed(call: Call) -> None:
    done = call("schema", "openapi")
    assert (done.status, done.err) == (0, "")
    assert json.loads(done.out) == openapi_document()


def test_a_broken_plug_in_is_left_out_with_a_warning(call: Call, broken_plugin: str) -> None:
    done = call("schema", "config")
    assert done.status == 0
    assert broken_plugin not in done.out
    assert done.err.startswith(f"warning: left out: `{broken_plugin}` of acme")
    assert "sinks.file" in json.loads(done.out)["$defs"]


@pytest.mark.parametrize("arguments", [(), ("evnet",)])
def test_other_documents_there_are_none(call: Call, arguments: tuple[str, ...]) -> None:
    done = call("schema", *arguments)
    assert (done.status, done.out) == (2, "")
