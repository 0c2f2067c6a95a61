"""The admin listener: probes, metrics, and the API by which a person looks and repairs.

One file an idea: `server` takes a request through every gate, `gates` says who may ask, `routes` is
the one table of what can be asked, `questions` and `answers` are its types, `probes`, `reading` and
`repairing` its handlers, and `openapi` tells others about it. Connections are `consumer.serving`'s.
"""

from consumer.admin.openapi import openapi_document
from consumer.admin.probes import Readiness
from consumer.admin.server import Admin

__all__ = ["Admin", "Readiness", "openapi_document"]
