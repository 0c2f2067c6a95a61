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
   the next start then. Rules 1 to 3 hold for a replay too: its progress is written down behind
   each batch. A retry holds nothing up: while it fails, everything else has its turn (`retries`).
5. Whatever is offered again says so, and never shares a batch with what is not.
6. Behind a replay that reaches up to the cursor, whoever takes the last word on each order line
   has the newest: what was in hand when it was ordered becomes part of it. That is not so for a
   replay with an end before the cursor, nor for a parked event: what is newer about the same line
   may have been delivered already. There the receiver goes by the mark, or by the event's time.
7. An order ends a back-off only where it changes what comes next.

Theory of operation. A commit rings a bell that wakes every pump, an order is told to the pump of
its sink; both are hints. The truth is the journal, which a pump also reads when nothing was heard
for a while. Orders are kept in mind between two looks, so that a batch costs one read.

One file an idea: `pump` says what comes next, `again` carries out orders, `retries` those about
parked events, `marking` says that an event is offered again, `courier` hands over and backs off,
`ledger` is the journal as a pump uses it, `signals` what wakes a pump.
"""

from consumer.dispatcher.marking import marked
from consumer.dispatcher.pump import Pump, wants
from consumer.dispatcher.signals import Bell

__all__ = ["Bell", "Pump", "marked", "wants"]
