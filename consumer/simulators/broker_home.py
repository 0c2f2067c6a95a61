"""The directory, the configuration and the ports that a private RabbitMQ node lives with."""

import contextlib
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from consumer.errors import Unusable

_PORTS = range(20_000, 32_000)
_CTL_PORTS = range(61_000, 64_000)
_FEW_PORTS = 20
_CONFIGURATION = """\
listeners.tcp.1 = 127.0.0.1:{port}
disk_free_limit.absolute = 1MB
log.console = false
log.file.level = info
raft.wal_max_size_bytes = 16777216
"""
_TLS_CONFIGURATION = """\
listeners.ssl.1 = 127.0.0.1:{port}
ssl_options.cacertfile = {ca}
ssl_options.certfile = {certificate}
ssl_options.keyfile = {key}
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = {clients}
"""


@dataclass(frozen=True, slots=True)
class BrokerTls:
    """PEM files of a second listener with TLS; `clients`: only those with a certificate of `ca`."""

    ca: Path
    certificate: Path
    key: Path
    clients: bool = False


def free_port() -> int:
    """A loopback TCP port that nobody listens on at this moment.

    Taken from below the range that outgoing connections use, so that a port stays free between
    two lives of the same node.
    """
    for _ in range(1000):
        port = secrets.choice(_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise Unusable("no free TCP port on 127.0.0.1", "end some of the servers on this machine")


def configure(port: int, tls_port: int, tls: BrokerTls | None) -> str:
    """The text of `rabbitmq.conf`."""
    plain = _CONFIGURATION.format(port=port)
    if tls is None:
        return plain
    return plain + _TLS_CONFIGURATION.format(
        port=tls_port,
        ca=tls.ca,
        certificate=tls.certificate,
        key=tls.key,
        clients=str(tls.clients).lower(),
    )


def furnish(home: Path, configuration: str) -> dict[str, str]:
    """Lay out a node's directory; return the environment that makes a node live in it."""
    (home / "rabbitmq.conf").write_text(configuration)
    (home / "enabled_plugins").write_text("[].\n")
    (home / "environment.conf").touch()
    cookie = home / ".erlang.cookie"
    cookie.write_text(secrets.token_hex(16))
    cookie.chmod(0o400)
    lowest_ctl = secrets.choice(_CTL_PORTS)
    own: Mapping[str, object] = {
        "HOME": home,
        "ERL_EPMD_PORT": free_port(),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"private-{secrets.token_hex(4)}@localhost",
        "RABBITMQ_DIST_PORT": free_port(),
        "RABBITMQ_CTL_DIST_PORT_MIN": lowest_ctl,
        "RABBITMQ_CTL_DIST_PORT_MAX": lowest_ctl + _FEW_PORTS,
        "RABBITMQ_MNESIA_BASE": home / "data",
        "RABBITMQ_LOG_BASE": home / "log",
        "RABBITMQ_PID_FILE": home / "node.pid",
        "ERL_CRASH_DUMP": os.devnull,  # or else it would lie about where the program was started
        "RABBITMQ_CONFIG_FILE": home / "rabbitmq.conf",
        "RABBITMQ_CONF_ENV_FILE": home / "environment.conf",
        "RABBITMQ_ENABLED_PLUGINS_FILE": home / "enabled_plugins",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
            "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"
            " -kernel inet_dist_use_interface {127,0,0,1}"
        ),
        # The start script replaces itself by the node instead of waiting beside it: signals and
        # the death of the parent then reach the node itself.
        "detached": "1",
    }
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("RABBITMQ_", "ERL_", "NOTIFY_SOCKET"))
    }
    return inherited | {name: str(value) for name, value in own.items()}
