import hashlib
import hmac

import pytest
from msgspec.structs import replace

from consumer.event import Address, Data, Event, Line, Order, Parties, Party, Quantity
from consumer.privacy import protect
from consumer.settings import PrivacySettings
from consumer.values import Secret

KEY = "a key of sufficient length"
CUSTOMER = Party(
    id="c-1",
    name="Ada Archer",
    email="ada@example.com",
    address=Address(lines=("1 Mill Lane", "Flat 2"), city="Austin", extra={"Extension": "ada"}),
    extra={"programs": [{"Account": "c-1", "Key": None}], "age": 36, "vip": True},
)
STORE = Party(number="7", extra={"email": "ada@example.com"})


def event(**parties: Party) -> Event:
    return Event.of(
        source="/radial/TMS_US",
        type="backorder.opened",
        subject="1/1",
        time="2026-01-05T08:00:00Z",
        data=Data(
            order=Order(number="1"),
            line=Line(number="1"),
            quantity=Quantity(backordered="1"),
            parties=Parties(**parties),
            extra={"currencySymbol": "$"},
        ),
    )


EVENT = event(customer=CUSTOMER, store=STORE)


def hashed(text: str, key: str = KEY) -> str:
    return "hmac-sha256:" + hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()[:32]


def hashing(key: str = KEY) -> PrivacySettings:
    return PrivacySettings(parties="hashed", key=Secret(key))


def test_full_keeps_the_event_as_it_is() -> None:
    assert protect(EVENT, PrivacySettings()) is EVENT


def test_none_keeps_nobody() -> None:
    kept = protect(EVENT, PrivacySettings(parties="none"))
    assert kept.data.parties == Parties()


def test_hashed_replaces_every_value_and_no_name() -> None:
    kept = protect(EVENT, hashing())
    assert kept.data.parties == Parties(
        customer=Party(
            id=hashed("c-1"),
            name=hashed("Ada Archer"),
            email=hashed("ada@example.com"),
            address=Address(
                lines=(hashed("1 Mill Lane"), hashed("Flat 2")),
                city=hashed("Austin"),
                extra={"Extension": hashed("ada")},
            ),
            extra={
                "programs": [{"Account": hashed("c-1"), "Key": None}],
                "age": hashed("36"),
                "vip": hashed("True"),
            },
        ),
        store=Party(number=hashed("7"), extra={"email": hashed("ada@example.com")}),
    )


@pytest.mark.parametrize("settings", [hashing(), PrivacySettings(parties="none")])
def test_nothing_but_the_parties_changes(settings: PrivacySettings) -> None:
    kept = protect(EVENT, settings)
    restored = replace(kept, data=replace(kept.data, parties=EVENT.data.parties))
    assert kept != EVENT
    assert restored == EVENT


@pytest.mark.parametrize("settings", [hashing(), PrivacySettings(parties="none")])
def test_facts_that_differ_in_a_person_only_stay_two_facts(settings: PrivacySettings) -> None:
    other = event(customer=Party(id="c-2"), store=STORE)
    assert protect(other, settings).id != protect(EVENT, settings).id


def test_another_key_gives_other_hashes() -> None:
    kept = protect(EVENT, hashing("another key that is long enough"))
    assert kept.data.parties.customer is not None
    assert kept.data.parties.customer.id == hashed("c-1", "another key that is long enough")
    assert kept.data.parties != protect(EVENT, hashing()).data.parties
