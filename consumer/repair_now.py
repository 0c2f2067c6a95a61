"""Repairs from the command line, whether a daemon runs or not.

The journal has one writer. At rest this is it, and a `Workshop` does what is asked here and now;
otherwise the daemon that has it is asked over its admin listener. Which of the two holds is found
out by trying to open the journal for writing: no look at it beforehand could be relied on.

Of a configuration only the tables that are needed are read, so that no secret of a source or a
sink has to be at hand.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from consumer.app import load_schemas
from consumer.config import excerpt
from consumer.errors import Denied, JournalInUse, Unavailable
from consumer.journal.sqlite import SqliteJournal
from consumer.model import Positions
from consumer.remote import Held, Remote
from consumer.repair import Repairs
from consumer.settings import Settings
from consumer.telemetry import Log
from consumer.workshop import Workshop

_RETRY_TABLES = ("schemas", "privacy", "intake")

_UNREACHED = (
    "If that process is a daemon, see that it was started with this [admin] table; if it is"
    " another command, try again when that is done"
)
_DENIED = "Give this command the token that the daemon was started with"
_NAMELESS = (
    "A running daemon does repairs itself: name its configuration with -c FILE, which says where"
    " its admin listener is"
)


class Bench(NamedTuple):
    """Where repairs are done. `journal` is for reading; `running`: beside a daemon."""

    journal: SqliteJournal
    repairs: Repairs
    running: bool


@asynccontextmanager
async def repairing(
    path: Path, config: Path | None, *, understanding: bool = False
) -> AsyncIterator[Bench]:
    """Whoever can repair the journal `path` now; `config` is the configuration of its daemon.

    `understanding`: payloads will be tried again, for which the configured schemas and privacy
    count. Raises `JournalUnusable` where there is no journal, `JournalInUse` where somebody has it
    who does not answer, ConfigurationError.
    """
    async with AsyncExitStack() as stack:
        # What is not there is not made, and what is old is left for the daemon to bring up to date.
        async with SqliteJournal(path, readonly=True):
            pass
        try:
            journal = await stack.enter_async_context(SqliteJournal(path))
        except JournalInUse as busy:
            bench = await _beside(stack, path, config, busy)
        else:
            bench = await _at_rest(journal, config, understanding=understanding)
        yield bench


async def _at_rest(journal: SqliteJournal, config: Path | None, *, understanding: bool) -> Bench:
    settings = Settings()  # nothing but a retry needs to know more
    if understanding and config is not None:
        settings = excerpt(config, environ=os.environ, tables=_RETRY_TABLES)
    schemas = await asyncio.to_thread(load_schemas, settings)
    workshop = Workshop(
        journal, schemas, privacy=settings.privacy, intake=settings.intake, log=Log()
    )
    return Bench(journal, workshop, running=False)


async def _beside(
    stack: AsyncExitStack, path: Path, config: Path | None, busy: JournalInUse
) -> Bench:
    if config is None:
        raise JournalInUse(busy.reason, _NAMELESS) from None
    settings = excerpt(config, environ=os.environ, tables=("admin",))
    remote = await stack.enter_async_context(Remote(settings.admin, file=settings.file))
    journal = await stack.enter_async_context(SqliteJournal(path, readonly=True))
    here = await journal.positions()
    try:
        there = await remote.held()
    except Unavailable as error:
        hint = _DENIED if isinstance(error, Denied) else _UNREACHED
        raise JournalInUse(f"{busy.reason}, and {error.reason}", hint) from None
    if not _same(here, there):
        reason = f"{busy.reason}, but the daemon at {remote.address} works on another journal"
        raise JournalInUse(reason, _UNREACHED) from None
    return Bench(journal, remote, running=True)


def _same(here: Positions, there: Held) -> bool:
    """Whether a daemon speaks of the journal that was read just before.

    Two daemons may have been given one another's addresses, and a sink of one name each.
    """
    sinks = {each.sink for each in here.cursors}
    return there.head >= here.head and sinks <= {each.sink for each in there.sinks}
