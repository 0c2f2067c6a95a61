"""Asking CINX for something else than back-orders, with what a source is configured with."""

from collections.abc import Mapping

from consumer.errors import Denied, Refused
from consumer.sources.cinx.api import Api
from consumer.sources.cinx.options import CinxOptions
from consumer.sources.cinx.subscriptions import Subscriptions
from consumer.values import Secret


async def update_template(options: CinxOptions, organisation: str | None) -> Mapping[str, object]:
    """The template of a back-order's update, of this organisation or of the only one.

    Raises as every call does, and `Refused` where it is not clear which organisation is meant.
    """
    subscriptions = Subscriptions(options)
    async with Api(options) as api:
        try:
            if not subscriptions.has_token:
                await subscriptions.look_up(api)
            return await api.template(_token(subscriptions, organisation))
        except Denied as error:
            raise subscriptions.explained(error) from None


def _token(subscriptions: Subscriptions, organisation: str | None) -> Secret:
    open_ = {each.name: each.token for each in subscriptions.organisations()}
    if organisation is None and len(open_) == 1:
        return next(iter(open_.values()))
    if organisation in open_:
        return open_[organisation]
    names = ", ".join(open_)
    if organisation is None:
        raise Refused(f"choose one with --organisation: {names}")
    raise Refused(f"no organisation {organisation} here; there are: {names}")
