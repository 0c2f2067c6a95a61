"""The parts that settings name, built and connected to nothing yet."""

from pathlib import Path

from consumer import plugins
from consumer.ports import Sink, Source
from consumer.settings import Settings
from consumer.validation import Schemas


def build_sources(settings: Settings) -> list[Source]:
    """Every configured source, connected to nothing yet."""
    classes = plugins.sources()
    return [classes[options.type](options) for options in settings.sources]


def build_sinks(settings: Settings) -> list[Sink]:
    """Every configured sink, connected to nothing yet."""
    classes = plugins.sinks()
    return [classes[options.type](options) for options in settings.sinks]


def load_schemas(settings: Settings) -> Schemas:
    """The schema set that payloads are validated against."""
    directory = Path(settings.schemas.directory) if settings.schemas.directory else None
    return Schemas.load(directory, strict=settings.schemas.strict)
