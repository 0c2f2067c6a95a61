"""The sink `http`: events as signed webhooks. `sink` holds its rules.

One file an idea: `sink` posts, `request` builds and signs, `answers` says what an answer means,
`options` what can be configured.
"""

from consumer.sinks.http.options import HttpOptions
from consumer.sinks.http.sink import Http

__all__ = ["Http", "HttpOptions"]
