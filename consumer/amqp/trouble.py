"""Errors of the driver, of TLS and of the network, worded for the operator who has to mend them.

Every reason says where and what, and where it can, what to do. None quotes a password or a user.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from aiormq import exceptions as driver
from pamqp.exceptions import PAMQPException

from consumer.errors import Unavailable

_USER = re.compile(r" (for|by) user '[^']*'")
_CERTIFICATE = "its certificate cannot be verified"
_TLS: Sequence[tuple[str, str]] = (
    ("WRONG_VERSION_NUMBER", "this port does not speak TLS; write amqp:// or use the TLS port"),
    ("CERTIFICATE_REQUIRED", "wants a client certificate; set tls.certificate and tls.key"),
    (
        "HANDSHAKE_FAILURE",
        "no common TLS settings, or a client certificate is missing (tls.certificate)",
    ),
    ("UNKNOWN_CA", "does not accept the client certificate (tls.certificate): unknown CA"),
    ("BAD_CERTIFICATE", "does not accept the client certificate (tls.certificate)"),
    ("CERTIFICATE_EXPIRED", "does not accept the client certificate (tls.certificate): expired"),
)


@contextmanager
def translated(where: str, doing: str = "", *, connecting: bool = False) -> Iterator[None]:
    """Let `Unavailable` come out of the block instead of whatever the driver raises.

    While `connecting`, what cannot be read is taken for another protocol.

    The driver cancels waiting calls when a silent link ends; that is told apart here from a
    cancellation that somebody asked for. And where somebody asks for one while a connection is
    being lost, the driver raises the loss in its place: the cancellation is what comes out then.
    """
    try:
        yield
    except asyncio.CancelledError:
        if asked_to_end():
            raise
        raise Unavailable(_place(where, doing, "the connection was lost")) from None
    except (driver.AMQPError, OSError, RuntimeError, EOFError) as error:
        if asked_to_end():
            raise asyncio.CancelledError from error
        why = reason(error, connecting=connecting)
        raise Unavailable(_place(where, doing, why)) from error


def asked_to_end() -> bool:
    """Whether somebody has cancelled what runs here, whatever was made of that meanwhile."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _place(where: str, doing: str, why: str) -> str:
    return ": ".join(part for part in (where, doing, why) if part)


def hung_up(error: BaseException) -> bool:
    """Whether the other side went away without a word."""
    kinds = (ConnectionResetError, BrokenPipeError, EOFError)
    return any(isinstance(cause, kinds) for cause in _causes(error))


def _causes(error: BaseException) -> Sequence[BaseException]:
    """The innermost first."""
    chain = [error]
    while (cause := chain[0].__cause__) is not None and cause not in chain:
        chain.insert(0, cause)
    return chain


def reason(error: BaseException, *, connecting: bool = False) -> str:
    """Why, in the operator's words; the driver wraps what really happened, so causes come first."""
    causes = _causes(error)
    for cause in causes:
        if isinstance(cause, driver.ProtocolSyntaxError | PAMQPException) and not connecting:
            # Its text may quote a message: the name of what was raised first has to do.
            return f"the broker sent what the driver cannot read ({type(causes[0]).__name__})"
        for kind, words in _REASONS:
            if isinstance(cause, kind):
                return words(cause)
    return f"{type(error).__name__}: {_said(error)}"


def _certificate(error: ssl.SSLCertVerificationError) -> str:
    said = error.verify_message
    if "mismatch" in said or "not valid for" in said:
        return f"{_CERTIFICATE}: {said.rstrip('.')}; set tls.server_name to a name it is for"
    if "issuer" in said or "self-signed" in said or "self signed" in said:
        return f"{_CERTIFICATE}: it is signed by an unknown CA; set tls.ca to that CA's PEM file"
    return f"{_CERTIFICATE}: {said}"


def _tls(error: ssl.SSLError) -> str:
    said = error.reason or str(error)
    return next((why for key, why in _TLS if key in said.upper()), f"TLS failed: {said}")


def _system(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError) or "Connect call failed" in str(error):
        return "connection refused: nothing listens there"
    return error.strerror or str(error)


def _greeting(error: driver.AMQPError) -> str:
    """What went wrong while the two sides greeted each other."""
    if "Connection.Close" in str(error):
        return "the virtual host does not exist, or this user has no access to it"
    return "this is not AMQP 0-9-1; if the port speaks TLS, write amqps://"


def _said(error: BaseException) -> str:
    """The broker's own words: `NOT_FOUND - no queue 'x' in vhost '/'`, without the user's name."""
    words = [str(part) for part in error.args if isinstance(part, str) and part]
    return _USER.sub("", words[-1]) if words else "no reason given"


# The first that fits; what is more special stands above what is more general.
_REASONS: Sequence[tuple[type[BaseException], Callable[[Any], str]]] = (
    (ssl.SSLCertVerificationError, _certificate),
    (ssl.SSLError, _tls),
    (socket.gaierror, lambda _: "the host name is not known"),
    (TimeoutError, lambda _: "no answer in time"),
    (
        driver.ProbableAuthenticationError,
        lambda _: "wrong user or password, or this user may not connect",
    ),
    (driver.AuthenticationError, lambda _: "the broker offers no authentication by password"),
    (driver.IncompatibleProtocolError, _greeting),
    (driver.ProtocolSyntaxError, _greeting),
    (driver.ChannelAccessRefused, _said),
    (driver.ChannelNotFoundEntity, _said),
    (driver.ConnectionClosed, lambda error: f"closed by the broker: {_said(error)}"),
    (driver.ChannelClosed, lambda error: f"closed by the broker: {_said(error)}"),
    (driver.AMQPConnectionError, lambda _: "the connection was closed by the other side"),
    (driver.ChannelInvalidStateError, lambda _: "the channel is closed"),
    (OSError, _system),
)
