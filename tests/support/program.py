"""The program as tests call it: arguments in; exit status, output and errors out."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

RADIAL = Path(__file__).parent.parent / "data" / "radial"


class Done(NamedTuple):
    """What came of a command."""

    status: int
    out: str
    err: str


Call = Callable[..., Done]
Edit = Callable[..., Path]


def start(directory: Path, *arguments: str | Path, stdin: bytes = b"", **environ: str) -> Done:
    """Run the program as a process of its own, in `directory`, to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "consumer", *arguments],
        cwd=directory,
        env={**os.environ, **environ},
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())
