"""Where the tests get their real servers.

In this order: the URL in an environment variable; a container, where a Docker engine answers; a
private server started from an installed binary. Where there is none of them the tests fail and say
what to install: a missing server is never a silent skip.
"""

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator

from consumer.errors import Unusable
from consumer.simulators.broker import PrivateBroker, available

_RABBITMQ_IMAGE = "rabbitmq:4-alpine"
_AMQP = 5672
_MISSING = (
    "these tests need a RabbitMQ and found none: set TEST_AMQP_URL, start Docker,"
    " or install one (on Debian: apt-get install rabbitmq-server)"
)


def docker_answers() -> bool:
    """Whether a Docker engine can be used from here."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        asked = subprocess.run(
            [docker, "info"], capture_output=True, timeout=10, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


def own_broker() -> PrivateBroker:
    """A RabbitMQ that a test may stop and kill, not started yet."""
    if not available():
        raise Unusable(_MISSING, "Tests that restart a broker need the installed one")
    return PrivateBroker()


@contextlib.asynccontextmanager
async def rabbitmq(own: PrivateBroker | None) -> AsyncIterator[str]:
    """The URL of a RabbitMQ for the whole session; `own` is used where nothing else is given."""
    if url := os.environ.get("TEST_AMQP_URL"):
        yield url
    elif docker_answers():
        from testcontainers.core.container import DockerContainer
        from testcontainers.core.wait_strategies import LogMessageWaitStrategy

        booted = LogMessageWaitStrategy("Server startup complete")
        container = DockerContainer(_RABBITMQ_IMAGE).with_exposed_ports(_AMQP).waiting_for(booted)
        await asyncio.to_thread(container.start)
        try:
            host, port = container.get_container_host_ip(), container.get_exposed_port(_AMQP)
            yield f"amqp://guest:guest@{host}:{port}/"
        finally:
            await asyncio.to_thread(container.stop)
    elif own is not None:
        await own.start()
        yield own.url
    else:
        raise Unusable(_MISSING)
