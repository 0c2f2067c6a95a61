"""A bounded HTTP server over raw connections: what both listeners stand on.

One file an idea: `door` accepts connections and keeps their number, `connection` is aiohttp's part
and keeps each of them within its bounds. What a request is worth is for the listeners to say.
"""

from consumer.serving.connection import Bounds, OnError, arrived
from consumer.serving.door import Door

__all__ = ["Bounds", "Door", "OnError", "arrived"]
