"""`simulate`: stand-in upstreams to develop against."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import click

from consumer.cli.options import DurationType
from consumer.cli.simulation import (
    UrlType,
    faults_from,
    for_option,
    seed_option,
    serve,
    server_options,
    stopping,
    told_faults,
    told_to,
)
from consumer.cli.text import TEXT
from consumer.model import utc_now
from consumer.simulators.cinx import CinxServer
from consumer.simulators.cinx_world import CinxWorld
from consumer.simulators.mvet import MvetServer
from consumer.simulators.mvet_world import MvetWorld
from consumer.simulators.radial import RadialWorld, Sent
from consumer.simulators.radial_feed import Feed, queue_feed, webhook_feed
from consumer.values import Duration, PositiveDuration, redacted

_SECONDS_OF_PATIENCE = 2.0


@click.group()
def simulate() -> None:
    """Stand-in upstreams on 127.0.0.1, to develop and to try things against.

    Each plays a world of made-up back-orders that changes while it runs: the same seed makes the
    same world.

    \b
    Examples:
      backorder-consumer simulate mvet --port 6569
      backorder-consumer simulate cinx --lines 5000 --fault shift=0.05
      backorder-consumer simulate radial --webhook http://127.0.0.1:8080/webhooks/radial/order-backorder
    """


def _customer(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
    for customer in given:
        if len(customer) != 7 or not (customer.isascii() and customer.isdigit()):  # noqa: PLR2004 - MVET's
            raise click.BadParameter(f"`{customer}` is no account number; these have 7 digits")
    return tuple(dict.fromkeys(given))


@simulate.command(short_help="Serve MVET's back-order inquiry.", epilog=told_faults("mvet"))
@click.option(
    "--customer",
    "customers",
    type=TEXT,
    multiple=True,
    default=("0002789",),
    show_default=True,
    callback=_customer,
    metavar="NUMBER",
    help="An account number of 7 digits; may be given several times.",
)
@click.option(
    "--username", type=TEXT, metavar="TEXT", help="Ask for HTTP Basic with this user name."
)
@click.option(
    "--password", type=TEXT, default="", metavar="TEXT", help="The password that goes with it."
)
@server_options("mvet", lines=40)
def mvet(customers: tuple[str, ...], username: str | None, password: str, **options: Any) -> None:
    """Serve MVET's back-order inquiry.

    Prints its address, a [[sources]] table to paste into a configuration, and a line whenever its
    world changes.

    \b
    Exit status: 0, 1 where it cannot listen.

    \b
    Examples:
      backorder-consumer simulate mvet --customer 0002789 --customer 0004027
      backorder-consumer simulate mvet --lines 5000 --step 10s --fault cut=0.2 --fault status.429
    """
    world = MvetWorld(options["seed"], customers, options["lines"])
    server = MvetServer(
        world,
        faults_from(options),
        username=username,
        password=password,
        port=options["port"],
        etag=options["etag"],
    )
    keys: dict[str, object] = {"customers": list(customers)}
    if username is not None:
        keys |= {"username": username, "password": password}
    asyncio.run(serve("mvet", server, world, keys, options))


@simulate.command(short_help="Serve the CINX API.", epilog=told_faults("cinx"))
@click.option(
    "--organisation",
    "organisations",
    type=TEXT,
    multiple=True,
    default=("Harbor Mechanical",),
    show_default=True,
    metavar="NAME",
    help="An organisation; may be given several times.",
)
@click.option(
    "--username", type=TEXT, default="me@example.com", show_default=True, help="Who may come in."
)
@click.option(
    "--password", type=TEXT, default="secret", show_default=True, help="With this password."
)
@server_options("cinx", lines=120)
def cinx(organisations: tuple[str, ...], username: str, password: str, **options: Any) -> None:
    """Serve the CINX API: back-orders, their details, the update template, tokens.

    Prints its address, a [[sources]] table to paste into a configuration, and a line whenever its
    world changes.

    \b
    Exit status: 0, 1 where it cannot listen.

    \b
    Examples:
      backorder-consumer simulate cinx --organisation "Harbor Mechanical" --organisation Alder
      backorder-consumer simulate cinx --lines 50000 --step 10s --fault shift=0.01 --fault slow
    """
    world = CinxWorld(options["seed"], tuple(dict.fromkeys(organisations)), options["lines"])
    server = CinxServer(
        world, faults_from(options), username, password, port=options["port"], etag=options["etag"]
    )
    keys: dict[str, object] = {"username": username, "password": password}
    if len(world.organisations) == 1:
        [(name, token)] = world.organisations.items()
        keys |= {"api_token": token, "organisation": name}
    asyncio.run(serve("cinx", server, world, keys, options))


@simulate.command(short_help="Send order back-orders as Radial does.")
@click.option(
    "--webhook", type=UrlType("http", "https"), metavar="URL", help="Post lists to this webhook."
)
@click.option(
    "--amqp", type=UrlType("amqp", "amqps"), metavar="URL", help="Publish to queues of this broker."
)
@click.option(
    "--store",
    "stores",
    type=TEXT,
    multiple=True,
    default=("TMS_US",),
    show_default=True,
    metavar="CODE",
    help="A store; may be given several times. Its queue is made where it is missing.",
)
@click.option(
    "--every",
    type=DurationType(PositiveDuration),
    default="1s",
    show_default=True,
    metavar="DURATION",
    help="How often something is sent.",
)
@click.option(
    "--events",
    type=click.IntRange(1, 1000),
    default=2,
    show_default=True,
    metavar="N",
    help="Events in each list that is posted.",
)
@seed_option
@for_option
def radial(webhook: str | None, amqp: str | None, **options: Any) -> None:
    """Send order back-orders as Radial does: lists to a webhook, messages to store queues.

    A post is repeated until it is answered 200; a publish counts when the broker has confirmed it.
    Credentials may stand in the addresses.

    \b
    Exit status: 0, 1 where the broker cannot be reached, 2 where neither address is given.

    \b
    Examples:
      backorder-consumer simulate radial --webhook http://127.0.0.1:8080/webhooks/radial/order-backorder
      backorder-consumer simulate radial --amqp amqp://guest:guest@127.0.0.1/ --store TMS_CA
    """
    if webhook is None and amqp is None:
        raise click.UsageError("give --webhook, --amqp or both: where shall it send to?")
    asyncio.run(_send(webhook, amqp, **options))


async def _send(
    webhook: str | None,
    amqp: str | None,
    *,
    stores: Sequence[str],
    every: float,
    events: int,
    seed: int,
    duration: Duration | None,
) -> None:
    world = RadialWorld(seed, stores)
    async with AsyncExitStack() as stack:
        stop = await stack.enter_async_context(stopping(duration))
        ways: list[tuple[str, Feed, Callable[[], Sent]]] = []
        if amqp is not None:
            feed = await stack.enter_async_context(queue_feed(amqp, stores))
            ways.append((redacted(amqp), feed, world.order_backorder))
        if webhook is not None:
            feed = await stack.enter_async_context(webhook_feed(webhook))
            ways.append((redacted(webhook), feed, partial(world.order_backorder_list, events)))
        click.echo("Radial is simulated; Ctrl-C stops it")
        sending = [asyncio.create_task(_keep_sending(*way, every, stop)) for way in ways]
        try:
            await asyncio.gather(*sending)
        finally:
            for task in sending:
                task.cancel()


async def _keep_sending(
    where: str, feed: Feed, next_: Callable[[], Sent], every: float, stop: asyncio.Event
) -> None:
    """Send until it is time to stop; what is not taken by then is given up."""
    stopped = asyncio.create_task(stop.wait())
    while not stop.is_set():
        sent = next_()
        handing = asyncio.ensure_future(feed(sent))
        waiting = {stopped, handing}
        await asyncio.wait(
            waiting, timeout=_SECONDS_OF_PATIENCE, return_when=asyncio.FIRST_COMPLETED
        )
        if not handing.done() and not stop.is_set():
            click.echo(f"{where} has not taken it yet; trying on", err=True)
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not handing.done():
            handing.cancel()
            break
        handing.result()
        click.echo(f"{utc_now():%H:%M:%S}  {where}  {sent.store}: {len(sent.facts)} order lines")
        await told_to(stop, within=every)
    stopped.cancel()
