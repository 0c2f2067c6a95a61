"""A stage for pollers: a world, a real server, a real source, a real journal, and what happens.

What happens is a list of acts. Acts are plain values, so that a failure shows the whole play. After
each poll the stage checks the rules that hold whatever an upstream does; `Stage.settle` ends all
trouble and checks what has to be true then.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Literal, Protocol, Self

import msgspec
import pytest
from aiohttp import web

from consumer.errors import JournalUnavailable, Refused, Unavailable
from consumer.event import Data, Event
from consumer.journal.sqlite import SqliteJournal
from consumer.model import Entry, Outcome, Record, Watched
from consumer.polling import scopes
from consumer.ports import Poller
from consumer.privacy import protect
from consumer.retry import LONGEST_REQUESTED_WAIT
from consumer.settings import PrivacySettings
from consumer.simulators.faults import Faults, Kind
from consumer.simulators.polled_server import Answer, PolledServer
from consumer.surveyor import Surveyor
from consumer.telemetry import Log, Metrics
from consumer.testing.sources import RecordingIntake, RecordingStatus, ground
from folding import Fold, Saying, check_state, difference

Fact = tuple[str, ...]
"""Something that is so for a number of lines: source and natural key, or these and the data."""

# --- acts --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Alter:
    """The world changes; `nth` chooses which line, modulo how many there are."""

    what: str
    nth: int = 0


@dataclass(frozen=True)
class Misbehave:
    """From now on, a fault happens to a share of the answers."""

    fault: str
    share: float


@dataclass(frozen=True)
class Force:
    """A fault happens to the next answers of a kind."""

    fault: str
    times: int = 1
    after: int = 0
    kind: Kind | None = None


@dataclass(frozen=True)
class JournalFails:
    """Of the calls to come of one verb some fail, after so many that do not.

    `after` it has committed, or before.
    """

    verb: Literal["append", "watched", "told"] = "append"
    committed: bool = False
    skip: int = 0
    times: int = 1


@dataclass(frozen=True)
class Poll:
    """A round. Before the requests of these numbers `during` happens; at `stopped` it is ended."""

    during: tuple[tuple[int, Alter], ...] = ()
    stopped: int | None = None


@dataclass(frozen=True)
class Restart:
    """Everything that the poller had in memory is gone; `reopen`: the journal's file is closed."""

    reopen: bool = False


Act = Alter | Misbehave | Force | JournalFails | Poll | Restart

# --- what plays --------------------------------------------------------------------------------


class Scene(Protocol):
    """One system: its world, its server, and how it is polled."""

    @property
    def server(self) -> PolledServer:
        """Where it is asked."""
        ...

    def source(self, *, patient: bool) -> Poller:
        """A source that knows nothing yet."""
        ...

    def alter(self, alter: Alter, stage: "Stage", *, polling: bool) -> Awaitable[None]:
        """Let something happen in the world."""
        ...

    def truth(self) -> list[tuple[str, str, Data]]:
        """Source, natural key and data of every line there is, read straight from the world."""
        ...

    def expect(self, stage: "Stage") -> Awaitable[None]:
        """Get ready for a poll."""
        ...


class Restrained(Faults):
    """Switches that do not lie twice where two lies would be the truth (`muted`)."""

    muted: frozenset[str] = frozenset()

    def strikes(self, name: str, kind: Kind) -> str | None:
        return None if name in self.muted else super().strikes(name, kind)


class Staged:
    """What a server on a stage has beside what it serves: it tells of each request beforehand."""

    on_request: Callable[[], Awaitable[None]] | None = None

    async def _serve(
        self, request: web.Request, kind: Kind, answer: Callable[[], Answer]
    ) -> web.StreamResponse:
        if self.on_request is not None:
            await self.on_request()
        response: web.StreamResponse = await super()._serve(  # type: ignore[misc]  # mixed in
            request, kind, answer
        )
        return response


class Fragile(SqliteJournal):
    """A journal that fails where it is told to. `appends` counts calls, failed ones too."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.failures: list[JournalFails] = []
        self.appends = 0
        self.duplicates = 0

    async def append(self, entries: Sequence[Entry]) -> Sequence[Outcome]:
        self.appends += 1
        failure = self._failure("append")
        if failure and not failure.committed:
            raise JournalUnavailable("on the stage: no commit")
        outcomes = await super().append(entries)
        self.duplicates += sum(outcome.duplicates for outcome in outcomes)
        if failure:
            raise JournalUnavailable("on the stage: a commit that nobody heard of")
        return outcomes

    async def watched(self, source: str) -> Watched:
        if self._failure("watched"):
            raise JournalUnavailable("on the stage: nothing known")
        return await super().watched(source)

    async def told(self, source: str, subjects: Sequence[str]) -> dict[str, bytes]:
        if self._failure("told"):
            raise JournalUnavailable("on the stage: nothing told")
        return dict(await super().told(source, subjects))

    async def known(self, source: str) -> Watched:
        """As `watched`; never fails."""
        return await super().watched(source)

    def _failure(self, verb: str) -> JournalFails | None:
        for place, failure in enumerate(self.failures):
            if failure.verb != verb:
                continue
            if failure.skip:
                self.failures[place] = JournalFails(
                    failure.verb, failure.committed, failure.skip - 1, failure.times
                )
                return None
            if failure.times > 1:
                self.failures[place] = JournalFails(
                    failure.verb, failure.committed, 0, failure.times - 1
                )
            else:
                del self.failures[place]
            return failure
        return None


# --- the stage ---------------------------------------------------------------------------------


@dataclass
class Stage:
    """One scene, played on one journal. `async with` it, `play` acts, and `settle`."""

    scene: Scene
    path: Path
    privacy: PrivacySettings = field(default_factory=PrivacySettings)
    patient: bool = True

    async def __aenter__(self) -> Self:
        self.folded = Fold()
        self.log: list[str] = []
        self._requests = 0
        self._seq = 0
        self._poll = Poll()
        self._task: asyncio.Task[str] | None = None
        self._low: Counter[Fact] = Counter()  # what is so during all of a poll, and at any time
        self._high: Counter[Fact] = Counter()
        self._spoilt = 0
        server = self.scene.server
        server.on_request = self._on_request  # type: ignore[attr-defined]  # of `Staged`
        async with contextlib.AsyncExitStack() as stack:
            self.journal = await stack.enter_async_context(Fragile(self.path))
            await stack.enter_async_context(server)
            self._start()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()
        await self.journal.__aexit__(*exc)

    def _start(self) -> None:
        """Begin with a poller that remembers nothing."""
        self.source = self.scene.source(patient=self.patient)
        self.surveyor = Surveyor(
            self.journal,
            commit=self.journal.append,
            privacy=self.privacy,
            metrics=Metrics(),
            log=Log(),
        )
        self.ground = ground(RecordingIntake(), RecordingStatus(), surveys=self.surveyor)

    # --- acts --------------------------------------------------------------------------------

    async def play(self, acts: Sequence[Act]) -> None:
        """One act after the other."""
        faults = self.scene.server.faults
        for act in acts:
            match act:
                case Alter():
                    await self.scene.alter(act, self, polling=False)
                case Misbehave(fault, share):
                    faults.set(fault, share)
                case Force(fault, times, after, kind):
                    faults.force(fault, times, after=after, kind=kind)
                case JournalFails():
                    self.journal.failures.append(act)
                case Poll():
                    await self.poll(act)
                case Restart(reopen):
                    await self.restart(reopen=reopen)

    async def restart(self, *, reopen: bool = False) -> None:
        """Forget everything; with `reopen` the journal's file is closed and opened."""
        if reopen:
            failures = self.journal.failures
            await self.journal.__aexit__()
            self.journal = Fragile(self.path)
            await self.journal.__aenter__()
            self.journal.failures = failures
        self._start()

    async def poll(self, poll: Poll = Poll(), *, calm: bool = False) -> None:
        """One round, and what holds after any; `calm`: it has to succeed."""
        before = _facts_of(standing(self.folded))
        await self.scene.expect(self)
        self._requests, self._poll, self._low = 0, poll, self._present()
        self._high, self._spoilt = self._low, self.scene.server.faults.done["broken_row"]
        self._task = asyncio.create_task(self.source.poll(self.ground))
        outcome = "all went well"
        try:
            await asyncio.wait([self._task])
            self._task.result()
        except asyncio.CancelledError:
            outcome = "stopped"
        except (Unavailable, Refused) as error:
            outcome = error.reason
        assert outcome == "all went well" or not calm, f"nothing was wrong, but: {outcome}"
        self._look()
        self._poll = Poll()
        await self._after(outcome, before)

    async def _on_request(self) -> None:
        """What the play has for the moment before a request is answered."""
        self._look()
        self._requests += 1
        for number, alter in self._poll.during:
            if number == self._requests:
                await self.scene.alter(alter, self, polling=True)
                self._look()
        if self._poll.stopped == self._requests and self._task is not None:
            self._task.cancel()

    # --- what holds after any poll -----------------------------------------------------------

    async def _after(self, outcome: str, before: Counter[Fact]) -> None:
        failures, self.journal.failures = self.journal.failures, []
        await self.journal.probe()  # what was under way is through
        records = await self.journal.read(self._seq, limit=1_000_000)
        self.log.append(f"poll: {outcome}; {dict(Counter(record.type for record in records))}")
        self._check_truthful(records, before)
        await check_state(self.journal, self.folded)
        assert not self.journal.duplicates, "an event was told twice"
        self.journal.failures = failures

    def _check_truthful(self, records: Sequence[Record], before: Counter[Fact]) -> None:
        """Of lines that were there all the time none is told to be over, of lines that were never
        there none to be open, and what was so all the time is not told to be otherwise.
        """
        told, untold = Counter(before), Counter[Fact]()
        for record in records:
            event = msgspec.json.decode(record.body, type=Event)
            place = event.source, event.subject
            last = self.folded.lines.get(place)
            self.folded.add(event, record.seq)
            self._seq = record.seq
            there, says = _facts(*place, said(self.folded.lines[place].data))
            if event.type == "backorder.opened":
                assert told[there] < self._high[there], self._play(f"{there} opened, not there")
                told[there] += 1
            if event.type == "backorder.cleared":
                assert told[there] > self._low[there], self._play(f"{there} cleared, still there")
                told[there] -= 1
            else:
                told[says] += 1
            if last and last.open:
                untold[(*there, said(last.data))] += 1
        spoilt = self.scene.server.faults.done["broken_row"] > self._spoilt
        for (source, key, data), times in untold.items():
            if spoilt and max(before[source, key], self._high[source, key]) > 1:
                continue  # of two rows with one key one was not seen: which, nobody can tell
            wrong = times > max(0, told[source, key, data] - self._low[source, key, data])
            assert not wrong, self._play(f"{source} {key} stayed as it was: {data}")

    def _play(self, what: str) -> str:
        """What is wrong, and what the polls before it did."""
        return "\n".join([what, *self.log])

    def _look(self) -> None:
        """Note what is so at this moment of a poll."""
        present = self._present()
        self._low, self._high = self._low & present, self._high | present

    def _present(self) -> Counter[Fact]:
        """What is so in the world."""
        return _facts_of(truth(self.scene, self.privacy))

    # --- the end -----------------------------------------------------------------------------

    async def settle(self) -> None:
        """All trouble is over, and so is every wait because of it: a few polls later what was told
        is what there is.
        """
        with pytest.MonkeyPatch.context() as later:
            later.setattr(scopes, "monotonic", lambda: monotonic() + LONGEST_REQUESTED_WAIT)
            await self._settle()

    async def _settle(self) -> None:
        self.scene.server.faults.calm()
        self.journal.failures.clear()
        if not self.patient:  # what is late only because the machine is busy must not count
            self.patient = True
            self._start()
        await self.poll(calm=True)
        await self.poll(calm=True)
        told, there = standing(self.folded), truth(self.scene, self.privacy)
        wrong = difference(told, there)
        assert not wrong, self._play(wrong)
        appends = self.journal.appends
        await self.poll(calm=True)
        assert self.journal.appends == appends, "nothing changed, and something was written"


# --- what was told and what there is -----------------------------------------------------------


def standing(folded: Fold) -> Counter[Saying]:
    """The open lines, as events tell them: source, natural key, data."""
    return Counter(
        (source, natural(subject), said(data)) for (source, subject), data in folded.open().items()
    )


def truth(scene: Scene, privacy: PrivacySettings) -> Counter[Saying]:
    """The lines that are there, likewise, with as much of the data as is kept."""
    return Counter(
        (source, key, said(kept(source, key, data, privacy))) for source, key, data in scene.truth()
    )


def _facts(source: str, subject: str, data: str) -> tuple[Fact, Fact]:
    """Of one line: that it is there, and that it says this."""
    key = natural(subject)
    return (source, key), (source, key, data)


def _facts_of(lines: Counter[Saying]) -> Counter[Fact]:
    return Counter(fact for line in lines.elements() for fact in _facts(*line))


def natural(subject: str) -> str:
    """What several lines may have in common; no id of CINX's has such a mark in it."""
    return subject.partition("#")[0]


def kept(source: str, subject: str, data: Data, privacy: PrivacySettings) -> Data:
    """The data as the privacy settings let it be kept."""
    event = Event.of(
        source=source, type="backorder.opened", subject=subject, time="2026-01-01", data=data
    )
    return protect(event, privacy).data


def said(data: Data) -> str:
    """Data as a text: the same says the same."""
    return msgspec.json.encode(data, order="deterministic").decode()
