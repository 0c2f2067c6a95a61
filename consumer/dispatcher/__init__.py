"""Dispatcher: one pump for each sink: read, deliver, move the cursor; back off, park.

Rules
1. A cursor moves only after `deliver` has returned, and durably. A crash between the two delivers
   the batch again: at least once.
2. Events go out in journal order. While one cannot be delivered the cursor stays before it, so a
   sink that is down delays itself, and only itself: pumps share nothing but the journal. What a
   sink had under way behind the stuck event may have gone out; it goes out again, in order.
3. An event is parked only where the sink refuses it for good, or after `retry.attempts` where an
   operator set them; it is parked in the commit that moves the cursor past it.
4. What a person ordered (`consumer.repair`) comes first: a paused sink gets nothing; parked events
   to be retried go before a replay, and a replay before what is pending, even if that waits for
   the next start then. So whoever takes the last word on each order line ends with the newest:
   what was in hand when a replay was ordered becomes part of it, where it reaches that far.
   Rules 1 to 3 hold for a replay too: its progress is written down behind each batch.
5. Whatever is offered again says so, and never shares a batch with what is not.

Theory of operation. A commit rings a bell that wakes every pump, an order is told to the pump of
its sink; both are hints. The truth is the journal, which a pump also reads when nothing was heard
for a while. Orders are kept in mind between two looks, so that a batch costs one read.

One file an idea: `pump` says what comes next, `again` what is offered again, `courier` hands over
and backs off, `ledger` is the journal as a pump uses it, `signals` what wakes a pump.
"""

from consumer.dispatcher.again import marked
from consumer.dispatcher.pump import Pump, wants
from consumer.dispatcher.signals import Bell

__all__ = ["Bell", "Pump", "marked", "wants"]
