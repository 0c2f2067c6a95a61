"""The documentation is tested against the code: what exists is told, and what is told works."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from consumer import config, plugins
from consumer.cli import COMMANDS
from consumer.schema_documents import config_schema
from consumer.telemetry import Metrics

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
EXAMPLE = (ROOT / "deploy" / "consumer.example.toml").read_text()
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/*.md")])


def keys(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Iterator[str]:
    """Every key that the configuration's JSON Schema knows."""
    if "$ref" in schema:
        yield from keys(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    for name, below in schema.get("properties", {}).items():
        yield name
        yield from keys(below, root)
    for choice in (*schema.get("anyOf", []), *schema.get("oneOf", [])):
        yield from keys(choice, root)
    if isinstance(schema.get("items"), Mapping):
        yield from keys(schema["items"], root)


def test_every_configuration_key_stands_in_the_example() -> None:
    schema = config_schema(
        plugins.option_types(plugins.sources()), plugins.option_types(plugins.sinks())
    )
    known = {key for key in keys(schema, schema) if not key.endswith("_file")}
    assert "prefetch" in known
    untold = {key for key in known if not re.search(rf"\b{re.escape(key)}\b", EXAMPLE)}
    assert untold == set()


def test_every_command_stands_in_the_readme() -> None:
    for name in COMMANDS:
        assert re.search(rf"^\| `{name}\b", README, re.MULTILINE), name


def test_every_metric_stands_in_the_operations_page() -> None:
    names = set(re.findall(r"^# TYPE (backorder_\w+)", Metrics().render().decode(), re.MULTILINE))
    assert len(names) > 20
    assert {name for name in names if f"`{name}`" not in OPERATIONS} == set()


def test_the_configuration_in_the_readme_is_one() -> None:
    [text] = re.findall(r"```toml\n(\[journal\].*?)```", README, re.DOTALL)
    tomllib.loads(text)
    settings = config.loads(
        text.replace("${WAREHOUSE_SECRET}", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        file="README.md",
        environ=dict.fromkeys(
            (
                "WEBHOOK_PASSWORD",
                "RADIAL_PASSWORD",
                "DOWNSTREAM_PASSWORD",
                "CINX_PASSWORD",
                "CINX_TOKEN",
            ),
            "x" * 12,
        ),
        source_types=plugins.option_types(plugins.sources()),
        sink_types=plugins.option_types(plugins.sinks()),
    )
    types = [source.type for source in settings.sources]
    assert types == ["radial-amqp", "radial-webhook", "mvet", "cinx"]
    assert [sink.type for sink in settings.sinks] == ["amqp", "http"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    for named in re.findall(
        r"`((?:consumer|tests|docs|deploy|schemas)/[\w./-]+)`", page.read_text()
    ):
        assert (ROOT / named).exists(), f"{page.name} names {named}"


def test_nothing_was_left_to_be_filled_in() -> None:
    for page in PAGES:
        assert not re.findall(r"@[A-Z]{3,}@|\bTODO\b|\bTBD\b", page.read_text()), page.name
    assert (ROOT / "LICENSE").stat().st_size > 10_000
