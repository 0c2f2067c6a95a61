"""What is remembered of a scope between two surveys of it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from msgspec import Struct

from consumer.model import Entry, Known, Outcome, Watched
from consumer.ports import Journal
from consumer.snapshot import natural

Commit = Callable[[Sequence[Entry]], Awaitable[Sequence[Outcome]]]


class Lines:
    """What the journal knows of a scope's lines, and nothing that is not committed.

    With one exception: of lines that ended before they were ever told it knows, and these do, which
    row said so. `siblings`, by natural key, are the numbered subjects (`snapshot.occurrences`).
    """

    def __init__(self, watched: Watched) -> None:
        self.known = dict(watched.lines)
        self.held = watched.held
        self.floor = watched.floor
        self.siblings: dict[str, set[str]] = {}
        self._group(self.known)

    @property
    def open(self) -> int:
        """How many are open, in whatever view."""
        return sum(not line.ended for line in self.known.values())

    def learn(self, lines: Mapping[str, Known]) -> None:
        """These are known from now on."""
        self.known.update(lines)
        self._group(lines)

    def _group(self, lines: Mapping[str, Known]) -> None:
        for subject in lines:
            if (key := natural(subject)) != subject:
                self.siblings.setdefault(key, set()).add(subject)


class Seen(Struct, frozen=True):
    """A page all of whose rows could be read: their keys, subjects and digests, in its order."""

    keys: Sequence[str]
    subjects: Sequence[str]
    digests: Sequence[bytes]

    def settled(self, known: Mapping[str, Known], view: str) -> bool:
        """Whether every row is what is known of its line, so that none has to be looked at."""
        for subject, digest in zip(self.subjects, self.digests, strict=True):
            line = known.get(subject)
            if line is None or line.digest != digest or line.view != view:
                return False
        return True


class Memory:
    """One scope's; `turn` is held by the survey under way."""

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.lines: Lines | None = None
        self.pages: Mapping[bytes, Seen] = {}
        self._commits: set[asyncio.Future[Sequence[Outcome]]] = set()

    async def recall(self, journal: Journal, source: str) -> Lines:
        """What is known of the lines of `source`; raises `JournalUnavailable`."""
        if self._commits:  # of a survey that was cancelled: what they do is not known yet
            await asyncio.wait(self._commits)
        if self.lines is None:
            self.lines = Lines(await journal.watched(source))
        return self.lines

    async def commit(self, commit: Commit, entry: Entry) -> Outcome:
        """Commit, and forget the lines where that did not demonstrably happen.

        Who stops waiting takes no commit with it; the next survey waits for its end.
        """
        task = asyncio.ensure_future(commit([entry]))
        self._commits.add(task)
        task.add_done_callback(self._through)
        try:
            await asyncio.wait([task])
            [outcome] = task.result()
        except BaseException:
            self.lines = None
            raise
        return outcome

    def _through(self, task: asyncio.Future[Sequence[Outcome]]) -> None:
        self._commits.discard(task)
        if not task.cancelled():
            task.exception()  # a survey that was cancelled never looks at it; that is no error
