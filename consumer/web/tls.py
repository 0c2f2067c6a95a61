"""`tls` of whatever speaks HTTPS: whom to trust, and how to show who we are."""

import ssl

from consumer.errors import Unusable
from consumer.settings import Section


class Tls(Section, frozen=True, kw_only=True):
    """`tls`: `ca` to trust instead of the system's; `certificate` and `key` to show who we are."""

    ca: str = ""
    certificate: str = ""
    key: str = ""

    def __post_init__(self) -> None:
        if bool(self.certificate) != bool(self.key):
            raise ValueError("certificate and key belong together; give both or neither")


def context(tls: Tls, what: str) -> ssl.SSLContext:
    """What connections are made with; reads the files. `what` names their owner: "sink warehouse".

    Raises `Unusable` where the files are missing or no good.
    """
    try:
        made = ssl.create_default_context(cafile=tls.ca or None)
        if tls.certificate:
            made.load_cert_chain(tls.certificate, tls.key)
    except OSError as error:  # ssl.SSLError is one
        raise Unusable(
            f"the tls files of {what} cannot be used: {error.strerror or error}",
            "ca, certificate and key must be readable PEM files that belong together",
        ) from error
    return made
