"""What can be configured: one frozen value for each table of the configuration file.

The docstrings and descriptions here are what `schema config` prints. Reading a file into these
values is the business of `consumer.config`. A plug-in adds its own options by deriving from
`SourceOptions` or `SinkOptions`.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from consumer.values import Duration, PositiveDuration, Secret, Size, is_loopback, split_listen

_SHORTEST_KEY = 16

Text = Annotated[str, Meta(min_length=1)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration file."""


def _host(listen: str) -> str:
    """The host to listen on; ValueError, naming the key, where it is no address."""
    try:
        return split_listen(listen)[0]
    except ValueError as error:
        raise ValueError(f"listen: {error}") from None


# --- the tables ------------------------------------------------------------------------------


class JournalSettings(Section, frozen=True, kw_only=True):
    """`[journal]`: where events are kept.

    `url` is `sqlite:PATH`. Events that every sink has passed and that are older than `retention`
    are removed, except the last one of each polled line that is still open; ids are unique for as
    long as the event is kept.
    """

    url: Text = "sqlite:var/journal.db"
    retention: PositiveDuration = PositiveDuration(30 * 86400)


class TlsSettings(Section, frozen=True, kw_only=True):
    """`[webhooks.tls]`: serve HTTPS; with `client_ca`, only to clients with a certificate of it."""

    certificate: Text
    key: Text
    client_ca: str = ""


class AuthSettings(Section, frozen=True, kw_only=True):
    """`[webhooks.auth]`: how a sender proves who it is.

    `basic`: `username`, `password`. `token`: `Authorization: Bearer` or, where `header` names
    one, that header carries `token`. `hmac`: `header` (default `X-Signature`) carries the
    hexadecimal or base64 HMAC of the body under `secret` with `algorithm`.
    """

    type: Literal["basic", "token", "hmac", "none"] = "none"
    username: str = ""
    password: Secret = Secret("")
    token: Secret = Secret("")
    secret: Secret = Secret("")
    header: str = ""
    algorithm: Literal["sha256", "sha512"] = "sha256"

    def __post_init__(self) -> None:
        needed = {"basic": ("username", "password"), "token": ("token",), "hmac": ("secret",)}
        for key in needed.get(self.type, ()):
            if not len(getattr(self, key)):
                raise ValueError(f'type = "{self.type}" needs {key}')


class WebhooksSettings(Section, frozen=True, kw_only=True):
    """`[webhooks]`: the public listener that upstreams post to; starts where a source needs it.

    `max_body` bounds both the bytes received and what they decompress to. `timeout` bounds the
    time one request may take to arrive. Above `max_connections` whoever has kept us waiting longest
    for a request is cut off, or a newcomer is answered 503; where the process may not have so many
    files open, there are fewer.
    """

    listen: Text = "127.0.0.1:8080"
    max_body: Size = Size(10 << 20)
    timeout: PositiveDuration = PositiveDuration(30)
    max_connections: Annotated[int, Meta(ge=1, le=100_000)] = 1000
    auth: AuthSettings = AuthSettings()
    tls: TlsSettings | None = None

    def __post_init__(self) -> None:
        host = _host(self.listen)
        proven = self.auth.type != "none" or (self.tls is not None and self.tls.client_ca)
        if not is_loopback(host) and not proven:
            raise ValueError(
                f"listen: {self.listen} can be reached from other machines: set [webhooks.auth]"
                ' type to "basic", "token" or "hmac", or client_ca in [webhooks.tls],'
                " or listen on 127.0.0.1"
            )


class AdminSettings(Section, frozen=True, kw_only=True):
    """`[admin]`: probes and metrics; with a `token` every path but the probes asks for it."""

    listen: Text = "127.0.0.1:8081"
    token: Secret = Secret("")

    def __post_init__(self) -> None:
        host = _host(self.listen)
        if not is_loopback(host) and not len(self.token):
            raise ValueError(
                f"listen: {self.listen} can be reached from other machines: set a token,"
                " or listen on 127.0.0.1"
            )


class SchemasSettings(Section, frozen=True, kw_only=True):
    """`[schemas]`: `directory` holds Radial's own XSD set; empty: the shipped one.

    `strict` refuses elements and attributes that the schemas do not know; otherwise they are
    accepted and reported as drift.
    """

    directory: str = ""
    strict: bool = False


class PrivacySettings(Section, frozen=True, kw_only=True):
    """`[privacy]`: what of `data.parties` an event keeps.

    `hashed` replaces every value in it by an HMAC-SHA256 under `key`: equal stays equal.
    """

    parties: Literal["full", "hashed", "none"] = "full"
    key: Secret = Secret("")

    def __post_init__(self) -> None:
        if self.parties == "hashed" and len(self.key) < _SHORTEST_KEY:
            raise ValueError('key must have at least 16 characters for parties = "hashed"')


class LogSettings(Section, frozen=True, kw_only=True):
    """`[log]`: one line an event, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


class IntakeSettings(Section, frozen=True, kw_only=True):
    """`[intake]`: payloads larger than `offload_above` are parsed off the event loop.

    A queue message above `max_message` is quarantined unparsed.
    """

    offload_above: Size = Size(64 << 10)
    max_message: Size = Size(32 << 20)


class StopSettings(Section, frozen=True, kw_only=True):
    """`[stop]`: how long a stop may take to let taken messages and pending events through."""

    grace: Duration = Duration(10)


# --- what every source and sink has ----------------------------------------------------------


class SourceOptions(Section, frozen=True, kw_only=True):
    """What every `[[sources]]` table has."""

    type: Text
    name: Name


class FilterSettings(Section, frozen=True, kw_only=True):
    """`filter`: which events a sink gets; an empty list lets all through.

    `sources` are names of configured sources, `types` event types (`backorder.` may be left out).
    """

    sources: list[Text] = []
    types: list[Text] = []


class BatchSettings(Section, frozen=True, kw_only=True):
    """`batch`: how many events, and bytes of them, are delivered together at the most."""

    events: Annotated[int, Meta(ge=1, le=10_000)] = 500
    bytes: Size = Size(4 << 20)


class RetrySettings(Section, frozen=True, kw_only=True):
    """`retry`: waits grow from `initial` to `max`. `attempts` = 0 tries for ever.

    With another number an event is parked after that many attempts, and the sink goes on.
    The longest wait, and an attempt that hangs, keep within the 30 seconds in which a sink goes on
    once its receiver is back.
    """

    initial: Duration = Duration(0.5)
    max: Duration = Duration(10)
    attempts: Annotated[int, Meta(ge=0)] = 0

    def __post_init__(self) -> None:
        if not 0 < self.initial <= self.max:
            raise ValueError("initial must be above zero and at most max")


class SinkOptions(Section, frozen=True, kw_only=True):
    """What every `[[sinks]]` table has.

    A sink that is new begins with the `oldest` event of the journal, or with what comes from
    `now` on.
    """

    type: Text
    name: Name
    start: Literal["oldest", "now"] = "oldest"
    filter: FilterSettings = FilterSettings()
    batch: BatchSettings = BatchSettings()
    retry: RetrySettings = RetrySettings()


class Settings(Struct, frozen=True, kw_only=True):
    """A whole configuration. `file` is where it was read from."""

    file: str = ""
    journal: JournalSettings = JournalSettings()
    webhooks: WebhooksSettings = WebhooksSettings()
    admin: AdminSettings = AdminSettings()
    schemas: SchemasSettings = SchemasSettings()
    privacy: PrivacySettings = PrivacySettings()
    log: LogSettings = LogSettings()
    intake: IntakeSettings = IntakeSettings()
    stop: StopSettings = StopSettings()
    sources: tuple[SourceOptions, ...] = ()
    sinks: tuple[SinkOptions, ...] = ()
