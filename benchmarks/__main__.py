"""`python -m benchmarks`: pick a suite."""

import click

from benchmarks.journal import journal
from benchmarks.pollers import pollers
from benchmarks.soak import soak


@click.group()
def main() -> None:
    """Measure what this program costs, on this machine."""


main.add_command(journal)
main.add_command(pollers)
main.add_command(soak)

if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
