"""The commands, one file a family. A command's file is imported when that command is asked for."""

from difflib import get_close_matches
from importlib import import_module
from typing import NamedTuple

import click

from consumer import __version__


class Entry(NamedTuple):
    """Where a command stands and what the list of commands says about it."""

    place: str
    summary: str


COMMANDS = {
    "run": Entry("consumer.cli.run:run", "The daemon: from every source to every sink."),
    "demo": Entry("consumer.cli.demo:demo", "The daemon against simulated upstreams."),
    "check": Entry(
        "consumer.cli.check:check", "Find mistakes in a configuration; reach upstreams."
    ),
    "validate": Entry("consumer.cli.validate:validate", "Radial messages against the XSDs."),
    "normalize": Entry("consumer.cli.normalize:normalize", "The events of a payload."),
    "events": Entry("consumer.cli.events:events", "What the journal holds."),
    "backorders": Entry("consumer.cli.backorders:backorders", "Order lines now on backorder."),
    "poll": Entry("consumer.cli.poll:poll", "Ask MVET or CINX now, and print what changed."),
    "cinx": Entry("consumer.cli.cinx:cinx", "CINX's update template."),
    "quarantine": Entry(
        "consumer.cli.quarantine:quarantine", "What could not be understood; another try."
    ),
    "parked": Entry("consumer.cli.parked:parked", "What a sink refused for good; another try."),
    "sinks": Entry("consumer.cli.sinks:sinks", "Where every sink is; pause it, send it again."),
    "simulate": Entry("consumer.cli.simulate:simulate", "A stand-in upstream to develop against."),
    "schema": Entry("consumer.cli.schema:schema", "JSON Schemas, and the admin API as OpenAPI."),
}


class Commands(click.Group):
    """The commands of the table above; `--help` lists them without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names in the order of the table."""
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        """Import a command; None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].place.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments name, or tell the nearest there is."""
        close = get_close_matches(args[0], COMMANDS, n=1)
        if close and args[0] not in COMMANDS:
            ctx.fail(f"There is no command '{args[0]}'. Did you mean '{close[0]}'?")
        return super().resolve_command(ctx, args)

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        """The list of commands in `--help`."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """Turn vendors' back-order news into one durable stream of events.

    The daemon (`run`) takes order back-orders from Radial's RabbitMQ queues and webhooks, polls
    MVET and CINX, validates what comes, keeps one CloudEvent per order line in a journal on disk,
    and hands every event to every sink at least once. A message is settled only after its events
    are on disk.

    A configuration file (TOML) names sources and sinks. `check` tells what is wrong with it, and
    `check --help` shows one to start from. Each command's --help tells its options, its exit
    statuses and examples.

    \b
    Examples:
      backorder-consumer demo --for 30s            see it work, nothing to prepare
      backorder-consumer check -c consumer.toml --connect
      backorder-consumer run -c consumer.toml
      backorder-consumer events -c consumer.toml --follow
    """
