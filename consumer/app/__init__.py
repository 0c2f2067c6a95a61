"""The daemon: the only place where its parts are put together."""

from consumer.app.building import build_sinks, build_sources, load_schemas
from consumer.app.daemon import Daemon

__all__ = ["Daemon", "build_sinks", "build_sources", "load_schemas"]
