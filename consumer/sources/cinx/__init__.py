"""CINX: the construction supply network's back-orders, polled organisation by organisation."""

from consumer.sources.cinx.options import CinxOptions
from consumer.sources.cinx.source import Cinx

__all__ = ["Cinx", "CinxOptions"]
