"""Fixtures that many tests share. The servers come from `servers.py`."""

import asyncio
import inspect
import logging
import secrets
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
import structlog

import servers
from consumer.simulators import broker
from consumer.simulators.broker import PrivateBroker

pytest_plugins = ["plugin_fixture"]


@pytest.fixture(scope="session")
def own_node() -> Iterator[PrivateBroker | None]:
    """The session's own RabbitMQ node, where one is installed; it starts when it is first used."""
    node = PrivateBroker() if broker.available() else None
    yield node
    if node is not None:
        node.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def amqp_url(own_node: PrivateBroker | None) -> AsyncIterator[str]:
    """A RabbitMQ that all tests share: each uses queue names of its own (`unique`)."""
    async with servers.rabbitmq(own_node) as url:
        yield url


@pytest_asyncio.fixture
async def private_broker(own_node: PrivateBroker | None) -> AsyncIterator[PrivateBroker]:
    """A running RabbitMQ node that the test may stop, kill and restart."""
    node = own_node or servers.own_broker()
    await node.start()
    yield node
    await node.start()


@pytest_asyncio.fixture
async def ended_driver() -> AsyncIterator[None]:
    """What a test leaves behind ends in its own event loop.

    The AMQP driver makes new tasks out of cancelled ones. Made while a loop is being closed they
    never run, and are complained about in whichever test collects the garbage next.
    """
    yield
    for _ in range(5):
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=1)


@pytest.fixture(autouse=True)
def ended_tasks(request: pytest.FixtureRequest) -> None:
    """The same for every test that has an event loop."""
    if inspect.iscoroutinefunction(getattr(request, "function", None)):
        request.getfixturevalue("ended_driver")


@pytest.fixture
def unique() -> str:
    """A name that no other test uses."""
    return f"test-{secrets.token_hex(4)}"


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """A test that configures the log does so for itself alone."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
