"""What a fact says, without what is not known, as digests of it take it in.

Such a digest outlives new fields. Left out are None, UNSET, an empty dict in a field of its own, no
lines of an address, no changes, and every part of which nothing is left. What is empty within
upstream's own fields stays, and so does an empty text.

Every part has a class here with the same fields, but sorted and with defaults that msgspec leaves
out. The fields are named one by one, in that order, because that is the fastest way to copy them:
to look up some ninety fields by names from a table takes more than twice as long, and to find out
in Python which of them are None longer than all else about an id. Tests see that none is forgotten.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from consumer.facts import Address, Data, Dates, Line, Order, Parties, Party, Quantity

_NO_DICT: Any = msgspec.field(default_factory=dict)


def _terse(model: type[Struct], empty: Mapping[str, Any] = {}) -> Callable[..., Struct]:
    return msgspec.defstruct(
        f"Terse{model.__name__}",
        [(name, Any, empty.get(name)) for name in sorted(model.__struct_fields__)],
        omit_defaults=True,
        gc=False,  # made, encoded and gone
    )


_Order, _Line = _terse(Order), _terse(Line)
_Quantity, _Dates = _terse(Quantity), _terse(Dates)
_Address = _terse(Address, {"lines": (), "extra": _NO_DICT})
_Party = _terse(Party, {"extra": _NO_DICT})
_Parties = _terse(Parties)
_Data = _terse(Data, {"changes": (), "extra": _NO_DICT})

_NO_ORDER, _NO_LINE, _NO_QUANTITY, _NO_DATES = Order(), Line(), Quantity(), Dates()
_NO_ADDRESS = Address()
_NO_PARTY, _NO_PARTIES = _Party(), _Parties()  # terse, since of their parts nothing may be left


def terse(data: Data) -> Struct:
    """All that is known, to be encoded by what sorts dicts and leaves fields in their order."""
    return _Data(
        data.changes,
        _dates(data.dates),
        data.delay,
        data.extra,
        _line(data.line),
        _order(data.order),
        _parties(data.parties),
        _quantity(data.quantity),
        data.reason,
    )


def _order(order: Order) -> Struct | None:
    if order == _NO_ORDER:
        return None
    return _Order(
        order.account,
        order.currency,
        order.date,
        order.locale,
        order.number,
        order.purchase_order,
        order.total,
    )


def _line(line: Line) -> Struct | None:
    if line == _NO_LINE:
        return None
    return _Line(
        line.amount,
        line.color,
        line.description,
        line.item,
        line.manufacturer,
        line.manufacturer_part,
        line.number,
        line.size,
        line.sku,
        line.title,
        line.unit_price,
        line.upc,
        line.vendor_item,
    )


def _quantity(quantity: Quantity) -> Struct | None:
    if quantity == _NO_QUANTITY:
        return None
    return _Quantity(quantity.backordered, quantity.ordered, quantity.shipped)


def _dates(dates: Dates) -> Struct | None:
    if dates == _NO_DATES:
        return None
    return _Dates(
        dates.cleared,
        dates.expected_delivery,
        dates.expected_delivery_until,
        dates.expected_ship,
        dates.informed,
        dates.need_by,
        dates.updated,
    )


def _parties(parties: Parties) -> Struct | None:
    said = _Parties(
        _party(parties.bill_to),
        _party(parties.customer),
        _party(parties.project),
        _party(parties.ship_to),
        _party(parties.store),
        _party(parties.submitter),
        _party(parties.vendor),
    )
    return None if said == _NO_PARTIES else said


def _party(party: Party | None) -> Struct | None:
    if party is None:
        return None
    said = _Party(
        _address(party.address),
        party.email,
        party.extra,
        party.first_name,
        party.honorific,
        party.id,
        party.last_name,
        party.middle_name,
        party.name,
        party.number,
        party.phone,
    )
    return None if said == _NO_PARTY else said


def _address(address: Address | None) -> Struct | None:
    if address is None or address == _NO_ADDRESS:
        return None
    return _Address(
        address.city,
        address.country,
        address.extra,
        address.lines,
        address.postal_code,
        address.region,
    )
