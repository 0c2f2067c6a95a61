"""Which organisations a source polls, and until when their subscriptions last.

Rules
1. A configured token is one organisation. Its subscription is looked up for warnings only: that
   this fails is said, and nothing else comes of it.
2. Without one, tokens are looked up: at first, every six hours, and after credentials were not
   accepted, since a token may have been replaced or a subscription renewed. Where that fails later
   on, what is known holds until it works again.
3. Two organisations of one name would clear each other's lines: neither is polled.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic
from urllib.parse import quote

from msgspec import Struct

from consumer.errors import Denied, Refused, Unavailable
from consumer.normalisation.cinx_envelope import Subscription
from consumer.ports import Ground
from consumer.sources.cinx.api import Api
from consumer.sources.cinx.options import CinxOptions
from consumer.values import Secret

# Seconds until subscriptions are looked up again: organisations come, go and expire.
_LOOK_UP_EVERY = 6 * 3600.0


class Organisation(Struct, frozen=True):
    """An organisation, and the token that opens it."""

    name: str
    token: Secret


class Subscriptions:
    """What is known of the subscriptions of one source."""

    def __init__(self, options: CinxOptions) -> None:
        self._options = options
        self._found: Sequence[Subscription] = ()
        self._look_up_again = 0.0
        self._trouble = ""

    @property
    def has_token(self) -> bool:
        """Whether a token is configured, so that nothing has to be looked up to poll."""
        return len(self._options.api_token) > 0

    async def look_up(self, api: Api) -> None:
        """Look the subscriptions up where it is time. Raises what the call does where it has to."""
        if not self._options.username or monotonic() < self._look_up_again:
            return
        try:
            self._found = await api.subscriptions()
        except (Unavailable, Refused) as error:
            denied = isinstance(error, Denied)
            if not self.has_token and (denied or not self._found):
                raise
            self._trouble = f"the subscriptions cannot be looked up: {error.reason}"
            if not denied:
                return  # the next round tries again
        else:
            self._trouble = ""
        self._look_up_again = monotonic() + _LOOK_UP_EVERY

    def doubt(self) -> None:
        """What is known may be wrong: look it up next time."""
        if not self.has_token:
            self._look_up_again = 0.0

    def organisations(self) -> Sequence[Organisation]:
        """What to poll, one at the least; raises `Denied` where nothing can be."""
        if self.has_token:
            return [Organisation(self._options.name_in_events, self._options.api_token)]
        alike = self._alike()
        found = {
            each.organisation: Organisation(each.organisation, each.token)
            for each in self._chosen()
            if each.active and each.organisation not in alike
        }
        if not found:
            raise Denied("; ".join(["there is no organisation to poll", *self.mistakes()]))
        return list(found.values())

    # --- what there is to say ------------------------------------------------------------------

    def notes(self, ground: Ground) -> list[str]:
        """What a person should know; ends of subscriptions go to the metrics and the log too."""
        warnings = [self._warn(ground, each) for each in self._chosen()]
        return [note for note in (*warnings, *self.mistakes(), self._trouble) if note]

    def mistakes(self) -> Sequence[str]:
        """What the configuration gets wrong about organisations."""
        open_ = {each.organisation for each in self._found}
        missing = [name for name in self._options.organisations if name not in open_]
        return [
            *(
                f"the user name and password do not open {name}; see organisations"
                for name in missing
            ),
            *(
                f"several organisations are called {name}; poll each as a source of its own, with"
                " its api_token and another `organisation`"
                for name in sorted(self._alike())
            ),
        ]

    def told(self) -> Sequence[str]:
        """The subscriptions that this source polls with, a line each; and what keeps them away."""
        return [*map(_told, self._chosen()), *([self._trouble] if self._trouble else [])]

    def ended(self) -> Sequence[str]:
        """The same of those that are over, among them only those that were asked for by name."""
        named = self.has_token or self._options.organisations
        return [_told(each) for each in self._chosen() if named and not each.active]

    def explained(self, error: Denied) -> Denied:
        """The error with what may be behind it, and what to do about it."""
        over = [f"{_told(each)}; renew it with CINX" for each in self._chosen() if _is_over(each)]
        if over:
            why = "; ".join(over)
        elif self.has_token and self._found and not self._chosen():
            why = "api_token is of no organisation that the user name and password open"
        else:
            why = "check username, password and token, and that the CINX subscription lasts"
        return Denied(f"{error.reason}; {why}", retry_after=error.retry_after)

    # --- which ---------------------------------------------------------------------------------

    def _chosen(self) -> Sequence[Subscription]:
        """Of the subscriptions those that this source polls with."""
        if self.has_token:
            token = self._options.api_token.reveal()
            return [each for each in self._found if each.token.reveal() == token]
        wanted = self._options.organisations
        return [each for each in self._found if not wanted or each.organisation in wanted]

    def _alike(self) -> frozenset[str]:
        """Names that several organisations have."""
        if self.has_token:
            return frozenset()
        tokens = {(each.organisation, each.token.reveal()) for each in self._chosen()}
        names = Counter(name for name, _ in tokens)
        return frozenset(name for name, count in names.items() if count > 1)

    def _warn(self, ground: Ground, subscription: Subscription) -> str:
        """What to say about a subscription that is over or ends soon; its end for the metrics."""
        ends = subscription.ends
        last = datetime.now(UTC) + timedelta(seconds=self._options.subscription_warning)
        soon = _is_over(subscription) or (ends is not None and ends <= last.date())
        name = self._options.organisation or subscription.organisation
        ground.surveys.subscribed(self._options.name, name, ends, warn=soon)
        if not soon:
            return ""
        if _is_over(subscription):
            return _told(subscription)
        return f"{name}: the CINX subscription ends on {ends}"


def _is_over(subscription: Subscription) -> bool:
    ends = subscription.ends
    return not subscription.active or (ends is not None and ends < datetime.now(UTC).date())


def _told(subscription: Subscription) -> str:
    """A subscription in a line; without its token, and be it in the words of CINX."""
    name = subscription.organisation
    if subscription.active and not _is_over(subscription):
        until = f" until {subscription.ends}" if subscription.ends else ""
        return f"{name}: the CINX subscription is active{until}"
    ended = f"it ended on {subscription.ends}" if subscription.ends else ""
    why, token = subscription.reason, subscription.token.reveal()
    for spelling in {token, quote(token), quote(token, safe="")} - {""}:
        why = why.replace(spelling, "…")
    return f"{name}: the CINX subscription is not active ({why or ended or 'no reason is given'})"
