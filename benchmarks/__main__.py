"""`python -m benchmarks`: pick a suite."""

import click

from benchmarks.everything import everything
from benchmarks.journal import journal
from benchmarks.pollers import pollers
from benchmarks.soak import soak
from benchmarks.speed import speed


@click.group()
def main() -> None:
    """Measure what this program costs, on this machine."""


main.add_command(everything)
main.add_command(journal)
main.add_command(pollers)
main.add_command(soak)
main.add_command(speed)

if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
