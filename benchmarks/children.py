"""Processes that are measured one by one: what is asked of them, a line each, and what they answer.

A question is a word on the child's standard input, the answer a line of JSON on its standard
output. The asker sleeps meanwhile, so a measurement has nobody but those it is about.
"""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec

_ROOT = Path(__file__).parents[1]


class Child:
    """A running process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, question: str) -> Any:
        """What it answers; RuntimeError where it ended instead."""
        questions, answers = self._process.stdin, self._process.stdout
        if questions is None or answers is None:
            raise AssertionError("the process was started with pipes")
        questions.write(f"{question}\n")
        questions.flush()
        if not (answer := answers.readline()):
            raise RuntimeError(f"a process of the benchmark ended when it was asked: {question}")
        return msgspec.json.decode(answer)


@contextmanager
def running(module: str, **settings: object) -> Iterator[Child]:
    """`python -m module SETTINGS` for as long as this is entered."""
    with subprocess.Popen(  # noqa: S603 - this very program
        [sys.executable, "-m", module, msgspec.json.encode(settings).decode()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=_ROOT,
        text=True,
    ) as process:
        yield Child(process)  # the end of its input ends it


async def obey(answers: Mapping[str, Callable[[], Awaitable[object]]]) -> None:
    """In the child: answer until the input ends."""
    while question := (await asyncio.to_thread(sys.stdin.readline)).strip():
        click.echo(msgspec.json.encode(await answers[question]()))


def settings_of(type_: type[Any]) -> Any:
    """In the child: the settings that it was started with."""
    return msgspec.json.decode(sys.argv[1], type=type_)
