"""Fixtures that many tests share. The servers come from `servers.py`."""

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
