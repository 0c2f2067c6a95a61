"""Which organisations a source polls, and until when their subscriptions last.

Rules
1. A configured token is one organisation. Its subscription is looked up for warnings only: after
   the polling, briefly, and where it fails not again for some minutes. That it fails is said, and
   nothing else comes of it.
2. Without one, tokens are looked up: at first, every six hours, and after credentials were not
   accepted, since a token may have been replaced or a subscription renewed. Where that fails later
   on, what is known holds until it works again.
3. Two organisations of one name would clear each other's lines: neither is polled.
4. How long CINX asks to wait is how long nothing is looked up again.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic

from msgspec import Struct

from consumer.errors import ConsumerError, Denied, Refused, Unavailable
from consumer.normalisation.cinx_account import Subscription
from consumer.ports import Ground
from consumer.retry import LONGEST_REQUESTED_WAIT
from consumer.sources.cinx.api import Api
from consumer.sources.cinx.options import CinxOptions
from consumer.survey import Surveys
from consumer.values import Secret

# Seconds until subscriptions are looked up again: organisations come, go and expire.
_LOOK_UP_EVERY = 6 * 3600.0

# The same where that failed and only warnings depend on it.
_WARN_AGAIN = 300.0


class Organisation(Struct, frozen=True):
    """An organisation, and the token that opens it."""

    name: str
    token: Secret


class Subscriptions:
    """What is known of the subscriptions of one source."""

    def __init__(self, options: CinxOptions) -> None:
        self._options = options
        self._found: Sequence[Subscription] = ()
        self._unreadable: Sequence[str] = ()
        self._look_up_again = 0.0
        self._trouble = ""

    @property
    def has_token(self) -> bool:
        """Whether a token is configured, so that nothing has to be looked up to poll."""
        return len(self._options.api_token) > 0

    async def look_up(self, api: Api, surveys: Surveys | None = None) -> None:
        """Look the subscriptions up where it is time. Raises what the call does where it has to.

        `surveys` is told of an answer that was broken.
        """
        if not self._options.username or monotonic() < self._look_up_again:
            return
        try:
            said = await api.subscriptions(briefly=self.has_token)
        except (Unavailable, Refused) as error:
            if surveys:
                surveys.failed(self._options.name, error.reason)
            if not self.has_token and (isinstance(error, Denied) or not self._found):
                raise
            self._trouble = f"the subscriptions cannot be looked up: {error.reason}"
            self._look_up_again = monotonic() + self._wait_after(error)
        else:
            self._found, self._unreadable, self._trouble = said.found, said.problems, ""
            self._look_up_again = monotonic() + _LOOK_UP_EVERY

    def _wait_after(self, error: Unavailable | Refused) -> float:
        """Seconds until subscriptions are looked up again; zero: the next round does."""
        if isinstance(error, Denied):
            return _LOOK_UP_EVERY
        asked = (error.retry_after or 0.0) if isinstance(error, Unavailable) else 0.0
        return max(min(asked, LONGEST_REQUESTED_WAIT), _WARN_AGAIN if self.has_token else 0.0)

    def named(self, organisation: Organisation, error: Unavailable | Refused) -> ConsumerError:
        """The error with the organisation that it is about, where there may be several."""
        if self.has_token:
            return error
        reason = f"{organisation.name}: {error.reason}"
        if isinstance(error, Unavailable):
            return type(error)(reason, retry_after=error.retry_after)
        return Refused(reason)

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
        chosen, options = self._chosen(), self._options
        ends = {self._name_of(each): each.ends for each in chosen}
        soon = [each for each in chosen if self._ends_soon(each)]
        ground.surveys.subscribed(options.name, ends, warn=[self._name_of(each) for each in soon])
        warnings = [
            _told(each)
            if _is_over(each)
            else f"{self._name_of(each)}: the CINX subscription ends on {each.ends}"
            for each in soon
        ]
        return [*warnings, *self.mistakes(), *self._troubles()]

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
        return [*map(_told, self._chosen()), *self._troubles()]

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

    def _troubles(self) -> Sequence[str]:
        """Why not everything is known."""
        left_out = ""
        if self._unreadable:
            left_out = (
                f"{len(self._unreadable)} of CINX's subscriptions cannot be read and are left out"
                f" ({self._unreadable[0]})"
            )
        return [each for each in (left_out, self._trouble) if each]

    def _ends_soon(self, subscription: Subscription) -> bool:
        ends = subscription.ends
        last = datetime.now(UTC) + timedelta(seconds=self._options.subscription_warning)
        return _is_over(subscription) or (ends is not None and ends <= last.date())

    def _name_of(self, subscription: Subscription) -> str:
        return self._options.organisation or subscription.organisation


def _is_over(subscription: Subscription) -> bool:
    return not subscription.active or _has_ended(subscription)


def _has_ended(subscription: Subscription) -> bool:
    ends = subscription.ends
    return ends is not None and ends < datetime.now(UTC).date()


def _told(subscription: Subscription) -> str:
    """A subscription in a line, in our words: those of CINX could hold anything, its token too."""
    name = subscription.organisation
    if not _is_over(subscription):
        until = f" until {subscription.ends}" if subscription.ends else ""
        return f"{name}: the CINX subscription is active{until}"
    why = f"CINX says status {subscription.status}"
    if _has_ended(subscription):
        why = f"it ended on {subscription.ends}"
    elif not len(subscription.token):
        why = "CINX gives no API token for it"
    return f"{name}: the CINX subscription is not active ({why})"
