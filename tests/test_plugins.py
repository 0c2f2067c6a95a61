"""Plug-ins as packages bring them: distributions with entry points on the path."""

import sys
from pathlib import Path

import pytest

from consumer import plugins
from consumer.errors import Unusable
from consumer.settings import SinkOptions, SourceOptions

BUILT_IN_SOURCES = ["radial-amqp", "radial-webhook"]
BUILT_IN_SINKS = ["amqp", "file", "http", "stdout"]

PRINTER = """
from pathlib import Path

from consumer.settings import SinkOptions

class PrinterOptions(SinkOptions, frozen=True, kw_only=True):
    tray: str

class Printer:
    Options = PrinterOptions

class Describable:
    schema = {"type": "string"}

class Bare: ...

class Stranger:
    class Options: ...

class Pathlike:
    class Options(SinkOptions, frozen=True, kw_only=True):
        spool: Path

class Unreadable:
    class Options(SinkOptions, frozen=True, kw_only=True):
        spool: Describable

def function(): ...
"""


class Site:
    """A directory on the path where distributions are laid down as an installer does it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def install(self, name: str, *points: str, group: str = "consumer.sinks") -> None:
        info = self.directory / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *points]))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    (tmp_path / "acme_printer.py").write_text(PRINTER)
    (tmp_path / "acme_broken.py").write_text("import a_module_that_nobody_has")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "acme_printer", raising=False)
    return Site(tmp_path)


def test_the_built_in_ones_are_there_and_tell_their_options() -> None:
    sources = plugins.option_types(plugins.sources())
    assert [name for name in sources if name in BUILT_IN_SOURCES] == BUILT_IN_SOURCES
    assert all(issubclass(sources[name], SourceOptions) for name in BUILT_IN_SOURCES)
    sinks = plugins.option_types(plugins.sinks())
    assert [name for name in sinks if name in BUILT_IN_SINKS] == BUILT_IN_SINKS
    assert all(issubclass(sinks[name], SinkOptions) for name in BUILT_IN_SINKS)


def test_another_package_adds_a_sink(site: Site) -> None:
    site.install("acme-printer", "printer = acme_printer:Printer")
    sinks = plugins.sinks()
    assert "printer" in sinks
    assert len(sinks) == len(list(sinks))
    assert sinks["printer"].__name__ == "Printer"
    types = plugins.option_types(sinks)
    assert "printer" in types
    assert len(types) == len(sinks)
    assert types["printer"].__name__ == "PrinterOptions"


def test_looking_at_names_imports_nothing(site: Site) -> None:
    site.install("acme-printer", "printer = acme_printer:Printer")
    assert "printer" in list(plugins.sinks())
    assert "acme_printer" not in sys.modules


def test_a_name_that_nobody_offers_is_a_missing_key() -> None:
    with pytest.raises(KeyError):
        plugins.sinks()["nobody-offers-this"]


@pytest.mark.parametrize(
    ("value", "what", "hint"),
    [
        (
            "acme_broken:Printer",
            "cannot be imported: ModuleNotFoundError: No module named 'a_module_that_nobody_has'",
            "Repair or uninstall that package",
        ),
        (
            "acme_printer:Absent",
            "cannot be imported: AttributeError: module 'acme_printer' has no attribute 'Absent'",
            "Repair or uninstall that package",
        ),
        ("acme_printer:function", "is no class", "Report this to that package's authors"),
        (
            "acme_printer:Bare",
            "has no attribute Options that derives from consumer.settings.SinkOptions",
            "Report this to that package's authors",
        ),
        (
            "acme_printer:Stranger",
            "has no attribute Options that derives from consumer.settings.SinkOptions",
            "Report this to that package's authors",
        ),
        (
            "acme_printer:Pathlike",
            "has an option of a type that a configuration cannot hold",
            "Report this to that package's authors",
        ),
        (
            "acme_printer:Unreadable",
            "has an option of a type that a configuration cannot hold",
            "Report this to that package's authors",
        ),
    ],
)
def test_a_broken_plug_in_is_named_once_it_is_used(
    site: Site, value: str, what: str, hint: str
) -> None:
    site.install("acme", f"x = {value}")
    sinks = plugins.sinks()
    assert "x" in sinks
    with pytest.raises(Unusable) as caught:
        sinks["x"]
    assert str(caught.value) == f"`x` of acme ({value}) {what}. {hint}"


def test_a_sink_is_no_source(site: Site) -> None:
    site.install("acme", "x = acme_printer:Printer", group="consumer.sources")
    with pytest.raises(Unusable, match=r"derives from consumer\.settings\.SourceOptions"):
        plugins.option_types(plugins.sources())["x"]


def test_two_packages_with_one_name_are_both_named(site: Site) -> None:
    site.install("zeta", "printer = acme_printer:Printer")
    site.install("acme", "printer = acme_printer:Printer")
    with pytest.raises(Unusable, match=r"acme and zeta both offer `printer` in consumer\.sinks"):
        plugins.sinks()["printer"]
