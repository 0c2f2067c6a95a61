"""When to try again: pure arithmetic, used by whoever runs an adapter.

Waits double from `initial` to `most`, and each is drawn between half and the whole of its length:
many daemons that lost one broker at the same moment do not come back at the same moment. What the
other side asked for (`Retry-After`) is a floor and is never undercut.
"""

from msgspec import Struct

# Beyond this many doublings every sensible wait is at its most; it also keeps 2**n small.
_DOUBLINGS = 30

# Nobody's Retry-After may silence a link for longer than this.
LONGEST_REQUESTED_WAIT = 3600.0


class Backoff(Struct, frozen=True, kw_only=True):
    """How waits grow; `initial` and `most` in seconds."""

    initial: float = 0.5
    most: float = 60.0

    def wait(self, attempt: int, *, draw: float, retry_after: float | None = None) -> float:
        """Seconds to wait after failed attempt number `attempt` (the first is 1).

        `draw` is a random number from 0 up to 1, given by the caller so that this stays pure.
        """
        doublings = min(max(attempt - 1, 0), _DOUBLINGS)
        whole = min(self.initial * 2.0**doublings, self.most)
        jittered = whole * (0.5 + draw / 2)
        return max(jittered, min(retry_after or 0.0, LONGEST_REQUESTED_WAIT))
