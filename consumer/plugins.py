"""Sources and sinks by name, the built-in ones and those of any other installed package.

A package offers a source or a sink through an entry point in the group `consumer.sources` or
`consumer.sinks`. The entry point's name is what `type` says in the configuration; it leads to a
class that is built as `Class(options)`, where `Class.Options` derives from `SourceOptions` or
`SinkOptions` and tells what may be configured:

    [project.entry-points."consumer.sinks"]
    printer = "acme_printer:Printer"

A class is imported when it is first asked for. So a broken package harms only who uses it, and is
named then, with what is wrong.
"""

from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar

from consumer.errors import Unusable
from consumer.schema_documents import check_options
from consumer.settings import SinkOptions, SourceOptions

Options = TypeVar("Options", bound=SourceOptions | SinkOptions)


class Plugins(Mapping[str, type[Any]], Generic[Options]):
    """The classes of one entry point group; looking one up imports it, or raises Unusable."""

    def __init__(self, group: str, base: type[Options]) -> None:
        self.group = group
        self.base = base
        self._found: dict[str, list[EntryPoint]] = {}
        for point in sorted(entry_points(group=group), key=lambda point: point.name):
            self._found.setdefault(point.name, []).append(point)

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __contains__(self, name: object) -> bool:
        return name in self._found

    def __getitem__(self, name: str) -> type[Any]:
        first, *others = self._found[name]
        if others:
            owners = " and ".join(sorted({_owner(point) for point in (first, *others)}))
            raise Unusable(f"{owners} both offer `{name}` in {self.group}", "Uninstall one of them")
        return self._loaded(first)

    def options(self, name: str) -> type[Options]:
        """What can be configured for `name`; as the lookup."""
        options: type[Options] = self[name].Options
        return options

    def _loaded(self, point: EntryPoint) -> type[Any]:
        what = f"`{point.name}` of {_owner(point)} ({point.value})"
        try:
            class_ = point.load()
        except Exception as error:
            raise Unusable(
                f"{what} cannot be imported: {type(error).__name__}: {error}",
                "Repair or uninstall that package",
            ) from error
        if not isinstance(class_, type):
            raise Unusable(f"{what} is no class", "Report this to that package's authors")
        options = getattr(class_, "Options", None)
        if not (isinstance(options, type) and issubclass(options, self.base)):
            raise Unusable(
                f"{what} has no attribute Options that derives from"
                f" consumer.settings.{self.base.__name__}",
                "Report this to that package's authors",
            )
        try:
            check_options(options)
        except Exception as error:
            raise Unusable(
                f"{what} has an option of a type that a configuration cannot hold",
                "Report this to that package's authors",
            ) from error
        return class_


class OptionTypes(Mapping[str, type[Options]]):
    """The options types of plug-ins, by the plug-ins' names; imported as the plug-ins are."""

    def __init__(self, plugins: Plugins[Options]) -> None:
        self._plugins = plugins

    def __iter__(self) -> Iterator[str]:
        return iter(self._plugins)

    def __len__(self) -> int:
        return len(self._plugins)

    def __contains__(self, name: object) -> bool:
        return name in self._plugins

    def __getitem__(self, name: str) -> type[Options]:
        return self._plugins.options(name)


def sources() -> Plugins[SourceOptions]:
    """Every installed source."""
    return Plugins("consumer.sources", SourceOptions)


def sinks() -> Plugins[SinkOptions]:
    """Every installed sink."""
    return Plugins("consumer.sinks", SinkOptions)


def option_types(plugins: Plugins[Options]) -> Mapping[str, type[Options]]:
    """What can be configured, for `consumer.config`; a broken plug-in raises when looked up."""
    return OptionTypes(plugins)


def _owner(point: EntryPoint) -> str:
    return point.dist.name if point.dist else "an unknown distribution"
