"""The proof that a list which is read in pages, while it changes, was seen whole.

Rules
1. Pages overlap by one row: the first of a page must be the last of the page before. That one is
   a *boundary*.
2. No key comes twice. A page that is not the last is full, the last one is not: after a full page
   there is always another one, and be it only for its boundary.
3. Where the server tells a total it tells the same with every page, and every page is as long as
   that makes it. Pages may be read at once then; without a total one follows the other.
4. What breaks a rule is a `problem`, the first one counts, and the list is read on to its end all
   the same: what is seen counts even where what is not seen does not.

What that proves. `complete` means that every row that was in the list the whole time has been seen,
in whatever order and at whatever moments the pages were read, if
- rows kept their order among each other, however many came and went anywhere; or
- no row came or went, however much they moved.

The first: a boundary was seen in both of its pages, so each page begins and ends at a boundary (or
an end of the list). A row that stays stands between two of them, or at an end; the page that is
between these, too, showed everything that was there at its moment, hence that row. The second: the
last page is not full, so where it ends the list ends, and the list had as many rows as there are
keys in all pages. No key came twice, so these are all there are.

What it does not prove. Where rows move *and* others come or go at once, one can be missed: say, a
row moves from a page not read yet into one that was, and a row of those that were read goes away,
both between the same two readings, so that the boundary stays where it was. (With a total another
one has to come as well, in time.) A row missing from a complete reading is therefore no proof that
it is over; whoever clears lines asks for each of them by itself.

The server may send fewer rows than it was asked for. The first page tells: its length is the page
size where the total says more, or where it is the one that the upstream documents (`usual`) and
there is no total. A server without a total and with a limit of its own that nobody documents cannot
be told from one whose list ends there.
"""

from collections.abc import Sequence

# A list is not read on for ever, whatever its server says.
_MOST_ROWS = 1_000_000

_SHORTEST = 2  # rows in a page; shorter ones would overlap wholly


class Paging:
    """One reading of one list. Ask `next` for pages, and hand what came to `take`, by offset.

    `limit`: rows to ask for at a time. `problem`: what breaks the proof, fit for a log; None while
    nothing does.
    """

    def __init__(self, limit: int, *, usual: int = 50) -> None:
        if limit < _SHORTEST:
            raise ValueError("pages of less than two rows cannot overlap")
        self.problem: str | None = None
        self._size = limit
        self._usual = usual
        self._total: int | None = None
        self._asked = 0  # the offset to be asked for next
        self._awaited = 0  # the offset to be taken next
        self._boundary: str | None = None
        self._seen: set[str] = set()
        self._over = False

    @property
    def complete(self) -> bool:
        """Whether the list was seen whole, as far as that can be proven."""
        return self._over and self.problem is None

    def next(self, most: int = 1) -> list[tuple[int, int]]:
        """Up to `most` pages, as (offset, limit), that are to be fetched now; may be done at once.

        Empty while pages that were named before have to be taken first, and after the last one.
        """
        if self._over:
            return []
        end = self._awaited + 1
        if self._total is not None and self.problem is None:
            end = self._total
        offsets = range(self._asked, end, self._size - 1)[:most]
        self._asked += len(offsets) * (self._size - 1)
        return [(offset, self._size) for offset in offsets]

    def take(
        self, offset: int, keys: Sequence[str], total: int | None, *, rows: int | None = None
    ) -> None:
        """What the page at `offset` held: the keys of its rows, in its order.

        `total` is what the server told with it, if it did. `rows` is how many the page had, where
        not every one has a key. Pages are taken in the order of their offsets; ValueError else.
        """
        if offset != self._awaited:
            raise ValueError(f"the page at {self._awaited} comes first")
        count = len(keys) if rows is None else rows
        if offset == 0:
            self._learn(count, total)
        fresh = set(keys) - self._seen
        self.problem = (
            self.problem
            or self._miscounted(offset, count, total)
            or self._shifted(offset, keys, count, fresh)
        )
        self._seen |= fresh
        self._boundary = keys[-1] if keys else None
        self._awaited += self._size - 1
        self._end(offset + count, short=count < self._size, barren=not fresh)

    def _learn(self, count: int, total: int | None) -> None:
        """From the first page: the total, and the page size that the server really has."""
        self._total = total
        capped = count == self._usual if total is None else count < total
        if capped and _SHORTEST <= count < self._size:
            self._size = count
        self._asked = self._size - 1

    def _miscounted(self, offset: int, count: int, total: int | None) -> str | None:
        """Rule 3, and of rule 2 what needs no keys."""
        if count > self._size:
            return "a page had more rows than were asked for"
        if offset and not count:
            return "a page was empty where the list had to go on"
        if total is not None and total != self._total:
            return f"the total was {self._total} with the first page and {total} with another"
        if self._total is not None and count != min(self._size, self._total - offset):
            return f"a page had {count} rows, which a total of {self._total} does not allow"
        return None

    def _shifted(self, offset: int, keys: Sequence[str], count: int, fresh: set[str]) -> str | None:
        """Rules 1 and 2."""
        if count != len(keys):
            return "a page had rows without a key"
        if offset and keys[0] != self._boundary:
            return "rows moved from page to page while they were read"
        if len(fresh) != count - (offset > 0):
            return "a row came twice"
        return None

    def _end(self, reached: int, *, short: bool, barren: bool) -> None:
        """Whether that was the last page. Where a rule is broken, whatever goes no further is."""
        more = self.problem is not None and reached < (self._total or 0)
        self._over = self._over or barren or (short and not more)
        if not self._over and reached >= _MOST_ROWS:
            self._over = True
            self.problem = self.problem or f"the list does not end within {_MOST_ROWS:,} rows"
