"""What every source that asks instead of being told has in common.

One file an idea: `options` is what can be configured, `schedule` says when the next round begins,
`rounds` runs them, `scopes` is one round over several scopes, `paging` proves that a list read in
pages was seen whole, `together` has several calls under way, `upstream` is about addresses and
credentials.
"""

from consumer.polling.options import HoldSettings, PollOptions
from consumer.polling.paging import Paging
from consumer.polling.rounds import keep_polling
from consumer.polling.schedule import Schedule

__all__ = ["HoldSettings", "Paging", "PollOptions", "Schedule", "keep_polling"]
