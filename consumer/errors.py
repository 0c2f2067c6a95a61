"""Every error of this program, sorted by what the caller should do about it.

    ConsumerError
    ├── ConfigurationError   an operator must edit the configuration; exit status 2
    ├── Unusable             a person must repair something first; the daemon stops and says what
    │   ├── JournalUnusable      corrupt, from a newer version
    │   │   └── JournalInUse         another process has it open for writing
    │   └── SchemasUnusable      a schema set that cannot be compiled
    ├── Unavailable          nothing is wrong with the work itself: the same call succeeds later
    │   ├── JournalUnavailable   full or read-only disk, lost database
    │   └── Denied               credentials that are not accepted: not to be tried over and over
    └── Refused              this one thing will never be accepted; set it aside and go on
        └── Unreadable           an answer that makes no sense; it carries the bytes that came

Errors of other people's libraries are translated into these once, at the edge where they occur.
No message may carry a secret or personal data: messages end in logs and in HTTP answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class ConsumerError(Exception):
    """The root of the tree; never raised itself."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake in a configuration file.

    `key` is dotted (`sinks[1].url`), `line` counts from 1 and is None where the key stands
    nowhere (a missing key, for example).
    """

    key: str
    reason: str
    line: int | None = None

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.key}: {self.reason}"


class ConfigurationError(ConsumerError):
    """The configuration cannot be used; `mistakes` names every reason, not only the first."""

    def __init__(self, file: str, mistakes: Sequence[Mistake]) -> None:
        self.file = file
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(f"{file}: {mistake}" for mistake in self.mistakes))


class Unusable(ConsumerError):
    """Something this program stands on needs a person; `hint` says what that person can do."""

    def __init__(self, reason: str, hint: str = "") -> None:
        self.reason = reason
        self.hint = hint
        super().__init__(f"{reason}. {hint}" if hint else reason)


class JournalUnusable(Unusable):
    """The journal cannot be opened as it is."""


class JournalInUse(JournalUnusable):
    """Another process has the journal open for writing; one at a time may."""


class SchemasUnusable(Unusable):
    """The schema set cannot be read or compiled."""


class Unavailable(ConsumerError):
    """Try again later. Adapters raise it; the runner that called them decides when.

    `retry_after`: seconds the other side asked us to wait, if it did.
    `delivered`: of a batch handed to a sink, how many events from its start are through already.
    """

    def __init__(
        self, reason: str, *, retry_after: float | None = None, delivered: int = 0
    ) -> None:
        self.reason = reason
        self.retry_after = retry_after
        self.delivered = delivered
        super().__init__(reason)


class JournalUnavailable(Unavailable):
    """The journal cannot commit or read at present; nothing may be settled meanwhile."""


class Denied(Unavailable):
    """The other side does not let us in; a person must look, and trying at once only locks us out.

    It can pass by itself all the same: somebody repairs the account, not the configuration.
    """


class Refused(ConsumerError):
    """This payload will never be accepted as it is; trying again is pointless."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Unreadable(Refused):
    """An upstream's answer makes no sense; `body` is what came, for the quarantine."""

    def __init__(self, reason: str, body: bytes) -> None:
        self.body = body
        super().__init__(reason)
