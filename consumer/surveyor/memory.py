"""What is remembered of a scope between two surveys of it."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from time import monotonic

from msgspec import Struct

from consumer.model import Entry, Known, Outcome, Watched
from consumer.ports import Journal
from consumer.snapshot import natural

# Seconds after which the journal is read again. It forgets lines that ended long ago, and nothing
# else tells that it did.
_GOOD_FOR = 24 * 3600.0

Commit = Callable[[Sequence[Entry]], Awaitable[Sequence[Outcome]]]


class Lines:
    """What the journal knows of a scope's lines, and nothing that is not committed.

    With two exceptions. Of lines that ended before they were ever told it knows, and these do,
    which row said so: those are `passing`. And lines that are `held` in the journal's view (`kept`)
    are not held here any more once they are seen.

    `unconfirmed` are those of the held ones that two surveys agree on, and that only wait for
    somebody to confirm their end. `siblings`, by natural key, are the numbered subjects
    (`snapshot.occurrences`).
    """

    def __init__(self, watched: Watched) -> None:
        self.known = dict(watched.lines)
        self.kept = self.held = watched.held
        self.unconfirmed: frozenset[str] = frozenset()
        self.floor = watched.floor
        self.origin = watched.origin
        self.read = monotonic()
        self.passing: set[str] = set()
        self.siblings: dict[str, set[str]] = {}
        self._group(self.known)

    @property
    def open(self) -> int:
        """How many are open, in whatever view."""
        return sum(not line.ended for line in self.known.values())

    @property
    def doubted(self) -> frozenset[str]:
        """The lines that are missing, and not believed to be over yet."""
        return self.held - self.unconfirmed

    def learn(self, lines: Mapping[str, Known]) -> None:
        """These are known from now on, since the journal knows them."""
        self.known.update(lines)
        self.passing.difference_update(lines)
        self._group(lines)

    def note(self, lines: Mapping[str, Known]) -> None:
        """These ended before they were ever told; it is known as long as their rows are listed."""
        self.known.update(lines)
        self.passing.update(lines)

    def forget(self, subjects: Collection[str]) -> None:
        """Of these, which are passing, nothing is known any more."""
        for subject in subjects:
            del self.known[subject]
        self.passing.difference_update(subjects)

    def _group(self, lines: Mapping[str, Known]) -> None:
        for subject in lines:
            if (key := natural(subject)) != subject:
                self.siblings.setdefault(key, set()).add(subject)


class Seen(Struct, frozen=True):
    """A page all of whose rows could be read.

    `keys` are those of its rows, in its order; `subjects` and `digests` of the rows that count: the
    last one where several are one line.
    """

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
    """One scope's; `turn` is held by the survey under way.

    `shown` are lines that were seen after the journal was told that they are held, while it may not
    know that yet. They are held no more, whatever became of the survey that saw them.
    """

    def __init__(self) -> None:
        self.turn = asyncio.Lock()
        self.lines: Lines | None = None
        self.pages: Mapping[bytes, Seen] = {}
        self.shown: set[str] = set()
        self._commits: set[asyncio.Future[Sequence[Outcome]]] = set()

    @property
    def is_idle(self) -> bool:
        """Whether nothing goes wrong if this is thrown away: the journal knows what it knows."""
        return not (self.turn.locked() or self._commits or self.shown)

    async def recall(self, journal: Journal, source: str) -> Lines:
        """What is known of the lines of `source`; raises `JournalUnavailable`."""
        if self._commits:  # of a survey that was cancelled: what they do is not known yet
            await asyncio.wait(self._commits)
        if self.lines is None or monotonic() - self.lines.read > _GOOD_FOR:
            self.lines = Lines(await journal.watched(source))
            self.shown &= self.lines.kept
            self.lines.held = self.lines.kept - self.shown
        return self.lines

    def believe(self, lines: Lines, seen: Collection[str]) -> bool:
        """What was seen is not held any more; whether the journal has to be told."""
        self.shown.update(subject for subject in lines.held if subject in seen)
        lines.held -= self.shown
        return lines.held != lines.kept

    def settle(self, lines: Lines, held: frozenset[str], unconfirmed: frozenset[str]) -> None:
        """The journal knows what is held now."""
        lines.kept = lines.held = held
        lines.unconfirmed = unconfirmed
        self.shown.clear()

    async def commit(self, commit: Commit, entry: Entry) -> Outcome:
        """Commit, and forget the lines where that did not demonstrably happen.

        Who stops waiting takes no commit with it; the next survey waits for its end.
        """
        task = self.begin(commit, entry)
        try:
            await asyncio.wait([task])
            [outcome] = task.result()
        except BaseException:
            self.lines = None
            raise
        return outcome

    def begin(self, commit: Commit, entry: Entry) -> asyncio.Future[Sequence[Outcome]]:
        """Have something committed that nobody waits for but the next survey."""
        task = asyncio.ensure_future(commit([entry]))
        self._commits.add(task)
        task.add_done_callback(self._through)
        return task

    def _through(self, task: asyncio.Future[Sequence[Outcome]]) -> None:
        self._commits.discard(task)
        if not task.cancelled():
            task.exception()  # a survey that was cancelled never looks at it; that is no error
