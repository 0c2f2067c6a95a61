"""`python -m benchmarks`: pick a suite."""

import click

from benchmarks.pollers import pollers


@click.group()
def main() -> None:
    """Measure what this program costs, on this machine."""


main.add_command(pollers)

if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
