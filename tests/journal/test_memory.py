"""The journal in memory keeps the promises too."""

from collections.abc import AsyncIterator

import pytest

from consumer.errors import JournalUnavailable
from consumer.repair import RepairableJournal
from consumer.testing.builders import entry, event
from consumer.testing.journal import JournalRepairSuite, JournalSuite, MemoryJournal


class TestMemoryJournal(JournalSuite, JournalRepairSuite):
    @pytest.fixture
    async def journal(self) -> AsyncIterator[RepairableJournal]:
        async with MemoryJournal() as journal:
            yield journal


async def test_it_fails_when_told_to() -> None:
    journal = MemoryJournal()
    journal.failure = "the disk is full"
    with pytest.raises(JournalUnavailable, match="the disk is full"):
        await journal.append([entry(event(1))])
    journal.failure = None
    (outcome,) = await journal.append([entry(event(1))])
    assert outcome.accepted == 1
