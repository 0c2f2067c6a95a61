"""How Radial would write an order: made-up orders as XML.

Both generations are written, told apart by `Order.delay`: None is the one of 2016, which knows no
ShippingDelayType and names a ShipmentMethod and delivery dates in every ship group. Money is in
cents, quantities are whole.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape

NAMESPACE = "http://api.gsicommerce.com/schema/checkout/1.0"

_CUSTOMS = (("Key", "OrderTotalPointsEarned"), ("Value", "0"))
_SALES_TAX = 0.06


@dataclass(frozen=True, slots=True)
class Person:
    """A buyer and where they live; `place` is city, region and postal code."""

    id: str
    first: str
    last: str
    email: str
    phone: str
    street: str
    place: tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Item:
    """An order line; `method` is the shipping method's code and its display text."""

    line: int
    quantity: int
    cents: int
    sku: str
    title: str
    color: str
    size: str
    method: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Order:
    """What one OrderBackorder tells. Groups that are picked up go to a store, not to the buyer."""

    number: str
    store: str
    placed: datetime
    delay: str | None
    buyer: Person
    groups: tuple[tuple[Item, ...], ...]
    picked_up: bool


def single(order: Order) -> bytes:
    """A message of the queue."""
    return _document(_order("OrderBackorder", order, xmlns=NAMESPACE))


def flattened(order: Order) -> bytes:
    """A post of the webhook service in which the list itself is the one event."""
    return _document(_order("OrderBackorderList", order, xmlns=NAMESPACE))


def together(orders: list[Order]) -> bytes:
    """A post of the webhook service that holds complete events."""
    events = [_order("OrderBackorder", order) for order in orders]
    return _document(_tag("OrderBackorderList", *events, xmlns=NAMESPACE))


def _document(root: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{root}\n'.encode()


def _tag(name: str, *content: str, **attributes: str) -> str:
    """An element of elements, one below the other."""
    return _element(name, "\n".join(("", *content, "")) if content else "", attributes)


def _text(name: str, text: str = "", **attributes: str) -> str:
    """An element of text."""
    return _element(name, escape(text, quote=False), attributes)


def _element(name: str, inner: str, attributes: dict[str, str]) -> str:
    said = "".join(f' {key}="{escape(value)}"' for key, value in attributes.items())
    return f"<{name}{said}>{inner}</{name}>" if inner else f"<{name}{said}/>"


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


def _order(root: str, order: Order, **namespace: str) -> str:
    delay = [_text("ShippingDelayType", order.delay)] if order.delay else []
    return _tag(
        root,
        _customer(order.buyer),
        *delay,
        _tag(
            "BillingAddress",
            *_name_and_address(order.buyer),
            _text("PhoneNumber", order.buyer.phone),
            _text("EmailAddress", order.buyer.email),
        ),
        _tag("ShipGroups", *(_group(order, items) for items in order.groups)),
        _summary(order),
        **namespace,
        customerOrderId=order.number,
        storeId=order.store,
        locale="en_US",
        orderDate=order.placed.isoformat(),
        currencySymbol="$",
        currency="USD",
    )


def _customer(buyer: Person) -> str:
    attribute = _tag("Attribute", *(_text(name, text) for name, text in _CUSTOMS))
    program = ("Account", "Program")
    return _tag(
        "Customer",
        _tag("Name", *_name(buyer)),
        _text("EmailAddress", buyer.email),
        _tag(
            "LoyaltyPrograms",
            _tag("LoyaltyProgram", *map(_text, program), _tag("CustomAttributes", attribute)),
        ),
        customerId=buyer.id,
    )


def _name(buyer: Person) -> tuple[str, str]:
    return _text("LastName", buyer.last), _text("FirstName", buyer.first)


def _name_and_address(buyer: Person) -> tuple[str, str]:
    return _tag("PersonName", *_name(buyer)), _address(buyer.street, buyer.place)


def _address(street: str, place: tuple[str, str, str]) -> str:
    city, region, postal_code = place
    return _tag(
        "Address",
        _text("Line1", street),
        _text("City", city),
        _text("MainDivision", region),
        _text("CountryCode", "US"),
        _text("PostalCode", postal_code),
    )


def _group(order: Order, items: tuple[Item, ...]) -> str:
    return _tag(
        "ShipGroup",
        _tag("BackorderOrderItems", *map(_item, items)),
        *([] if order.delay else _delivery(order.placed, items[0].method)),
        _store_front(order) if order.picked_up else _shipped_address(order.buyer),
    )


def _item(item: Item) -> str:
    code, display_text = item.method
    return _tag(
        "OrderItem",
        _tag(
            "Description",
            _text("Description", f"{item.title}, {item.color}"),
            _text("SKU", item.sku),
            _text("UPC", item.sku),
            _text("GlobalId", item.sku),
            _text("Title", item.title),
            _text("Color", item.color, id=""),
            _text("Size", item.size, id=""),
            _text("StyleNumber", f"F6MDD-T{item.sku[:4]}P"),
            _text("VendorPartNumber"),
        ),
        _tag(
            "Pricing",
            _text("Amount", _money(item.cents * item.quantity)),
            _text("UnitPrice", _money(item.cents)),
        ),
        _text("ShippingMethod", code, displayText=display_text),
        _text("OrderItemKind", "physical"),
        webLineId=str(item.line),
        itemId=f"73-{item.sku}",
        quantity=str(item.quantity),
        isHiddenGift="false",
        isBundleParent="false",
    )


def _delivery(placed: datetime, method: tuple[str, str]) -> tuple[str, str, str]:
    code, display_text = method
    ships = placed + timedelta(days=21)
    return (
        _text("ShipmentMethod", code, displayText=display_text),
        _text("EstimatedShipDate", ships.date().isoformat()),
        _tag(
            "EDDMessage",
            _text("Mode", "ENABLED"),
            _text("MessageType", "DeliveryDate"),
            _tag(
                "DeliveryWindow",
                _text("From", (ships + timedelta(days=2)).isoformat()),
                _text("To", (ships + timedelta(days=5)).isoformat()),
            ),
        ),
    )


def _shipped_address(buyer: Person) -> str:
    return _tag("ShippedAddress", *_name_and_address(buyer))


def _store_front(order: Order) -> str:
    """Without the location's id, which may stand only once in a document."""
    return _tag(
        "StoreFrontAddress",
        _tag(
            "StoreFrontLocation",
            _text("StoreCode", f"{order.store}-{order.buyer.place[2]}"),
            _text("StoreName", f"{order.buyer.place[0]} Store"),
            _text("StoreEmail", "store@example.com"),
            _address("1 Market Square", order.buyer.place),
            _text("Phone", "555-0100"),
        ),
        _text("StoreHours", "Mon-Sat 9-20"),
    )


def _summary(order: Order) -> str:
    goods = sum(item.cents * item.quantity for items in order.groups for item in items)
    tax = round(goods * _SALES_TAX)
    return _tag(
        "OrderSummary",
        totalAmount=_money(goods + tax),
        salesTaxAmount=_money(tax),
        subTotalAmount=_money(goods),
        shippingAmount="0.00",
        dutyAmount="0",
        feesAmount="0",
        discountAmount="0.00",
    )
