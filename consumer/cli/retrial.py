"""What `quarantine retry` does: many payloads in small steps, and what is told of each."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import click
from msgspec.structs import replace

from consumer.cli import progress, table
from consumer.cli.payload_ids import Wanted
from consumer.model import Problem
from consumer.repair import Repairs, Retried

_PROBLEM_WIDTH = 100

# One call of a repair: that many payloads, or bytes of them, at the most.
TOGETHER = 50
_BYTES_TOGETHER = 16 << 20


async def retry_all(repairs: Repairs, wanted: Sequence[Wanted], *, quiet: bool) -> list[Retried]:
    """Retry in small steps and tell what became of each; polled ones are only counted if `quiet`.

    A bar and lines disturb each other on one terminal: there the lines come at the end.
    """
    done: list[Retried] = []
    late: list[str] = []
    tell = late.append if progress.on_terminal() else click.echo
    try:
        with progress.bar(len(wanted), "Trying again") as advance:
            for together in _in_steps(wanted):
                for result in await repairs.retry_quarantined([each.id for each in together]):
                    if not (quiet and result.result == "polled"):
                        tell(table.plain(line(result)))
                    done.append(replace(result, problems=()))  # they are told
                advance(len(together))
    finally:
        for said in late:
            click.echo(said)
    return done


def _in_steps(wanted: Sequence[Wanted]) -> Iterator[Sequence[Wanted]]:
    together: list[Wanted] = []
    for each in wanted:
        size = sum(other.size for other in together) + each.size
        if together and (len(together) == TOGETHER or size > _BYTES_TOGETHER):
            yield together
            together = []
        together.append(each)
    if together:
        yield together


def reasons(problems: Sequence[Problem]) -> str:
    """The first of some problems, in a line, and how many there are besides."""
    if not problems:
        return "-"
    first = str(problems[0])
    if len(first) > _PROBLEM_WIDTH:
        first = first[: _PROBLEM_WIDTH - 1] + "…"
    return first if len(problems) == 1 else f"{first} (and {len(problems) - 1} more)"


def line(result: Retried) -> str:
    """What became of a payload."""
    return f"{result.id}  {_WORDS[result.result](result)}"


def _accepted(result: Retried) -> str:
    known = f", {result.duplicates} known already" if result.duplicates else ""
    return f"accepted: {_events(result.events)}{known}"


def _divided(result: Retried) -> str:
    still = f"still refused: {table.first_of(result.parts)} ({reasons(result.problems)})"
    return f"divided: {_events(result.events)} of it accepted; {still}"


_WORDS: Mapping[str, Callable[[Retried], str]] = {
    "accepted": _accepted,
    "refused": lambda result: f"refused again: {reasons(result.problems)}",
    "divided": _divided,
    "unknown": lambda _: "not in quarantine",
    "polled": lambda _: "not tried: its upstream is polled, and tells at each poll what is true",
}


def _events(count: int) -> str:
    return table.counted(count, "new event")


def summary(told: Sequence[Retried]) -> str:
    """What became of many."""
    counts = Counter(each.result for each in told)
    events = _events(sum(each.events for each in told))
    parts = [f"{counts['accepted']} accepted ({events})", f"{counts['refused']} refused again"]
    if counts["divided"]:
        parts.append(f"{counts['divided']} divided")
    if counts["unknown"]:
        parts.append(f"{counts['unknown']} not in quarantine")
    if counts["polled"]:
        parts.append(f"{counts['polled']} not tried, from polled upstreams")
    return ", ".join(parts)
