"""Events on standard output: JSON Lines, or a short line for people.

Rules
1. Whoever reads slowly, or not at all, delays this sink and nothing else: writing happens in a
   thread of its own, which waits for room and can be told to give up when the sink closes.
2. A line is never torn by another. One batch is written to its end before the next begins, also
   where the delivery was cancelled meanwhile (its events then appear again, as whole lines), and
   where the next is that of another `stdout` sink: there is one standard output for all of them.
3. Text from upstreams cannot steer a terminal: the short form shows control characters as `?`, and
   JSON has them escaped, which says the same.

A reader that went away (`| head`) is `Unavailable`: the other sinks go on, and `/readyz` says why.
"""

import asyncio
import os
import re
import select
import stat
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, Self

import msgspec

from consumer.errors import Unavailable, Unusable
from consumer.model import Record
from consumer.settings import SinkOptions

_STDOUT = 1
_turn = threading.Lock()

# Where poll says that a pipe has room, this many bytes are written without blocking (PIPE_BUF on
# Linux; POSIX promises a writable pipe no more). A file, or /dev/null, takes everything at once.
_PIECE = 4096
_EVERYTHING = None

# Milliseconds between two looks at whether the sink is closing.
_LOOK = 100


class StdoutOptions(SinkOptions, frozen=True, kw_only=True):
    """`type = "stdout"`: a line for each event.

    `format = "json"`: CloudEvents, one JSON object a line. `pretty`: time, type, source, subject,
    item and quantity, for people.
    """

    format: Literal["json", "pretty"] = "json"


class Stdout:
    """The sink that writes to file descriptor 1."""

    Options = StdoutOptions

    def __init__(self, options: StdoutOptions) -> None:
        self.name = options.name
        self._render = _RENDER[options.format]
        self._closing = threading.Event()

    async def __aenter__(self) -> Self:
        _require_stdout()
        self._piece = _PIECE if _has_reader() else _EVERYTHING
        self._writer = ThreadPoolExecutor(1, thread_name_prefix=f"sink-{self.name}")
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._closing.set()  # a write that waits for its reader ends within _LOOK
        await asyncio.to_thread(self._writer.shutdown)

    async def deliver(self, batch: Sequence[Record]) -> Mapping[int, str]:
        """Write a batch; return when whoever reads standard output has room for all of it."""
        lines = b"".join(self._render(record) for record in batch)
        await asyncio.get_running_loop().run_in_executor(self._writer, self._write, lines)
        return {}

    async def check(self) -> Sequence[str]:
        """Whether there is a standard output."""
        try:
            _require_stdout()
        except Unusable as error:
            raise Unavailable(str(error)) from error
        return ["standard output is open; nothing was written"]

    def _write(self, lines: bytes) -> None:
        """Wait for this sink's turn and write everything; in the sink's thread."""
        while not _turn.acquire(timeout=_LOOK / 1000):
            self._give_up_if_closing()
        try:
            self._write_out(lines)
        finally:
            _turn.release()

    def _give_up_if_closing(self) -> None:
        if self._closing.is_set():
            raise Unavailable("closed while whoever reads standard output had no room")

    def _write_out(self, lines: bytes) -> None:
        poll = select.poll()
        poll.register(_STDOUT, select.POLLOUT)
        left = memoryview(lines)
        while left:
            self._give_up_if_closing()
            if not poll.poll(_LOOK):
                continue
            try:
                left = left[os.write(_STDOUT, left[: self._piece]) :]
            except BlockingIOError:  # somebody made the pipe non-blocking: poll again
                continue
            except OSError as error:
                raise Unavailable(f"standard output: {error.strerror}") from error


def _has_reader() -> bool:
    """Whether writing may have to wait for somebody: a pipe, a socket, a terminal."""
    mode = os.fstat(_STDOUT).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(_STDOUT)


class _Line(msgspec.Struct):
    item: str | None = None


class _Quantity(msgspec.Struct):
    backordered: str | None = None


class _Change(msgspec.Struct):
    field: str
    before: Any = None
    after: Any = None


class _Data(msgspec.Struct):
    line: _Line
    quantity: _Quantity
    changes: tuple[_Change, ...] = ()


class _Shown(msgspec.Struct):
    """What the short form needs of an event."""

    time: str
    type: str
    source: str
    subject: str
    data: _Data


_shown = msgspec.json.Decoder(_Shown)


_DELETE = b"\x7f"

# What JSON leaves as it is and a terminal may obey, in UTF-8: DEL, C1 controls, what changes the
# direction of text or cannot be seen, line and paragraph separators, the byte order mark.
_STEERING = re.compile(
    rb"\x7f|\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8b-\x8f\xa8-\xae]|\xe2\x81[\xa0-\xaf]|\xef\xbb\xbf"
)


def harmless(document: bytes) -> bytes:
    """JSON that says the same and cannot steer a terminal."""
    if document.isascii() and _DELETE not in document:
        return document  # nearly always, and quick to see
    return _STEERING.sub(lambda found: b"\\u%04x" % ord(found[0].decode()), document)


def _json(record: Record) -> bytes:
    return harmless(record.body) + b"\n"


def plain(text: str) -> str:
    """Text that cannot steer a terminal: what is no character to be seen shows as `?`."""
    return "".join(char if char.isprintable() else "?" for char in text)


def pretty(record: Record) -> str:
    """An event as a short line for people: time, type, source, subject, item and quantity, and what
    changed, if that is what happened; and whether it is a replay.
    """
    event = _shown.decode(record.body)
    item, quantity = event.data.line.item or "-", event.data.quantity.backordered or "-"
    changed = ", ".join(map(_changed, event.data.changes))
    return plain(
        f"{event.time}  {event.type}  {event.source}  {event.subject}  {item}  x{quantity}"
        + (f"  ({changed})" if changed else "")
        + ("  [replay]" if record.replay else "")
    )


def _changed(change: _Change) -> str:
    """What changed in a few words; of people only that something did."""
    if change.before is None and change.after is None:
        return change.field
    before, after = ("nothing" if each is None else each for each in (change.before, change.after))
    return f"{change.field} {before} -> {after}"


def _pretty(record: Record) -> bytes:
    return pretty(record).encode() + b"\n"


_RENDER: Mapping[str, Callable[[Record], bytes]] = {"json": _json, "pretty": _pretty}


def _require_stdout() -> None:
    try:
        os.fstat(_STDOUT)
    except OSError as error:
        raise Unusable(
            f"standard output is not open ({error.strerror})",
            "Start the program with one, or take the stdout sink out of the configuration",
        ) from error
