"""The program's entry point. What comes of a command, `consumer.cli.outcome` says.

Ctrl-C never shows a traceback. All imports but this file's few happen in `main`, where it can be
caught; after `main` of a process it ends the process as it does one that knows nothing of signals,
since everything is said by then and only the interpreter's own end is left.
"""

import signal
import sys
from collections.abc import Sequence

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name (default: those of the process); its exit status."""
    try:
        from consumer.cli.outcome import outcome

        return outcome(arguments)
    except KeyboardInterrupt:
        return _INTERRUPTED
    finally:
        if arguments is None and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)


if __name__ == "__main__":
    sys.exit(main())
