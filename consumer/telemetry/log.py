"""Every log event: their names stand here and nowhere else.

Lines go to standard error, one an event, with a fixed name and fields. A line that cannot be
written is lost, and nothing else: no work fails because it could not be reported.
"""

import logging
import sys
from contextlib import suppress
from typing import Any

import structlog

from consumer.settings import LogSettings


class _StandardError:
    """Standard error as it is now, on a full disk or closed by its reader or from the start."""

    def __init__(self) -> None:
        self._stream = sys.stderr

    def write(self, text: str) -> None:
        if self._stream is not None:  # None: it was closed before this program began
            with suppress(OSError):
                self._stream.write(text)

    def flush(self) -> None:
        if self._stream is not None:
            with suppress(OSError):
                self._stream.flush()

    def isatty(self) -> bool:
        return self._stream is not None and self._stream.isatty()


def configure_log(settings: LogSettings) -> None:
    """Send the log, and that a library reported an error, to standard error as configured."""
    output: Any = _StandardError()
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if settings.format == "console":  # JSON escapes whatever cannot be seen
        shared.append(_printable)
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if settings.format == "json"
        else structlog.dev.ConsoleRenderer(colors=output.isatty())
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=output),
        cache_logger_on_first_use=False,
    )
    # Libraries log for their own developers, and may quote URLs with passwords or payloads: only
    # that something went wrong in one is worth a line, not its words.
    library = logging.StreamHandler(output)
    library.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                _only_the_place,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                renderer,
            ],
        )
    )
    logging.basicConfig(handlers=[library], level=max(level, logging.ERROR), force=True)


def _printable(_logger: Any, _method: str, fields: Any) -> Any:
    """Text from upstreams cannot steer a terminal, nor look like another line."""
    for name, value in fields.items():
        if isinstance(value, str) and not value.isprintable():
            fields[name] = "".join(char if char.isprintable() else "?" for char in value)
    return fields


def _only_the_place(_logger: Any, _method: str, fields: Any) -> Any:
    """Replace a library's message by where it came from."""
    record, raised = fields["_record"], fields.pop("exc_info", None)
    fields["event"] = "library.error"
    fields["logger"] = record.name
    fields["at"] = f"{record.module}:{record.lineno}"
    fields["error"] = raised[0].__name__ if raised else None
    return fields


def _known(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value is not None}


class Log:
    """The log events of the daemon, a method each."""

    def __init__(self) -> None:
        self._log = structlog.get_logger()

    def started(
        self, *, version: str, sources: list[str], sinks: list[str], xml_reader: str
    ) -> None:
        """The daemon takes messages from now on; `xml_reader`: what it reads them with."""
        self._log.info(
            "daemon.started", version=version, sources=sources, sinks=sinks, xml_reader=xml_reader
        )

    def stopping(self, *, reason: str) -> None:
        """A stop was asked for, or a part died."""
        self._log.info("daemon.stopping", reason=reason)

    def stopped(self) -> None:
        """Everything is closed."""
        self._log.info("daemon.stopped")

    def listening(self, *, what: str, address: str) -> None:
        """A listener takes connections."""
        self._log.info("listener.started", listener=what, address=address)

    def part_up(self, part: str, note: str | None = None) -> None:
        """A link works; `note`: what a person should know all the same."""
        self._log.info("part.up", part=part, **_known(note=note))

    def part_note(self, part: str, note: str | None) -> None:
        """A part has something else to say though its link is as it was, or nothing any more."""
        self._log.info("part.note", part=part, **_known(note=note))

    def part_down(self, part: str, reason: str) -> None:
        """A link is lost or was never there."""
        self._log.warning("part.down", part=part, reason=reason)

    def quarantined(self, *, source: str, origin: str, ids: list[str], problems: int) -> None:
        """A payload was refused and kept; the journal holds its bytes and the reasons."""
        self._log.warning(
            "message.quarantined", source=source, origin=origin, ids=ids, problems=problems
        )

    def poll_broken(self, *, source: str, scope: str, reason: str) -> None:
        """An answer of a polled upstream was broken, or there was none."""
        self._log.warning("poll.broken", source=source, scope=scope, reason=reason)

    def poll_done(self, *, source: str, scope: str, **lines: object) -> None:
        """A poll is through, and had something to tell: how many lines."""
        self._log.info("poll.done", source=source, scope=scope, **lines)

    def poll_held(self, *, source: str, scope: str, missing: int, lines: int) -> None:
        """So much is missing that it is not believed until a second complete answer agrees."""
        self._log.warning("poll.held", source=source, scope=scope, missing=missing, open=lines)

    def unwatched(self, *, source: str, scope: str, lines: int) -> None:
        """Open lines that nothing polls any more: they stay as they were told last."""
        self._log.warning("lines.unwatched", source=source, scope=scope, open=lines)

    def subscription_ends(self, *, source: str, organisation: str, date: str) -> None:
        """An upstream's subscription is over, or will soon be; said once a day."""
        self._log.warning("subscription.ends", source=source, organisation=organisation, date=date)

    def webhook_refused(self, *, status: int) -> None:
        """A request was not taken (401: who sent it is not known); said once a minute a status."""
        self._log.warning("webhook.refused", status=status)

    def drift(self, *, source: str, name: str) -> None:
        """The schemas do not know this element or attribute; said once for each name."""
        self._log.warning("schema.drift", source=source, name=name)

    def intake_paused(self, *, reason: str) -> None:
        """The journal cannot commit: nothing is taken or settled."""
        self._log.error("intake.paused", reason=reason)

    def intake_resumed(self) -> None:
        """The journal commits again."""
        self._log.info("intake.resumed")

    def parked(self, *, sink: str, seq: int, reason: str) -> None:
        """A sink refused an event for good."""
        self._log.warning("event.parked", sink=sink, seq=seq, reason=reason)

    def sink_paused(self, *, sink: str) -> None:
        """A sink holds still from now on, because a person wants that."""
        self._log.warning("sink.paused", sink=sink)

    def sink_resumed(self, *, sink: str) -> None:
        """A sink that was paused goes on."""
        self._log.info("sink.resumed", sink=sink)

    def replay_begun(
        self, *, sink: str, start: int, end: int, done: int, source: str | None
    ) -> None:
        """A sink gets events again, or goes on with that behind `done`."""
        self._log.info(
            "replay.begun", sink=sink, start=start, end=end, done=done, **_known(source=source)
        )

    def replay_ended(self, *, sink: str, start: int, end: int, done: int) -> None:
        """A replay is through, or a person ended it at `done`."""
        self._log.info("replay.ended", sink=sink, start=start, end=end, done=done)

    def ordered(self, *, sink: str, order: str, **what: object) -> None:
        """A person wants something of a sink: hold still, go on, take events again."""
        self._log.warning("sink.ordered", sink=sink, order=order, **what)

    def retried(self, *, id: str, result: str, events: int) -> None:
        """A person had a quarantined payload tried again."""
        self._log.warning("quarantine.retried", id=id, result=result, events=events)

    def discarded(self, *, what: str, **which: object) -> None:
        """A person threw something away for good."""
        self._log.warning("discarded", what=what, **which)

    def pruned(self, *, events: int) -> None:
        """Retention removed events."""
        self._log.info("journal.pruned", events=events)

    def bug(self, *, where: str, error: BaseException) -> None:
        """Something happened that this program did not foresee: its place, never its values."""
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        at = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else ""
        self._log.error("bug", where=where, error=type(error).__name__, at=at)

    def journal_unavailable(self, *, sink: str, reason: str) -> None:
        """A sink waits for the journal, to read events or to move its cursor; once an outage."""
        self._log.error("journal.unavailable", sink=sink, reason=reason)
