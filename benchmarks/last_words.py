"""What a daemon has to say when a round fails: whether it lives, its counts, the end of its log.

Its directory goes with the round, so this is quoted in the error: whether the daemon was at fault
cannot be found out later.
"""

import signal
import subprocess
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

_TOLD = 8_000  # characters of the log; where it crashed, its threads are there too
_COUNTS = (
    "backorder_webhook_answers_total",
    "backorder_webhook_cut_off_total",
    "backorder_commit_failures_total",
)
_ANSWERS_WITHIN = 5.0
_DIES_WITHIN = 1.0


def last_words(process: "subprocess.Popen[bytes]", admin: str, log: Path) -> str:
    """Some lines on a daemon whose admin listener is at this URL; never raises."""
    with suppress(subprocess.TimeoutExpired):  # connections go before the process is gone
        process.wait(_DIES_WITHIN)
    state = _state(process.returncode)
    counts = _counts(admin) if process.returncode is None else ""
    return "\n".join(filter(None, (state, counts, end_of(log))))


def end_of(log: Path) -> str:
    """The last of what a daemon said, in whole lines."""
    said = log.read_text(errors="replace")[-_TOLD - 1 :] if log.exists() else ""
    if len(said) > _TOLD:
        said = said.partition("\n")[2]
    return f"its log ends:\n{said.rstrip()}" if said.strip() else "its log is empty"


def _state(status: int | None) -> str:
    if status is None:
        return "the daemon was still running"
    if status < 0:
        return f"the daemon was ended by signal {-status}: {signal.strsignal(-status)}"
    return f"the daemon had ended by itself, with exit status {status}"


def _counts(admin: str) -> str:
    """What its metrics say of answers, of connections cut off, and of commits that failed."""
    try:
        with urllib.request.urlopen(f"{admin}/metrics", timeout=_ANSWERS_WITHIN) as answer:  # noqa: S310 - our own daemon
            metrics = answer.read().decode()
    except (urllib.error.URLError, OSError):
        return "it did not tell its metrics"
    return "\n".join(line for line in metrics.splitlines() if line.startswith(_COUNTS))
