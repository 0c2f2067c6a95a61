"""What becomes of Radial's messages. The table of the eight samples comes first."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from msgspec.structs import replace

from consumer.errors import Refused
from consumer.event import Event, Parties
from consumer.normalisation import normalise

SAMPLES = Path(__file__).parent.parent / "data" / "radial"
RECEIVED = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
NAMESPACE = "http://api.gsicommerce.com/schema/checkout/1.0"

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def events_of(body: bytes | str, **options: Any) -> tuple[Event, ...]:
    options.setdefault("received", RECEIVED)
    return normalise(etree.fromstring(body), **options)


def told(event: Event) -> Any:
    return json.loads(event.encode())


# --- the samples -----------------------------------------------------------------------------

NOBODY: dict[str, Any] = {
    "id": None,
    "number": None,
    "name": "First Name Last Name",
    "honorific": None,
    "first_name": "First Name",
    "middle_name": None,
    "last_name": "Last Name",
    "email": None,
    "phone": None,
    "address": None,
    "extra": {},
}
ADDRESS = {
    "lines": ["630 Allendale Rd"],
    "city": "King Of Prussia",
    "region": "PA",
    "postal_code": "19406",
    "country": "US",
    "extra": {},
}
LOYALTY = {
    "LoyaltyProgram": {
        "Account": None,
        "Program": None,
        "CustomAttributes": {"Attribute": {"Key": "OrderTotalPointsEarned", "Value": "0"}},
    }
}
EVERY_SAMPLE: dict[str, Any] = {
    "specversion": "1.0",
    "source": "/radial/TMS_US",
    "subject": "001198000610/1",
    "time": "2016-07-13T13:47:54Z",
    "datacontenttype": "application/json",
    "dataschema": "urn:backorder-consumer:event:1",
    "partitionkey": "/radial/TMS_US/001198000610/1",
    "data": {
        "order": {
            "number": "001198000610",
            "date": "2016-07-13T13:47:54Z",
            "account": "TMS_US",
            "purchase_order": None,
            "locale": "en_US",
            "currency": "USD",
            "total": "201.87",
        },
        "line": {
            "number": "1",
            "item": "73-12345666",
            "description": "Product Description",
            "title": "Product Title",
            "sku": "12345666",
            "upc": "12345666",
            "manufacturer": None,
            "manufacturer_part": None,
            "vendor_item": None,
            "color": "Brown",
            "size": "6-M",
            "unit_price": "188.00",
            "amount": "188.00",
        },
        "quantity": {"backordered": "1", "ordered": None, "shipped": None},
        "reason": None,
        "dates": {
            "need_by": None,
            "informed": None,
            "expected_ship": None,
            "expected_delivery": None,
            "expected_delivery_until": None,
            "updated": None,
            "cleared": None,
        },
        "parties": {
            "customer": NOBODY
            | {
                "id": "00072W01000022",
                "email": "email@example.com",
                "extra": {"LoyaltyPrograms": LOYALTY},
            },
            "bill_to": NOBODY
            | {"email": "email@example.com", "phone": "123456789", "address": ADDRESS},
            "ship_to": NOBODY | {"address": ADDRESS},
            "store": None,
            "vendor": None,
            "project": None,
            "submitter": None,
        },
        "extra": {
            "currencySymbol": "$",
            "OrderSummary": {
                "salesTaxAmount": "13.87",
                "subTotalAmount": "188.00",
                "shippingAmount": "0.00",
                "dutyAmount": "0",
                "feesAmount": "0",
                "discountAmount": "0.00",
            },
            "OrderItem": {
                "isHiddenGift": "false",
                "isBundleParent": "false",
                "Description": {
                    "GlobalId": "12345666",
                    "Color": {"id": None},
                    "Size": {"id": None},
                    "StyleNumber": "F6MDD-T3867P",
                },
                "ShippingMethod": {"displayText": "Standard", "#text": "STD"},
                "OrderItemKind": "physical",
            },
        },
    },
}


# The same fact has the same id, whether the queue or the webhook brought it; and since receivers
# remember ids, an id that changes from one version of this program to the next is a fault.
@pytest.mark.parametrize("root", ["OrderBackorder", "OrderBackorderList"])
@pytest.mark.parametrize(
    ("said", "id_", "type_", "delay"),
    [
        ("Backorder", "177477ccf1d87828068230dc75db9749", "backorder.opened", "backorder"),
        ("Pre-Sell", "92d7f509acb308d029a7d1912c9c7014", "backorder.presell", "presell"),
        (
            "1stDelayNotification",
            "e3999a824c0b78e5aa3528c89fbe4686",
            "backorder.delayed",
            "first_delay",
        ),
        (
            "AllocateCancelNotification",
            "cacfe1ea9095bbaea37c1186b813bed9",
            "backorder.allocation_cancelled",
            "allocation_cancelled",
        ),
    ],
)
def test_samples(root: str, said: str, id_: str, type_: str, delay: str) -> None:
    (event,) = events_of((SAMPLES / f"{root}-{said}.xml").read_bytes())
    data = EVERY_SAMPLE["data"] | {"delay": delay}
    assert told(event) == EVERY_SAMPLE | {"id": id_, "type": type_, "data": data}


# --- everything that a message can say -------------------------------------------------------


def person(prefix: str, name: str = "PersonName") -> str:
    return f"""<{name}><Honorific>{prefix}honorific</Honorific><LastName>{prefix}last</LastName>
        <MiddleName>{prefix}middle</MiddleName><FirstName>{prefix}first</FirstName>
        <Nickname>{prefix}nick</Nickname></{name}>"""


def address(prefix: str) -> str:
    return f"""<Address><Line1>{prefix}1</Line1><Line2>{prefix}2</Line2><Line4>{prefix}4</Line4>
        <City>{prefix}city</City><MainDivision>{prefix}region</MainDivision>
        <CountryCode>{prefix}country</CountryCode><PostalCode>{prefix}code</PostalCode>
        <Extension><geo xmlns="urn:geo" lat="{prefix}lat"/></Extension></Address>"""


# In the manner of 2016: no ShippingDelayType, two ship groups, one of which goes to a store.
# "p-" marks what is personal.
FULL = f"""<OrderBackorder xmlns="{NAMESPACE}" storeId="A/B &#252;" customerOrderId="77"
        orderDate="2026-01-31T22:30:00-05:00" currencySymbol="€" currency="EUR" channel="web">
    <Customer customerId="p-id" vip="p-vip">{person("p-c-", "Name")}
        <EmailAddress>p-mail</EmailAddress><Birthday>p-birthday</Birthday></Customer>
    <BillingAddress>{person("p-b-")}{address("p-b-")}<PhoneNumber>p-phone</PhoneNumber>
        <EmailAddress>p-b-mail</EmailAddress></BillingAddress>
    <ShipGroups wave="3">
        <ShipGroup>
            <BackorderOrderItems bin="9"><OrderItem webLineId="2" quantity="+1.50"><Pricing/>
                <Note>for <b>you</b> only</Note></OrderItem></BackorderOrderItems>
            <ShipmentMethod displayText="Standard">STD</ShipmentMethod>
            <EstimatedShipDate>2026-02-10-05:00</EstimatedShipDate>
            <EDDMessage><Mode>ENABLED</Mode><MessageType>DeliveryDate</MessageType>
                <DeliveryWindow><From>2026-02-12T00:00:00Z</From><To>2026-02-14T24:00:00Z</To>
                </DeliveryWindow></EDDMessage>
            <ShippedAddress>{person("p-s-")}{address("p-s-")}</ShippedAddress>
            <ShippedAddress><PersonName>p-second</PersonName></ShippedAddress>
        </ShipGroup>
        <ShipGroup>
            <BackorderOrderItems><OrderItem webLineId="3" quantity="many"/></BackorderOrderItems>
            <StoreFrontAddress manager="p-manager"><StoreFrontLocation id="p-store-id">
                <StoreCode>p-code</StoreCode><StoreName>p-name</StoreName>
                <StoreEmail>p-st-mail</StoreEmail>{address("p-st-")}<Phone>p-st-phone</Phone>
                <Floor>p-floor</Floor></StoreFrontLocation>
                <StoreDirections>p-left</StoreDirections><StoreHours>p-hours</StoreHours>
                <StoreFrontPhoneNumber>p-front-phone</StoreFrontPhoneNumber></StoreFrontAddress>
        </ShipGroup>
    </ShipGroups>
    <OrderSummary totalAmount=".5" vatTaxAmount="0.1"/>
</OrderBackorder>"""


def full_person(prefix: str, name: str = "PersonName") -> dict[str, Any]:
    return NOBODY | {
        "name": f"{prefix}first {prefix}last",
        "honorific": f"{prefix}honorific",
        "first_name": f"{prefix}first",
        "middle_name": f"{prefix}middle",
        "last_name": f"{prefix}last",
        "extra": {name: {"Nickname": f"{prefix}nick"}},
    }


def full_address(prefix: str) -> dict[str, Any]:
    return {
        "lines": [f"{prefix}1", f"{prefix}2", f"{prefix}4"],
        "city": f"{prefix}city",
        "region": f"{prefix}region",
        "postal_code": f"{prefix}code",
        "country": f"{prefix}country",
        "extra": {"Extension": {"{urn:geo}geo": {"lat": f"{prefix}lat"}}},
    }


def test_every_field() -> None:
    to_home, to_store = map(told, events_of(FULL))
    assert to_home["source"] == "/radial/A%2FB%20%C3%BC"
    assert [to_home["subject"], to_store["subject"]] == ["77/2", "77/3"]
    assert to_home["time"] == to_store["time"] == "2026-02-01T03:30:00Z"
    assert to_home["type"] == to_store["type"] == "backorder.opened"
    home, store = to_home["data"], to_store["data"]
    assert home["delay"] is None
    assert (
        home["order"]
        == store["order"]
        == EVERY_SAMPLE["data"]["order"]
        | {
            "number": "77",
            "date": "2026-02-01T03:30:00Z",
            "account": "A/B ü",
            "locale": None,
            "currency": "EUR",
            "total": "0.5",
        }
    )
    assert home["line"] == dict.fromkeys(EVERY_SAMPLE["data"]["line"]) | {"number": "2"}
    assert [home["quantity"]["backordered"], store["quantity"]["backordered"]] == ["1.50", None]
    nothing = EVERY_SAMPLE["data"]["dates"]
    assert store["dates"] == nothing
    assert home["dates"] == nothing | {
        "expected_ship": "2026-02-10",
        "expected_delivery": "2026-02-12T00:00:00Z",
    }
    order = {
        "channel": "web",
        "currencySymbol": "€",
        "orderDate": "2026-01-31T22:30:00-05:00",
        "OrderSummary": {"vatTaxAmount": "0.1"},
        "ShipGroups": {"wave": "3"},
    }
    assert store["extra"] == order | {"OrderItem": {"quantity": "many"}}
    assert home["extra"] == order | {
        "ShipGroup": {
            "BackorderOrderItems": {"bin": "9"},
            "ShipmentMethod": {"displayText": "Standard", "#text": "STD"},
            "EstimatedShipDate": "2026-02-10-05:00",
            "EDDMessage": {
                "Mode": "ENABLED",
                "MessageType": "DeliveryDate",
                "DeliveryWindow": {"To": "2026-02-14T24:00:00Z"},
            },
        },
        "OrderItem": {"Note": {"b": "you", "#text": ["for", "only"]}},
    }


def test_every_party() -> None:
    to_home, to_store = map(told, events_of(FULL))
    nobody = dict.fromkeys(Parties.__struct_fields__)
    customer = full_person("p-c-", "Name") | {"id": "p-id", "email": "p-mail"}
    customer["extra"] |= {"vip": "p-vip", "Birthday": "p-birthday"}
    bill_to = full_person("p-b-") | {
        "email": "p-b-mail",
        "phone": "p-phone",
        "address": full_address("p-b-"),
    }
    ship_to = full_person("p-s-") | {"address": full_address("p-s-")}
    ship_to["extra"] |= {"ShippedAddress": {"PersonName": "p-second"}}
    store = dict.fromkeys(NOBODY) | {
        "id": "p-store-id",
        "number": "p-code",
        "name": "p-name",
        "email": "p-st-mail",
        "phone": "p-st-phone",
        "address": full_address("p-st-"),
        "extra": {
            "manager": "p-manager",
            "StoreFrontLocation": {"Floor": "p-floor"},
            "StoreDirections": "p-left",
            "StoreHours": "p-hours",
            "StoreFrontPhoneNumber": "p-front-phone",
        },
    }
    ordered = nobody | {"customer": customer, "bill_to": bill_to}
    assert to_home["data"]["parties"] == ordered | {"ship_to": ship_to}
    assert to_store["data"]["parties"] == ordered | {"store": store}


def test_personal_data_is_in_parties_only() -> None:
    for event in events_of(FULL):
        public = replace(event, data=replace(event.data, parties=Parties()))
        assert b"p-" in event.encode()
        assert b"p-" not in public.encode()


def test_people_are_taken_for_people_wherever_they_stand() -> None:
    body = f"""<OrderBackorder xmlns="{NAMESPACE}" currency="USD" currencySymbol="$">
        <ShippedAddress><PersonName><LastName>order</LastName></PersonName></ShippedAddress>
        <ShipGroups><ShipGroup><BackorderOrderItems>
        <OrderItem webLineId="1"><Customer customerId="line"/></OrderItem>
        <OrderItem webLineId="2"/></BackorderOrderItems>
        <ShippedAddress><PersonName><LastName>group</LastName></PersonName></ShippedAddress>
        </ShipGroup></ShipGroups></OrderBackorder>"""
    first, second = events_of(body)
    assert first.data.extra == second.data.extra == {"currencySymbol": "$"}
    assert first.data.parties.customer is not None
    assert first.data.parties.customer.id == "line"
    assert second.data.parties.customer is None
    for event in (first, second):
        ship_to = event.data.parties.ship_to
        assert ship_to is not None
        assert ship_to.name == "order"
        assert ship_to.extra == {"ShippedAddress": {"PersonName": {"LastName": "group"}}}


# --- what is missing, what repeats, what is refused ------------------------------------------


def order_of(*items: str, root: str = "", rest: str = "") -> str:
    return f"""<OrderBackorder xmlns="{NAMESPACE}" {root}>{rest}<ShipGroups><ShipGroup>
        <BackorderOrderItems>{"".join(items)}</BackorderOrderItems></ShipGroup></ShipGroups>
        </OrderBackorder>"""


ITEM = '<OrderItem webLineId="1" quantity="2"/>'


def test_a_line_without_a_number_is_told_by_its_item() -> None:
    items = [ITEM, '<OrderItem webLineId=" " itemId="73-1"/>', "<OrderItem/>"]
    events = events_of(order_of(*items, root='customerOrderId="7"'))
    assert [event.subject for event in events] == ["7/1", "7/73-1", "7/unknown"]


def test_what_is_not_known_is_null() -> None:
    (event,) = events_of(order_of(ITEM, root='customerOrderId=" " orderDate="tomorrow"'))
    assert event.source == "/radial/unknown"
    assert re.fullmatch(r"unknown-[0-9a-f]{12}/1", event.subject)
    assert event.time == "2026-02-03T04:05:06Z"
    assert event.data.order.number is None
    assert event.data.order.date is None
    assert event.data.extra == {"orderDate": "tomorrow"}
    assert event.data.parties == Parties()


def test_the_same_said_twice_in_one_message_is_two_facts() -> None:
    message = order_of(ITEM, ITEM, '<OrderItem webLineId="2"/>', ITEM)
    ids = [event.id for event in events_of(message)]
    assert len(set(ids)) == 4
    assert ids == [event.id for event in events_of(message)]
    assert ids[0] == events_of(order_of(ITEM))[0].id


def test_an_id_tells_the_fact_and_nothing_of_its_journey() -> None:
    (plain,) = events_of(order_of(ITEM))
    (other,) = events_of(
        order_of(ITEM), received=datetime.now(UTC), drift=("Gift", "@wave"), traceparent=TRACE
    )
    assert other.id == plain.id
    assert other.time != plain.time
    assert (other.drift, other.traceparent) == ("Gift,@wave", TRACE)


def test_unknown_parts_may_bear_the_names_that_extra_uses() -> None:
    rest = '<ShipGroup a="1"/><OrderItem>x</OrderItem><OrderItem>y</OrderItem>'
    first, second = events_of(
        order_of('<OrderItem webLineId="1" new="n"/>', '<OrderItem webLineId="2"/>', rest=rest)
    )
    assert first.data.extra == {"ShipGroup": {"a": "1"}, "OrderItem": ["x", "y", {"new": "n"}]}
    assert second.data.extra == {"ShipGroup": {"a": "1"}, "OrderItem": ["x", "y"]}


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (order_of(ITEM, rest="<ShippingDelayType>Lost</ShippingDelayType>"), '"Lost" is none of'),
        (order_of(), "OrderItem is missing"),
        (f'<OrderBackorder xmlns="{NAMESPACE}"/>', "ShipGroup is missing"),
        (f'<OrderShipped xmlns="{NAMESPACE}"/>', "OrderShipped is no root"),
        ("<OrderBackorder/>", "{}OrderBackorder is no root"),
    ],
)
def test_refused(message: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        events_of(message)


def test_many_lines_beside_a_long_text_are_refused_in_time() -> None:
    message = order_of(*([ITEM] * 50), rest=f"<Terms>{'x' * 10_000}</Terms>")
    assert len(events_of(message)) == 50
    with pytest.raises(Refused, match="each of its lines repeats"):
        events_of(message, most_bytes=400_000)


# --- lists -----------------------------------------------------------------------------------


def around(content: str, attributes: str = "") -> Any:
    return etree.fromstring(
        f'<OrderBackorderList xmlns="{NAMESPACE}" {attributes}>{content}</OrderBackorderList>'
    )


def test_what_stood_around_an_event_is_kept_and_changes_no_id() -> None:
    body = (SAMPLES / "OrderBackorder-Backorder.xml").read_bytes()
    (alone,) = events_of(body)
    (event,) = events_of(body, around=around("<Memo>a</Memo><Memo>b</Memo>", 'batchId="7"'))
    assert event.id == alone.id
    assert event.data.extra == alone.data.extra | {
        "OrderBackorderList": {"batchId": "7", "Memo": ["a", "b"]}
    }
    assert "OrderBackorderList" not in alone.data.extra


def test_a_list_around_that_says_nothing_leaves_no_trace() -> None:
    body = (SAMPLES / "OrderBackorder-Backorder.xml").read_bytes()
    hint = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a b"'
    assert events_of(body, around=around("", hint)) == events_of(body)


def test_an_unknown_element_of_that_name_is_kept_beside_it() -> None:
    body = (SAMPLES / "OrderBackorder-Backorder.xml").read_text()
    body = body.replace("<ShipGroups>", '<OrderBackorderList n="1"/><ShipGroups>')
    (event,) = events_of(body.encode(), around=around("", 'batchId="7"'))
    assert event.data.extra["OrderBackorderList"] == [{"n": "1"}, {"batchId": "7"}]


def test_lines_of_orders_without_a_number_are_told_apart() -> None:
    sample = (SAMPLES / "OrderBackorder-Backorder.xml").read_bytes()
    nameless = sample.replace(b'customerOrderId="001198000610"', b"")
    other = nameless.replace(b"73-12345666", b"73-99999999")
    [one], [two] = (
        normalise(etree.fromstring(body), received=datetime.now(UTC)) for body in (nameless, other)
    )
    assert one.data.order.number is None
    assert re.fullmatch(r"unknown-[0-9a-f]{12}/1", one.subject)
    assert one.subject != two.subject
    [again] = normalise(etree.fromstring(nameless), received=datetime.now(UTC))
    assert (again.subject, again.id) == (one.subject, one.id)
