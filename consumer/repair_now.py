"""Repairs from the command line, whether a daemon runs or not.

The journal has one writer. At rest this is it, and a `Workshop` does what is asked here and now;
otherwise the daemon that has it is asked over its admin listener. Which of the two holds is found
out by trying to open the journal for writing: no look at it beforehand could be relied on. Who may
not write its files asks the daemon too, which may.

A daemon is asked for nothing before it has said that it works on the very journal that is meant:
each has a name of its own, made at random with it.

Of a configuration only the tables that are needed are read, so that no secret of a source or a
sink has to be at hand.
"""

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from consumer.app import load_schemas
from consumer.config import excerpt, glance
from consumer.errors import Denied, JournalInUse, JournalUnusable, Unavailable
from consumer.journal.sqlite import SqliteJournal
from consumer.remote import Remote
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


# What the operating system says of files that are not for this user, or of nobody, to write.
_NOT_OURS = {errno.EACCES, errno.EPERM, errno.EROFS}


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
    count. Raises `JournalUnusable` where there is no journal or it may not be written,
    `JournalInUse` where somebody has it; both only where no daemon answers for it.
    ConfigurationError.
    """
    async with AsyncExitStack() as stack:
        # What is not there is not made, and what is old is left for the daemon to bring up to date.
        async with SqliteJournal(path, readonly=True):
            pass
        try:
            journal = await stack.enter_async_context(SqliteJournal(path))
        except JournalUnusable as closed:
            if not _may_be_open_elsewhere(closed):
                raise
            bench = await _beside(stack, path, config, closed)
        else:
            bench = await _at_rest(journal, config, understanding=understanding)
        yield bench


def _may_be_open_elsewhere(closed: JournalUnusable) -> bool:
    """Whether a daemon may have the journal: it does, or who asks may not look."""
    if isinstance(closed, JournalInUse):
        return True
    return isinstance(closed.__cause__, OSError) and closed.__cause__.errno in _NOT_OURS


async def _at_rest(journal: SqliteJournal, config: Path | None, *, understanding: bool) -> Bench:
    settings = Settings()  # nothing but a retry needs to know more
    if understanding and config is not None:
        settings = excerpt(config, environ=os.environ, tables=_RETRY_TABLES)
    schemas = await asyncio.to_thread(load_schemas, settings)
    workshop = Workshop(
        journal,
        schemas,
        privacy=settings.privacy,
        intake=settings.intake,
        sinks=glance(config, environ=os.environ).sinks if config else None,
        log=Log(),
    )
    return Bench(journal, workshop, running=False)


async def _beside(
    stack: AsyncExitStack, path: Path, config: Path | None, closed: JournalUnusable
) -> Bench:
    busy = isinstance(closed, JournalInUse)
    if config is None:
        raise type(closed)(closed.reason, _NAMELESS if busy else closed.hint) from None
    settings = excerpt(config, environ=os.environ, tables=("admin",))
    remote = await stack.enter_async_context(Remote(settings.admin, file=settings.file))
    journal = await stack.enter_async_context(SqliteJournal(path, readonly=True))
    here = await journal.positions()
    try:
        there = await remote.held()
    except Unavailable as error:
        hint = _DENIED if isinstance(error, Denied) else _UNREACHED if busy else closed.hint
        raise type(closed)(f"{closed.reason}, and {error.reason}", hint) from None
    if here.journal != there.journal:
        reason = f"{closed.reason}, but the daemon at {remote.address} works on another journal"
        raise type(closed)(reason, _UNREACHED) from None
    return Bench(journal, remote, running=True)
