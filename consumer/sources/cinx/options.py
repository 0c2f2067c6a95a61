"""What can be configured about the source `cinx`, and what is refused before it ever runs."""

from typing import Annotated, Literal
from urllib.parse import quote

from msgspec import Meta

from consumer.normalisation.cinx_token import SHORTEST
from consumer.polling import PollOptions
from consumer.polling.upstream import check_base_url, check_basic
from consumer.settings import Text
from consumer.values import Duration, Secret

_DAY = 86_400

Delivery = Literal["", "JOB SITE", "FABRICATION SHOP", "OFFICE", "WAREHOUSE", "FABRICATOR"]


class CinxOptions(PollOptions, frozen=True, kw_only=True):
    """`type = "cinx"`: polls CINX's back-orders.

    Every call carries an API token in its path, and HTTP Basic (`username`, `password`) or a bearer
    token. With `authentication = "bearer"` the token is `bearer_token`, or is had in exchange for
    user name and password. Without `api_token` the tokens are looked up by user name and password,
    and every organisation that they open is polled, or only `organisations`. With one,
    `organisation` is its name in events (`/cinx/<organisation>`); by default the source's own.

    `detail = "changed"` fetches the detail of rows that are new or changed; with `never` details
    are asked for only to make sure that a missing line is over. `delivery`, `project`, `vendor` and
    `po_guid` ask for a part of the list. `format` is that of the answers, `page_size` how many rows
    an answer may have, `offset_parameter` how the list calls the number of rows to leave out (some
    of CINX's own pages say `start`; under a name that it does not know it repeats its first page).
    `subscription_warning` is how long before its end a subscription is warned about.
    """

    base_url: str = "https://api.cinx.com"
    version: Text = "2.0"
    authentication: Literal["basic", "bearer"] = "basic"
    username: str = ""
    password: Secret = Secret("")
    bearer_token: Secret = Secret("")
    api_token: Secret = Secret("")
    organisation: str = ""
    organisations: tuple[Text, ...] = ()
    detail: Literal["never", "changed"] = "changed"
    delivery: Delivery = ""
    project: str = ""
    vendor: str = ""
    po_guid: str = ""
    format: Literal["json", "xml"] = "json"
    offset_parameter: Literal["offset", "start"] = "offset"
    page_size: Annotated[int, Meta(ge=2, le=1000)] = 50
    subscription_warning: Duration = Duration(14 * _DAY)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_base_url(self.base_url)
        check_basic(self.username, self.password)
        if any(name.lower() == "authorization" for name in self.headers):
            raise ValueError(
                "headers: Authorization is made of username and password, or of bearer_token"
            )
        if not self.username and not len(self.bearer_token):
            raise ValueError("give username and password, or a bearer_token")
        if len(self.bearer_token) and self.authentication != "bearer":
            raise ValueError('bearer_token: goes with authentication = "bearer"')
        if not len(self.api_token) and not self.username:
            raise ValueError(
                "give api_token, or username and password to look the tokens of your"
                " organisations up with"
            )
        if len(self.api_token) and self.organisations:
            raise ValueError(
                "organisations: one api_token is one organisation; leave api_token out to have"
                " them looked up, or name the one with `organisation`"
            )
        if 0 < len(self.api_token) < SHORTEST:
            raise ValueError(
                f"api_token: no token of CINX's is shorter than {SHORTEST} characters;"
                " copy all of it"
            )
        if self.organisation and not len(self.api_token):
            raise ValueError("organisation: names what api_token opens; without it: organisations")

    @property
    def filters(self) -> dict[str, str]:
        """The list's own parameters, those that are set."""
        named = {
            "delivery": self.delivery,
            "project": self.project,
            "vendor": self.vendor,
            "po-guid": self.po_guid,
        }
        return {name: value for name, value in named.items() if value}

    @property
    def scopes(self) -> tuple[str, ...]:
        """The event sources that this polls, as far as the configuration tells."""
        names = (self.name_in_events,) if len(self.api_token) else self.organisations
        return tuple(event_source(name) for name in names)

    @property
    def upstream(self) -> object:
        """Whom this asks; see `coherence.check_scopes`. Never to be shown."""
        return self.base_url.rstrip("/"), self.version, self.api_token.reveal()

    @property
    def name_in_events(self) -> str:
        """What the organisation of `api_token` is called."""
        return self.organisation or self.name


def event_source(organisation: str) -> str:
    """The CloudEvents source of an organisation's events."""
    return f"/cinx/{quote(organisation, safe='')}"
