"""The newest events of the SQLite journal, kept in memory: what sinks that are level read.

Rules
1. What is here was committed and synced, record for record as `sqlite_reads.read` gives it: the
   writer makes the records of what it inserts, and they come here only behind its COMMIT.
2. The tail is a run without a gap, up to the newest event that anybody was told of. A commit that
   does not join on to it begins it anew; after one that failed, or removed events, nothing is known
   until the next. So it answers for everything behind its beginning, and for nothing before it.
3. Whoever is not answered asks the file, as ever. Nothing but speed depends on the tail.

It is touched by the event loop only, which hears what came of each commit before anybody who waits
for it does, in the order of the commits.

Without it every sink would have each page read, decoded and made into records for itself, by way of
the reader's thread, and a sink that is level would be told "nothing new" at that price.
"""

from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from consumer.journal.sqlite_prune import Pruned
from consumer.model import Record

T = TypeVar("T")

# Some 700 events of the usual size. A sink that is further behind reads the file, in batches so
# large that their price matters little.
_MOST_BYTES = 2 << 20
_BESIDE_BODY = 512  # bytes: what a record and its other texts take


class Appended(NamedTuple, Generic[T]):
    """The result of an append: for its caller the outcomes, for the tail the new records.

    `records` is None where they cannot be told without reading them back.
    """

    outcomes: T
    records: Sequence[Record] | None


class Tail:
    """The newest records, at most `most` bytes of them."""

    def __init__(self, most: int = _MOST_BYTES) -> None:
        self._most = most
        self._records: list[Record] = []
        self._size = 0
        self._begin: int | None = None  # every event behind this one is in `_records`

    def hear(self, results: Sequence[Any] | None) -> None:
        """A commit's results in the order in which they came about; None: it failed."""
        if results is None:
            self._forget()
            return
        for result in results:
            if isinstance(result, Appended):
                self._join(result.records)
            elif isinstance(result, Pruned) and result.events:
                self._forget()

    def page(self, after: int, limit: int, max_bytes: int) -> Sequence[Record] | None:
        """As `Journal.read`; None: ask the file."""
        if self._begin is None or after < self._begin:
            return None
        start = after - self._begin  # there are no gaps
        page = self._records[start : start + limit]
        size = 0
        for number, record in enumerate(page):
            size += len(record.body)
            if size > max_bytes and number:
                return page[:number]
        return page

    def ends_with(self, seq: int) -> bool:
        """Whether nothing is behind this event, as far as anybody was told."""
        return self._begin is not None and seq >= self._begin + len(self._records)

    def _join(self, records: Sequence[Record] | None) -> None:
        if records is None:
            self._forget()
            return
        for record in records:
            if self._begin is None or record.seq != self._begin + len(self._records) + 1:
                self._forget()
                self._begin = record.seq - 1
            self._records.append(record)
            self._size += _weight(record)
        self._shorten()

    def _shorten(self) -> None:
        gone = 0
        while self._size > self._most:
            self._size -= _weight(self._records[gone])
            gone += 1
        if gone and self._begin is not None:
            del self._records[:gone]
            self._begin += gone

    def _forget(self) -> None:
        self._records, self._size, self._begin = [], 0, None


def _weight(record: Record) -> int:
    return len(record.body) + _BESIDE_BODY
