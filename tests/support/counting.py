"""What work costs, counted instead of timed: the same on every machine, however busy it is.

Rules
1. Count something like it first and drop that count: caches fill, and from Python 3.12 on the
   interpreter tells the instructions of a function only from the second time on.
2. The garbage collector stands still meanwhile: when it runs depends on what ran before.
3. A bound that was found with CPython 3.11 holds for later ones: for the same source they need a
   few in a hundred fewer instructions and calls (measured with 3.12 and 3.13), never more.
4. Calls are counted in all threads, but not those of what waits (asyncio, threads, selectors): how
   often a loop turns depends on how busy the machine is. What it is given to do is counted by
   `CountingLoop`.
"""

import asyncio
import gc
import re
import sqlite3
import sys
import threading
import tracemalloc
from asyncio import selector_events
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from threading import get_ident
from types import CodeType, FrameType, FunctionType
from typing import Any, TypeVarTuple
from unittest import mock

Work = Callable[[], object]
Ts = TypeVarTuple("Ts")

_ABOVE = re.compile(r"/consumer/|/site-packages/|/python3\.\d+/")
_WAITING = {"asyncio", "concurrent", "queue", "selectors", "threading", "counting"}


@contextmanager
def _still() -> Iterator[None]:
    """No garbage collection within, and no garbage from before."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


# --- instructions --------------------------------------------------------------------------------


def instructions(work: Work) -> Counter[str]:
    """Bytecode instructions executed in this thread, by the function that they belong to."""
    count: Counter[CodeType] = Counter()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if event == "opcode":
            count[frame.f_code] += 1
        elif event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return trace

    before = sys.gettrace()
    with _still():
        sys.settrace(trace)
        try:
            work()
        finally:
            sys.settrace(before)
    return _by_name(count)


def _by_name(count: Counter[CodeType]) -> Counter[str]:
    names: Counter[str] = Counter()
    for code, number in count.items():
        names[f"{_ABOVE.split(code.co_filename)[-1]}: {code.co_qualname}"] += number
    return names


# --- calls ---------------------------------------------------------------------------------------


class Calls:
    """How often functions were called, the last time that they were `counted`.

    Threads are counted that started within `in_threads`, beside the one that counts.
    """

    def __init__(self) -> None:
        self._count: Counter[tuple[int, str, CodeType]] = Counter()
        self._on = False

    @property
    def python(self) -> int:
        """Calls of functions written in Python."""
        return self._of("call").total()

    @property
    def c(self) -> int:
        """Calls of functions written in C, made by functions written in Python."""
        return self._of("c_call").total()

    def of(self, function: Callable[..., Any]) -> int:
        """Calls of this one, which is written in Python."""
        assert isinstance(function, FunctionType)
        return self._of("call")[function.__code__]

    @property
    def by_function(self) -> Counter[str]:
        """The Python functions that were called."""
        return _by_name(self._of("call"))

    @contextmanager
    def in_threads(self) -> Iterator[None]:
        """Let threads be counted that start within."""
        threading.setprofile(self._note)
        try:
            yield
        finally:
            threading.setprofile(None)

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count within, from zero."""
        self._count.clear()
        before = sys.getprofile()
        with _still():
            self._on = True
            sys.setprofile(self._note)
            try:
                yield
            finally:
                sys.setprofile(before)
                self._on = False

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        """`frame` is that of the Python function: called, or calling C."""
        if not self._on or event not in {"call", "c_call"}:
            return
        module = frame.f_globals.get("__name__", "")
        if module.partition(".")[0] not in _WAITING:
            self._count[get_ident(), event, frame.f_code] += 1  # a key has one thread

    def _of(self, kind: str) -> Counter[CodeType]:
        found: Counter[CodeType] = Counter()
        for (_, event, code), number in self._count.items():
            if event == kind:
                found[code] += number
        return found


# --- memory --------------------------------------------------------------------------------------


def kept_blocks(work: Work) -> int:
    """How many blocks of Python's memory are taken after the work that were not before."""
    with _still():
        before = sys.getallocatedblocks()
        work()
        gc.collect()
        return sys.getallocatedblocks() - before


def peak_bytes(work: Work) -> int:
    """The most bytes of Python's memory that the work, and what it returns, took at once."""
    with _still():
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            held = work()
            _, peak = tracemalloc.get_traced_memory()
            del held
        finally:
            tracemalloc.stop()
    return peak - before


# --- statements ----------------------------------------------------------------------------------


@contextmanager
def statements() -> Iterator[Counter[str]]:
    """The SQL statements, by their text, of every SQLite connection that is opened within."""
    count: Counter[str] = Counter()
    connect = sqlite3.connect

    def traced(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        connection.set_trace_callback(lambda text: count.update([text]))
        return connection

    with mock.patch.object(sqlite3, "connect", traced):
        yield count


# --- the event loop ------------------------------------------------------------------------------


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts what it is given to do: callbacks, tasks, and writes to its sockets."""

    def __init__(self) -> None:
        self.forget()
        super().__init__()

    def forget(self) -> None:
        """Begin at zero."""
        self.callbacks = self.tasks = self.writes = 0

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """See `asyncio.AbstractEventLoop`."""
        self.callbacks += 1
        return super().call_soon(callback, *args, context=context)

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """See `asyncio.AbstractEventLoop`."""
        self.callbacks += 1
        return super().call_soon_threadsafe(callback, *args, context=context)

    def create_task(self, *arguments: Any, **options: Any) -> Any:
        """See `asyncio.AbstractEventLoop`."""
        self.tasks += 1
        return super().create_task(*arguments, **options)

    def _make_socket_transport(self, *arguments: Any, **options: Any) -> Any:
        return _CountingTransport(self, *arguments, **options)


class _CountingTransport(selector_events._SelectorSocketTransport):  # type: ignore[name-defined,misc]
    def write(self, data: Any) -> None:
        self._loop.writes += 1
        super().write(data)

    def writelines(self, data: Any) -> None:
        self._loop.writes += 1
        super().writelines(data)
