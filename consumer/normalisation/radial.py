"""Radial's order back-orders, in both generations, as events.

One message tells of one order; every OrderItem of it becomes one event, which holds the item, its
ship group and all that is said about the order. The message is read into plain values once
(`xml.read`), known fields are taken out, and the rest becomes `extra`, nested by where it stood:

    {"currencySymbol": "$", "OrderSummary": {…}, "ShipGroup": {…}, "OrderItem": {…}}

People and addresses go to `parties` (`radial_parties`). A number or a moment that an event cannot
hold, or not wholly, stays in `extra` as it was written.

Fields: Radial's "Order Backorder Event" page and the vendor's public SDK of 2016, which knows no
ShippingDelayType and has a ShipmentMethod in every ship group.
"""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from urllib.parse import quote

from lxml import etree
from msgspec.structs import replace

from consumer.errors import Refused
from consumer.event import (
    Data,
    Dates,
    Decimal,
    Event,
    EventType,
    Line,
    Moment,
    Order,
    Parties,
    Quantity,
    identify,
    timestamp,
)
from consumer.normalisation import lexical
from consumer.normalisation.radial_parties import take_parties
from consumer.normalisation.taking import as_node, put_back, take_node, take_nodes, take_text
from consumer.normalisation.xml import Node, add, read

# ShippingDelayType: the event's type and its `delay`
_DELAYS: dict[str | None, tuple[EventType, str | None]] = {
    None: ("backorder.opened", None),
    "Backorder": ("backorder.opened", "backorder"),
    "Pre-Sell": ("backorder.presell", "presell"),
    "1stDelayNotification": ("backorder.delayed", "first_delay"),
    "AllocateCancelNotification": ("backorder.allocation_cancelled", "allocation_cancelled"),
}
_UNKNOWN = "unknown"
_is_unreserved = re.compile(r"[0-9A-Za-z_.~-]*").fullmatch  # `quote` leaves it as it is
_LONGEST_QUOTE = 40
_SHORT = 12


def backorders(
    element: etree._Element,
    *,
    received: datetime,
    drift: tuple[str, ...],
    traceparent: str | None,
    most: int,
) -> tuple[Event, ...]:
    """The events of an OrderBackorder, or of an OrderBackorderList that is one event flattened.

    `received` (aware) becomes the time of events whose order has no usable date. Raises Refused
    where the ShippingDelayType is unknown, where an event would have no line, and where several
    lines would make more than `most` bytes of events: each event repeats what is said about the
    whole order.
    """
    root = as_node(read(element))
    type_, delay = _take_delay(root)
    order = _take_order(root)
    source = f"/radial/{_quoted(order.account or _UNKNOWN)}"
    time = order.date or timestamp(received)
    events: list[Event] = []
    told_before: dict[str, int] = {}
    size = 0
    for data in _take_lines(root, order, delay):
        told = Event.of(
            source=source,
            type=type_,
            subject=_subject(source, type_, data),
            time=time,
            data=data,
            drift=drift,
            traceparent=traceparent,
        )
        times = told_before.get(told.id, 0)
        told_before[told.id] = times + 1
        if times:
            again = identify(source, type_, told.subject, data, occurrence=times)
            told = replace(told, id=again)
        if events:
            size += len(told.encode())
            if size > most:
                raise Refused("each of its lines repeats what is said of all: too much in all")
        events.append(told)
    return tuple(events)


def _quoted(account: str) -> str:
    return account if _is_unreserved(account) else quote(account, safe="")


def _subject(source: str, type_: EventType, data: Data) -> str:
    """Order and line, or item where the line has no number. Lines of orders without a number, which
    the schemas allow, are told apart by what they say: they would otherwise all be line 1 of one
    unknown order.
    """
    order = data.order.number
    if order is None:
        said = identify(source, type_, _UNKNOWN, data)
        order = f"{_UNKNOWN}-{said[:_SHORT]}"
    return f"{order}/{data.line.number or data.line.item or _UNKNOWN}"


def _take_delay(root: Node) -> tuple[EventType, str | None]:
    text = take_text(root, "ShippingDelayType")
    try:
        return _DELAYS[text]
    except KeyError:
        known = ", ".join(name for name in _DELAYS if name)
        raise Refused(
            f'ShippingDelayType "{str(text)[:_LONGEST_QUOTE]}" is none of {known}:'
            " the schemas allow it, but no event type stands for it"
        ) from None


def _take_order(root: Node) -> Order:
    summary = take_node(root, "OrderSummary")
    order = Order(
        number=take_text(root, "customerOrderId"),
        date=_take_moment(root, "orderDate", lexical.moment),
        account=take_text(root, "storeId"),
        locale=take_text(root, "locale"),
        currency=take_text(root, "currency"),
        total=_take_decimal(summary, "totalAmount"),
    )
    put_back(root, "OrderSummary", summary)
    return order


def _take_lines(root: Node, order: Order, delay: str | None) -> Iterator[Data]:
    """What each OrderItem says, with what stands above it, in document order."""
    ship_groups = take_node(root, "ShipGroups")
    groups = take_nodes(ship_groups, "ShipGroup")
    put_back(root, "ShipGroups", ship_groups)
    people = take_parties(root)
    if not groups:
        raise Refused("no line can be told: ShipGroups/ShipGroup is missing")
    for group in groups:
        items = _take_items(group)
        group_people = take_parties(group, people)
        dates = _take_dates(group)
        for item in items:
            item_people = take_parties(item, group_people)
            line = _take_line(item)
            quantity = Quantity(backordered=_take_decimal(item, "quantity"))
            extra = dict(root)
            put_back(extra, "ShipGroup", group)
            put_back(extra, "OrderItem", item)
            yield Data(
                order=order,
                line=line,
                quantity=quantity,
                delay=delay,
                dates=dates,
                parties=Parties(**item_people),
                extra=extra,
            )


def _take_items(group: Node) -> list[Node]:
    container = take_node(group, "BackorderOrderItems")
    items = take_nodes(container, "OrderItem")
    put_back(group, "BackorderOrderItems", container)
    if not items:
        raise Refused("a ShipGroup has no line: BackorderOrderItems/OrderItem is missing")
    return items


def _take_line(item: Node) -> Line:
    description = take_node(item, "Description")
    pricing = take_node(item, "Pricing")
    line = Line(
        number=take_text(item, "webLineId"),
        item=take_text(item, "itemId"),
        description=take_text(description, "Description"),
        title=take_text(description, "Title"),
        sku=take_text(description, "SKU"),
        upc=take_text(description, "UPC"),
        vendor_item=take_text(description, "VendorPartNumber"),
        color=take_text(description, "Color"),
        size=take_text(description, "Size"),
        unit_price=_take_decimal(pricing, "UnitPrice"),
        amount=_take_decimal(pricing, "Amount"),
    )
    put_back(item, "Description", description)
    put_back(item, "Pricing", pricing)
    return line


_NO_DATES = Dates()


def _take_dates(group: Node) -> Dates:
    if "EstimatedShipDate" not in group and "EDDMessage" not in group:
        return _NO_DATES
    message = take_node(group, "EDDMessage")
    window = take_node(message, "DeliveryWindow")
    dates = Dates(
        expected_ship=_take_moment(group, "EstimatedShipDate", lexical.day),
        expected_delivery=_take_moment(window, "From", lexical.moment),
        expected_delivery_until=_take_moment(window, "To", lexical.moment),
    )
    put_back(message, "DeliveryWindow", window)
    put_back(group, "EDDMessage", message)
    return dates


def _take_decimal(node: Node, name: str) -> Decimal | None:
    text = take_text(node, name)
    if text is None:
        return None
    number = lexical.decimal(text)
    if number is None:
        add(node, name, text)
    return number


def _take_moment(
    node: Node, name: str, read_moment: Callable[[str], tuple[Moment | None, bool]]
) -> Moment | None:
    text = take_text(node, name)
    if text is None:
        return None
    moment, says_all = read_moment(text)
    if not says_all:
        add(node, name, text)
    return moment
