"""The people and places of a Radial message.

All that stands inside one of these elements, known or not, ends in its party and nowhere else,
since the rest of an event must hold no personal data. The first element of a name is the party;
where a message says another of that name, it stands in the party's `extra` under its own name.
"""

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from consumer.event import Address, Party
from consumer.normalisation.taking import put_back, take_node, take_nodes, take_text
from consumer.normalisation.xml import Node

_NOBODY: Mapping[str, Party] = {}


def take_parties(node: Node, known: Mapping[str, Party] = _NOBODY) -> dict[str, Party]:
    """Takes the parties out of a node; the answer, by field of `Parties`, holds `known` as well."""
    parties = dict(known)
    for name, (field, build) in _PARTIES.items():
        if name not in node:
            continue
        said = [each for each in take_nodes(node, name) if each]
        if said and field not in parties:
            parties[field] = build(said.pop(0))
        if said:
            extra = dict(parties[field].extra)
            put_back(extra, name, *said)
            parties[field] = replace(parties[field], extra=extra)
    return parties


def _customer(node: Node) -> Party:
    return _person(node, name="Name")


def _addressee(node: Node) -> Party:
    return _person(node, name="PersonName")


def _person(node: Node, *, name: str) -> Party:
    """A party that is a person; `name` is the element that holds the parts of the name."""
    parts = take_node(node, name)
    first, last = take_text(parts, "FirstName"), take_text(parts, "LastName")
    honorific, middle = take_text(parts, "Honorific"), take_text(parts, "MiddleName")
    put_back(node, name, parts)
    return Party(
        id=take_text(node, "customerId"),
        name=f"{first} {last}" if first and last else first or last,
        honorific=honorific,
        first_name=first,
        middle_name=middle,
        last_name=last,
        email=take_text(node, "EmailAddress"),
        phone=take_text(node, "PhoneNumber"),
        address=_take_address(node),
        extra=node,
    )


def _store(node: Node) -> Party:
    """A store that the buyer collects from. Its own number goes before the front desk's."""
    place = take_node(node, "StoreFrontLocation")
    party = Party(
        id=take_text(place, "id"),
        number=take_text(place, "StoreCode"),
        name=take_text(place, "StoreName"),
        email=take_text(place, "StoreEmail"),
        phone=take_text(place, "Phone") or take_text(node, "StoreFrontPhoneNumber"),
        address=_take_address(place),
        extra=node,
    )
    put_back(node, "StoreFrontLocation", place)
    return party


def _take_address(node: Node) -> Address | None:
    if "Address" not in node:
        return None
    address = take_node(node, "Address")
    lines = (
        take_text(address, "Line1"),
        take_text(address, "Line2"),
        take_text(address, "Line3"),
        take_text(address, "Line4"),
    )
    return Address(
        lines=tuple(filter(None, lines)),
        city=take_text(address, "City"),
        region=take_text(address, "MainDivision"),
        postal_code=take_text(address, "PostalCode"),
        country=take_text(address, "CountryCode"),
        extra=address,
    )


# element: field of `Parties`, reader
_PARTIES: dict[str, tuple[str, Callable[[Node], Party]]] = {
    "Customer": ("customer", _customer),
    "BillingAddress": ("bill_to", _addressee),
    "ShippedAddress": ("ship_to", _addressee),
    "StoreFrontAddress": ("store", _store),
}
