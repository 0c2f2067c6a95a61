"""All benchmarks, one after the other, each in a process of its own: `python -m benchmarks all`.

Each part has a JSON file and `speed` its picture, `speed.png`; `all.json` has all parts by name. It
is written after each of them: one that fails, or Ctrl-C, takes nothing away from those before.
Files of an earlier run are removed first, so that nothing in it is older than this run.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import msgspec
from msgspec import Raw

from benchmarks.processes import tied

_KEEP: Mapping[str, str] = {"speed": "--json", "pollers": "--keep", "journal": "--keep"}
"""The parts, in their order, and the option by which each is told where its JSON goes."""

_ROOT = Path(__file__).parents[1]


@click.command("all")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("var/bench"),
    show_default=True,
    help="Where all.json, the files of the parts and the picture go.",
)
@click.option("--strict", is_flag=True, help="Exit status 1 where anything misses its target.")
@click.pass_context
def everything(context: click.Context, *, directory: Path, strict: bool) -> None:
    """All but the soak, within an hour; what `make bench` runs."""
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    parts, failed = {part: directory / f"{part}.json" for part in _KEEP}, []
    together, picture = directory / "all.json", directory / "speed.png"
    for file in (*parts.values(), together, picture):
        file.unlink(missing_ok=True)
    for part, file in parts.items():
        click.echo(f"\n# {part}\n")
        command = [sys.executable, "-m", "benchmarks", part, _KEEP[part], str(file)]
        command += ["--plot", str(picture)] if part == "speed" else []
        try:
            if _status(command + ["--strict"] * strict):
                failed.append(part)
        finally:
            together.write_bytes(_together(parts))
    click.echo(f"\n{together} has what all parts measured", err=True)
    if failed:
        click.echo(f"\nfailed, or missed a target: {', '.join(failed)}", err=True)
    context.exit(1 if failed else 0)


def _together(parts: Mapping[str, Path]) -> bytes:
    """One JSON object of what the parts have kept so far."""
    kept = {part: Raw(file.read_bytes()) for part, file in parts.items() if file.exists()}
    return msgspec.json.format(msgspec.json.encode(kept)) + b"\n"


def _status(command: Sequence[str]) -> int:
    """Run it to its end; Ctrl-C reaches it as well, and it is given the time to clean up."""
    process = subprocess.Popen(tied(command, "TERM"), cwd=_ROOT)  # noqa: S603 - our own
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.wait()
        raise
