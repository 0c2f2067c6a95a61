"""The public listener: what upstreams post arrives here, proven, bounded and decompressed.

One file an idea: `server` serves and routes, `auth` decides who may post, `body` reads within
bounds, `answers` puts replies and problems on the wire.
"""

from consumer.listener.server import Listener

__all__ = ["Listener"]
