from collections import Counter
from datetime import UTC, datetime
from statistics import median

import pytest

from consumer.normalisation import normalise
from consumer.simulators.radial import Fact, RadialWorld, Sent
from consumer.validation import Schemas

STORES = ("TMS_US", "TMS_CA", "A B")
RECEIVED = datetime(2026, 2, 3, tzinfo=UTC)


@pytest.fixture(scope="module")
def schemas() -> Schemas:
    return Schemas.load(None)


def sent(world: RadialWorld, many: int = 150) -> list[Sent]:
    singles = [world.order_backorder() for _ in range(many)]
    return singles + [world.order_backorder_list(1 + n % 4) for n in range(many)]


def test_every_message_is_valid_and_tells_its_facts(schemas: Schemas) -> None:
    for message in sent(RadialWorld(seed=7, stores=STORES)):
        found = schemas.examine(message.body)
        assert not found.refusals, message.body
        assert not any(accepted.drift for accepted in found.accepted)
        events = [
            event
            for accepted in found.accepted
            for event in normalise(accepted.element, received=RECEIVED)
        ]
        assert message.facts == tuple(
            Fact(event.source, event.type, event.subject, event.data.quantity.backordered or "")
            for event in events
        )


def test_no_fact_is_told_twice_and_every_kind_occurs() -> None:
    messages = sent(RadialWorld(seed=7, stores=STORES), many=500)
    told = Counter(fact for message in messages for fact in message.facts)
    assert max(told.values()) == 1
    assert {fact.type for fact in told} == {
        "backorder.opened",
        "backorder.presell",
        "backorder.delayed",
        "backorder.allocation_cancelled",
    }
    assert {fact.source for fact in told} == {"/radial/TMS_US", "/radial/TMS_CA", "/radial/A%20B"}
    everything = b"".join(message.body for message in messages)
    for part in (b"DeliveryWindow", b"StoreFrontAddress", b"ShippedAddress", b'webLineId="4"'):
        assert part in everything


def test_messages_are_as_large_as_the_documented_ones() -> None:
    world = RadialWorld(seed=7)
    bodies = [world.order_backorder() for _ in range(200)]
    assert 2000 < median(len(each.body) for each in bodies if len(each.facts) == 1) < 2500


def test_lists_come_in_both_shapes() -> None:
    world = RadialWorld(seed=7)
    ones = [world.order_backorder_list().body for _ in range(20)]
    assert 0 < sum(b"<OrderBackorder " in body for body in ones) < 20
    assert world.order_backorder_list(3).body.count(b"<OrderBackorder ") == 3


def test_the_same_seed_makes_the_same_world() -> None:
    assert sent(RadialWorld(seed=1), many=20) == sent(RadialWorld(seed=1), many=20)
    assert sent(RadialWorld(seed=1), many=20) != sent(RadialWorld(seed=2), many=20)


def test_a_store_may_be_asked_for() -> None:
    world = RadialWorld(seed=1, stores=STORES)
    messages = [world.order_backorder("A B"), world.order_backorder_list(2, "A B")]
    assert {message.store for message in messages} == {"A B"}
    assert {f.source for message in messages for f in message.facts} == {"/radial/A%20B"}


def test_impossible_wishes() -> None:
    with pytest.raises(ValueError, match="needs a store"):
        RadialWorld(seed=1, stores=())
    with pytest.raises(ValueError, match="at least one event"):
        RadialWorld(seed=1).order_backorder_list(0)
