"""The program at a terminal: its standard input and standard error are one, its output is not."""

import os
import pty
import subprocess
import sys
from pathlib import Path

from program import Done


def at_terminal(directory: Path, *arguments: str | Path, typed: str = "") -> Done:
    """Run the program to its end; `err` is what the terminal shows, `typed` what a person types."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, typed.encode())
        process = subprocess.Popen(
            [sys.executable, "-m", "consumer", *map(str, arguments)],
            cwd=directory,
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=theirs,
        )
        os.close(theirs)
        shown = everything(ours)
        out, _ = process.communicate(timeout=60)
    finally:
        os.close(ours)
    return Done(process.returncode, out.decode(), shown.decode())


def everything(terminal: int) -> bytes:
    """What is shown there, until nobody is left at the other end."""
    shown = b""
    while True:
        try:
            piece = os.read(terminal, 1 << 16)
        except OSError:  # how a terminal says that nobody is left at the other end
            return shown
        shown += piece
